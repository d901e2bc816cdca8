// SPDX-License-Identifier: Apache-2.0
// What the layer x expert heat maps share: where cells lie, the axes, the ramp under them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "reports/html/svg.h"

namespace moescope {

inline constexpr double kHeatmapLegend = 58;               ///< height below the cells
inline constexpr std::size_t kHeatmapHoverCells = 20'000;  ///< above, hover texts outweigh a page

struct HeatmapGrid {
    HeatmapGrid(std::size_t layers, std::size_t experts);

    double x(std::size_t expert) const noexcept;
    double y(std::size_t layer) const noexcept;
    double width() const noexcept;   ///< of the whole figure
    double height() const noexcept;  ///< of the whole figure
    double bottom() const noexcept;  ///< of the cells
    bool hover() const noexcept { return layers * experts <= kHeatmapHoverCells; }

    std::size_t layers, experts;
    double cellWidth, cellHeight;
};

/// A cell filled with viridis(position).
void drawHeatmapCell(SvgCanvas& svg, const HeatmapGrid& grid, std::size_t layer, std::size_t expert,
                     double position, const std::string& hover);
void drawHeatmapCross(SvgCanvas& svg, const HeatmapGrid& grid, std::size_t layer,
                      std::size_t expert);
/// Expert ids above, layer numbers (n_layer) at the left, a frame.
void drawHeatmapAxes(SvgCanvas& svg, const HeatmapGrid& grid, std::span<const int> layers);

struct RampMark {
    double position;  ///< 0..1
    std::string label;
};
/// The colour ramp below the cells; returns the x where further legend entries may begin.
double drawHeatmapRamp(SvgCanvas& svg, const HeatmapGrid& grid, const std::vector<RampMark>& marks);
/// "x: no token chose it", at (x, y of the ramp).
void drawDeadLegend(SvgCanvas& svg, const HeatmapGrid& grid, double x);

}  // namespace moescope
