// SPDX-License-Identifier: Apache-2.0
// The layer x expert heat map of the greatest lift, and which group has it.
#include <algorithm>
#include <cmath>

#include "reports/colors.h"
#include "reports/html/escape.h"
#include "reports/html/figures.h"
#include "reports/html/heatmap_grid.h"
#include "reports/numbers.h"
#include "reports/specialization_text.h"

namespace moescope {
namespace {

/// The ramp begins at 1 (the mean of the groups): nothing lies below, since the greatest of lifts
/// whose mean is 1 is at least 1.
double rampEnd(const Specialization& of) {
    constexpr double kRampEnd = 4;
    double greatest = 1.5;
    for (const LayerSpecialization& layer : of.layers) {
        for (std::size_t e = 0; e < layer.dominant.size(); ++e)
            if (layer.dominant[e] >= 0) greatest = std::max(greatest, layer.topLift(e));
    }
    return std::min(greatest, kRampEnd);
}

bool letters(const HeatmapGrid& grid) {
    return grid.cellWidth >= 9;
}

void drawCell(SvgCanvas& svg, const HeatmapGrid& grid, const Specialization& of, std::size_t row,
              std::size_t expert, double end) {
    const LayerSpecialization& layer = of.layers[row];
    const int group = layer.dominant[expert];
    const std::string place =
        "layer " + std::to_string(layer.layer) + ", expert " + std::to_string(expert);
    if (group < 0) {
        drawHeatmapCell(svg, grid, row, expert, 0,
                        grid.hover() ? place + ": no token chose it" : "");
        drawHeatmapCross(svg, grid, row, expert);
        return;
    }
    const double lift = layer.topLift(expert);
    const double position = (lift - 1) / (end - 1);
    drawHeatmapCell(
        svg, grid, row, expert, position,
        grid.hover() ? place + ": " + shorten(of.groups[static_cast<std::size_t>(group)].name, 40) +
                           ", lift " + formatFixed(lift, 2) + ", q " +
                           formatSignificant(layer.expertQ[expert], 2)
                     : "");
    if (!letters(grid) || !of.reliable(layer, expert)) return;
    svg.text(grid.x(expert) + grid.cellWidth / 2, grid.y(row) + grid.cellHeight / 2 + 3.5,
             groupMark(static_cast<std::size_t>(group)), "middle",
             luminance(viridis(position)) > 0.2 ? "on-bright" : "on-dark");
}

}  // namespace

std::string groupMark(std::size_t group) {
    return group < 26 ? std::string(1, static_cast<char>('A' + group)) : std::to_string(group + 1);
}

std::string liftHeatmap(const FigureText& text, const Specialization& of) {
    std::vector<int> layers;
    for (const LayerSpecialization& layer : of.layers) layers.push_back(layer.layer);
    const HeatmapGrid grid(layers.size(), static_cast<std::size_t>(of.experts));
    const double end = rampEnd(of);
    SvgCanvas svg(text, grid.width(), grid.height());
    for (std::size_t row = 0; row < of.layers.size(); ++row) {
        for (std::size_t e = 0; e < of.layers[row].dominant.size(); ++e)
            drawCell(svg, grid, of, row, e, end);
    }
    drawHeatmapAxes(svg, grid, layers);
    const double x =
        drawHeatmapRamp(svg, grid,
                        {{0, "lift 1: as in all groups"},
                         {1, (end >= 4 ? "\xE2\x89\xA5 " : "") + formatFixed(end, 1)}});
    if (letters(grid)) {
        const double y = grid.bottom() + 28;
        svg.text(x, y, "A, B, ...: its own (" + reliablyText(of) + ")", "start");
    }
    drawDeadLegend(svg, grid, x + 250);
    return svg.html();
}

}  // namespace moescope
