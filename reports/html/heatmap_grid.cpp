// SPDX-License-Identifier: Apache-2.0
#include "reports/html/heatmap_grid.h"

#include <algorithm>

#include "reports/colors.h"

namespace moescope {
namespace {

constexpr double kLeft = 46, kTop = 26, kPlotWidth = 690;

std::string fill(double position) {
    return "fill=\"" + hexColor(viridis(position)) + "\"";
}

void cross(SvgCanvas& svg, double cx, double cy, double radius) {
    svg.line(cx - radius, cy - radius, cx + radius, cy + radius, "dead");
    svg.line(cx - radius, cy + radius, cx + radius, cy - radius, "dead");
}

}  // namespace

HeatmapGrid::HeatmapGrid(std::size_t nLayers, std::size_t nExperts)
    : layers(nLayers),
      experts(nExperts),
      cellWidth(kPlotWidth / static_cast<double>(std::max<std::size_t>(nExperts, 1))),
      cellHeight(std::clamp(cellWidth, 8.0, 15.0)) {}

double HeatmapGrid::x(std::size_t expert) const noexcept {
    return kLeft + cellWidth * static_cast<double>(expert);
}
double HeatmapGrid::y(std::size_t layer) const noexcept {
    return kTop + cellHeight * static_cast<double>(layer);
}
double HeatmapGrid::width() const noexcept {
    return kLeft + kPlotWidth + 8;
}
double HeatmapGrid::bottom() const noexcept {
    return y(layers);
}
double HeatmapGrid::height() const noexcept {
    return bottom() + kHeatmapLegend;
}

void drawHeatmapCell(SvgCanvas& svg, const HeatmapGrid& grid, std::size_t layer, std::size_t expert,
                     double position, const std::string& hover) {
    // The overlap hides hairlines between cells where the figure is scaled.
    svg.rect(grid.x(expert), grid.y(layer), grid.cellWidth + 0.3, grid.cellHeight + 0.3, "", hover,
             fill(position));
}

void drawHeatmapCross(SvgCanvas& svg, const HeatmapGrid& grid, std::size_t layer,
                      std::size_t expert) {
    cross(svg, grid.x(expert) + grid.cellWidth / 2, grid.y(layer) + grid.cellHeight / 2,
          std::min(grid.cellWidth, grid.cellHeight) * 0.18);
}

void drawHeatmapAxes(SvgCanvas& svg, const HeatmapGrid& grid, std::span<const int> layers) {
    const std::size_t every = std::max<std::size_t>(1, grid.experts / 16);
    for (std::size_t e = 0; e < grid.experts; e += every)
        svg.text(grid.x(e) + grid.cellWidth / 2, kTop - 6, std::to_string(e), "middle");
    svg.text(kLeft - 6, kTop - 6, "expert", "end", "axis");
    const std::size_t rows = grid.cellHeight < 11 ? 2 : 1;
    for (std::size_t i = 0; i < layers.size(); i += rows)
        svg.text(kLeft - 6, grid.y(i) + grid.cellHeight / 2 + 4,
                 (i == 0 ? "layer " : "") + std::to_string(layers[i]), "end");
    svg.rect(kLeft, kTop, kPlotWidth, grid.bottom() - kTop, "frame");
}

double drawHeatmapRamp(SvgCanvas& svg, const HeatmapGrid& grid,
                       const std::vector<RampMark>& marks) {
    constexpr int kSteps = 60;
    constexpr double kWidth = 240, kHeight = 12;
    const double y = grid.bottom() + 18;
    for (int i = 0; i < kSteps; ++i)
        svg.rect(kLeft + kWidth * i / kSteps, y, kWidth / kSteps + 0.3, kHeight, "", "",
                 fill((i + 0.5) / kSteps));
    for (const RampMark& mark : marks) {
        const double x = kLeft + kWidth * mark.position;
        svg.line(x, y, x, y + kHeight + 4, "tick");
        svg.text(x, y + kHeight + 16, mark.label, "middle");
    }
    return kLeft + kWidth + 60;
}

void drawDeadLegend(SvgCanvas& svg, const HeatmapGrid& grid, double x) {
    const double y = grid.bottom() + 18;
    svg.rect(x, y, 12, 12, "", "", fill(0));
    cross(svg, x + 6, y + 6, 2.5);
    svg.text(x + 18, y + 10, "no token chose it", "start");
}

}  // namespace moescope
