// SPDX-License-Identifier: Apache-2.0
// Where the cells of a heat map lie and how loads become values. Tested without a window.
#pragma once

#include <QPoint>
#include <QRect>
#include <QSize>
#include <cstdint>
#include <optional>
#include <vector>

namespace moescope::gui {

struct HeatmapCell {
    int row = 0, column = 0;
    bool operator==(const HeatmapCell&) const = default;
};

/// Cell edges are whole pixels: column c covers [left + c * width / columns, ...). With a fixed
/// cell size the picture may be larger than the viewport and is scrolled by `scroll`.
struct HeatmapLayout {
    QRect area;  ///< of the viewport, without labels and legend
    int rows = 0, columns = 0;
    int cellSize = 0;  ///< pixels; 0 fits all cells into the area
    QPoint scroll;

    QSize contentSize() const noexcept;
    QRect cellRect(HeatmapCell cell) const noexcept;  ///< in viewport pixels
    std::optional<HeatmapCell> cellAt(QPoint point) const noexcept;
};

enum class LoadScale : std::uint8_t {
    Share,    ///< of the layer's assignments
    Uniform,  ///< times what a uniform router gives each expert
    Log,      ///< log2 of that
};

/// Assignments, (layers, experts) int64, row-major; rows are `layers`.
struct LoadMatrix {
    std::vector<int> layers;
    int experts = 0;
    std::vector<std::int64_t> counts;
    std::vector<std::int64_t> totals;  ///< (layers)

    std::int64_t count(int row, int expert) const noexcept {
        return counts[static_cast<std::size_t>(row) * static_cast<std::size_t>(experts) +
                      static_cast<std::size_t>(expert)];
    }
    /// NaN for a layer without assignments; Log of an unused expert is -infinity.
    double value(int row, int expert, LoadScale scale) const noexcept;
};

/// Ends of a colour ramp.
struct ColorRange {
    double low = 0, high = 1;
    bool operator==(const ColorRange&) const = default;
};
/// Share and Uniform start at 0; Log is symmetric about 0 and ends at 4 at most, so that one unused
/// expert does not flatten the rest.
ColorRange loadRange(const LoadMatrix& matrix, LoadScale scale);
double rampPosition(double value, ColorRange range) noexcept;  ///< 0..1; NaN stays NaN

}  // namespace moescope::gui
