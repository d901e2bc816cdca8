// SPDX-License-Identifier: Apache-2.0
// The layer x expert heat map.
#include <algorithm>
#include <cmath>

#include "reports/colors.h"
#include "reports/html/figures.h"
#include "reports/html/svg.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

constexpr double kLeft = 46, kTop = 26, kPlotWidth = 690, kLegendHeight = 58;
constexpr std::size_t kHoverCells = 20000;  ///< above, hover texts would outweigh the page

struct Grid {
    std::size_t experts = 0;
    double cellWidth = 0, cellHeight = 0;
    double top = 1;        ///< load over fair share at the bright end of the ramp
    bool clipped = false;  ///< some cells lie above `top`
};

double share(const LayerRouting& layer, std::size_t expert) {
    const double fair =
        static_cast<double>(layer.balance.assignments) / static_cast<double>(layer.counts.size());
    return static_cast<double>(layer.counts[expert]) / fair;
}

/// One runaway expert must not paint all others the same dark: the ramp ends at four times the fair
/// share, or at the maximum where that is less.
Grid layOut(std::span<const LayerRouting> routing) {
    constexpr double kRampEnd = 4;
    Grid grid;
    double greatest = 1;
    for (const LayerRouting& layer : routing) {
        grid.experts = std::max(grid.experts, layer.counts.size());
        if (layer.balance.assignments <= 0) continue;
        for (std::size_t e = 0; e < layer.counts.size(); ++e)
            greatest = std::max(greatest, share(layer, e));
    }
    grid.clipped = greatest > kRampEnd;
    grid.top = std::max(1.5, std::min(greatest, kRampEnd));
    grid.cellWidth = kPlotWidth / static_cast<double>(std::max<std::size_t>(grid.experts, 1));
    grid.cellHeight = std::clamp(grid.cellWidth, 8.0, 15.0);
    return grid;
}

void drawCell(SvgCanvas& svg, const Grid& grid, const LayerRouting& layer, std::size_t expert,
              double y, bool hover) {
    const double load = share(layer, expert);
    const Rgb color = viridis(load / grid.top);
    const double x = kLeft + grid.cellWidth * static_cast<double>(expert);
    const std::string title = hover ? "layer " + std::to_string(layer.layer) + ", expert " +
                                          std::to_string(expert) + ": " + formatFixed(load, 2) +
                                          " x fair share, " + formatCount(layer.counts[expert])
                                    : "";
    // The overlap hides hairlines between cells where the figure is scaled.
    svg.rect(x, y, grid.cellWidth + 0.3, grid.cellHeight + 0.3, "", title,
             "fill=\"" + hexColor(color) + "\"");
    const double radius = std::min(grid.cellWidth, grid.cellHeight) * 0.18;
    const double cx = x + grid.cellWidth / 2;
    const double cy = y + grid.cellHeight / 2;
    if (layer.counts[expert] == 0) {
        svg.line(cx - radius, cy - radius, cx + radius, cy + radius, "dead");
        svg.line(cx - radius, cy + radius, cx + radius, cy - radius, "dead");
    } else if (std::max_element(layer.counts.begin(), layer.counts.end()) ==
               layer.counts.begin() + static_cast<std::ptrdiff_t>(expert)) {
        svg.circle(cx, cy, radius, luminance(color) > 0.2 ? "busiest-dark" : "busiest-light");
    }
}

void drawAxes(SvgCanvas& svg, const Grid& grid, std::span<const LayerRouting> routing) {
    const std::size_t every = std::max<std::size_t>(1, grid.experts / 16);
    for (std::size_t e = 0; e < grid.experts; e += every) {
        svg.text(kLeft + grid.cellWidth * (static_cast<double>(e) + 0.5), kTop - 6,
                 std::to_string(e), "middle");
    }
    svg.text(kLeft - 6, kTop - 6, "expert", "end", "axis");
    const std::size_t rows = grid.cellHeight < 11 ? 2 : 1;
    for (std::size_t i = 0; i < routing.size(); i += rows) {
        svg.text(kLeft - 6, kTop + grid.cellHeight * (static_cast<double>(i) + 0.5) + 4,
                 (i == 0 ? "layer " : "") + std::to_string(routing[i].layer), "end");
    }
}

void drawLegend(SvgCanvas& svg, const Grid& grid, double y) {
    constexpr int kSteps = 60;
    constexpr double kWidth = 240, kHeight = 12;
    for (int i = 0; i < kSteps; ++i) {
        svg.rect(kLeft + kWidth * i / kSteps, y, kWidth / kSteps + 0.3, kHeight, "", "",
                 "fill=\"" + hexColor(viridis((i + 0.5) / kSteps)) + "\"");
    }
    const auto mark = [&](double value, const std::string& label) {
        const double x = kLeft + kWidth * value / grid.top;
        svg.line(x, y, x, y + kHeight + 4, "tick");
        svg.text(x, y + kHeight + 16, label, "middle");
    };
    mark(0, "0");
    mark(1, "1 x fair share");
    mark(grid.top, (grid.clipped ? "\xE2\x89\xA5 " : "") + formatFixed(grid.top, 1) + " x");
    const double x = kLeft + kWidth + 60;
    svg.rect(x, y, 12, 12, "", "", "fill=\"" + hexColor(viridis(0.75)) + "\"");
    svg.circle(x + 6, y + 6, 2.4, "busiest-dark");
    svg.text(x + 18, y + 10, "busiest expert of its layer", "start");
    svg.rect(x + 190, y, 12, 12, "", "", "fill=\"" + hexColor(viridis(0)) + "\"");
    svg.line(x + 193.5, y + 3.5, x + 198.5, y + 8.5, "dead");
    svg.line(x + 193.5, y + 8.5, x + 198.5, y + 3.5, "dead");
    svg.text(x + 208, y + 10, "no token chose it", "start");
}

}  // namespace

std::string expertHeatmap(const FigureText& text, std::span<const LayerRouting> routing) {
    const Grid grid = layOut(routing);
    const double height = grid.cellHeight * static_cast<double>(routing.size());
    SvgCanvas svg(text, kLeft + kPlotWidth + 8, kTop + height + kLegendHeight);
    drawAxes(svg, grid, routing);
    const bool hover = grid.experts * routing.size() <= kHoverCells;
    for (std::size_t i = 0; i < routing.size(); ++i) {
        if (routing[i].balance.assignments <= 0) continue;
        const double y = kTop + grid.cellHeight * static_cast<double>(i);
        for (std::size_t e = 0; e < routing[i].counts.size(); ++e)
            drawCell(svg, grid, routing[i], e, y, hover);
    }
    svg.rect(kLeft, kTop, kPlotWidth, height, "frame");
    drawLegend(svg, grid, kTop + height + 18);
    return svg.html();
}

}  // namespace moescope
