// SPDX-License-Identifier: Apache-2.0
// The layer x expert heat map of loads.
#include <algorithm>

#include "reports/colors.h"
#include "reports/html/figures.h"
#include "reports/html/heatmap_grid.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

/// The ramp: load over fair share at its bright end, and whether some cells lie above.
struct Ramp {
    double top = 1;
    bool clipped = false;
};

double share(const LayerRouting& layer, std::size_t expert) {
    const double fair =
        static_cast<double>(layer.balance.assignments) / static_cast<double>(layer.counts.size());
    return static_cast<double>(layer.counts[expert]) / fair;
}

/// One runaway expert must not paint all others the same dark: the ramp ends at four times the fair
/// share, or at the maximum where that is less.
Ramp rampOf(std::span<const LayerRouting> routing) {
    constexpr double kRampEnd = 4;
    double greatest = 1;
    for (const LayerRouting& layer : routing) {
        if (layer.balance.assignments <= 0) continue;
        for (std::size_t e = 0; e < layer.counts.size(); ++e)
            greatest = std::max(greatest, share(layer, e));
    }
    return {std::max(1.5, std::min(greatest, kRampEnd)), greatest > kRampEnd};
}

void drawCell(SvgCanvas& svg, const HeatmapGrid& grid, const Ramp& ramp, const LayerRouting& layer,
              std::size_t row, std::size_t expert) {
    const double load = share(layer, expert);
    const std::string title = grid.hover()
                                  ? "layer " + std::to_string(layer.layer) + ", expert " +
                                        std::to_string(expert) + ": " + formatFixed(load, 2) +
                                        " x fair share, " + formatCount(layer.counts[expert])
                                  : "";
    drawHeatmapCell(svg, grid, row, expert, load / ramp.top, title);
    if (layer.counts[expert] == 0) {
        drawHeatmapCross(svg, grid, row, expert);
    } else if (std::max_element(layer.counts.begin(), layer.counts.end()) ==
               layer.counts.begin() + static_cast<std::ptrdiff_t>(expert)) {
        svg.circle(grid.x(expert) + grid.cellWidth / 2, grid.y(row) + grid.cellHeight / 2,
                   std::min(grid.cellWidth, grid.cellHeight) * 0.18,
                   luminance(viridis(load / ramp.top)) > 0.2 ? "busiest-dark" : "busiest-light");
    }
}

void drawLegend(SvgCanvas& svg, const HeatmapGrid& grid, const Ramp& ramp) {
    const double x = drawHeatmapRamp(
        svg, grid,
        {{0, "0"},
         {1 / ramp.top, "1 x fair share"},
         {1, (ramp.clipped ? "\xE2\x89\xA5 " : "") + formatFixed(ramp.top, 1) + " x"}});
    const double y = grid.bottom() + 18;
    svg.rect(x, y, 12, 12, "", "", "fill=\"" + hexColor(viridis(0.75)) + "\"");
    svg.circle(x + 6, y + 6, 2.4, "busiest-dark");
    svg.text(x + 18, y + 10, "busiest expert of its layer", "start");
    drawDeadLegend(svg, grid, x + 190);
}

}  // namespace

std::string expertHeatmap(const FigureText& text, std::span<const LayerRouting> routing) {
    std::size_t experts = 0;
    std::vector<int> layers;
    for (const LayerRouting& layer : routing) {
        experts = std::max(experts, layer.counts.size());
        layers.push_back(layer.layer);
    }
    const HeatmapGrid grid(routing.size(), experts);
    const Ramp ramp = rampOf(routing);
    SvgCanvas svg(text, grid.width(), grid.height());
    for (std::size_t i = 0; i < routing.size(); ++i) {
        if (routing[i].balance.assignments <= 0) continue;
        for (std::size_t e = 0; e < routing[i].counts.size(); ++e)
            drawCell(svg, grid, ramp, routing[i], i, e);
    }
    drawHeatmapAxes(svg, grid, layers);
    drawLegend(svg, grid, ramp);
    return svg.html();
}

}  // namespace moescope
