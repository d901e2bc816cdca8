// SPDX-License-Identifier: Apache-2.0
#include "gui/models/heatmap_layout.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moescope::gui {

QSize HeatmapLayout::contentSize() const noexcept {
    return cellSize > 0 ? QSize(columns * cellSize, rows * cellSize) : area.size();
}

QRect HeatmapLayout::cellRect(HeatmapCell cell) const noexcept {
    const QSize size = contentSize();
    const auto edge = [](int i, int n, int pixels) {
        return static_cast<int>(static_cast<std::int64_t>(i) * pixels / n);
    };
    const int x0 = edge(cell.column, columns, size.width()),
              x1 = edge(cell.column + 1, columns, size.width());
    const int y0 = edge(cell.row, rows, size.height()),
              y1 = edge(cell.row + 1, rows, size.height());
    return QRect(QPoint(x0, y0), QSize(x1 - x0, y1 - y0)).translated(area.topLeft() - scroll);
}

std::optional<HeatmapCell> HeatmapLayout::cellAt(QPoint point) const noexcept {
    if (rows <= 0 || columns <= 0 || !area.contains(point)) return std::nullopt;
    const QPoint inside = point - area.topLeft() + scroll;
    const QSize size = contentSize();
    if (inside.x() < 0 || inside.y() < 0 || inside.x() >= size.width() ||
        inside.y() >= size.height())
        return std::nullopt;
    // Inverse of the floor in cellRect: the last index whose edge is not beyond the pixel.
    const auto index = [](int pixel, int n, int pixels) {
        return static_cast<int>(((static_cast<std::int64_t>(pixel) + 1) * n - 1) / pixels);
    };
    return HeatmapCell{index(inside.y(), rows, size.height()),
                       index(inside.x(), columns, size.width())};
}

double LoadMatrix::value(int row, int expert, LoadScale scale) const noexcept {
    const std::int64_t total = totals[static_cast<std::size_t>(row)];
    if (total <= 0) return std::numeric_limits<double>::quiet_NaN();
    const double share = static_cast<double>(count(row, expert)) / static_cast<double>(total);
    switch (scale) {
        case LoadScale::Share:
            return share;
        case LoadScale::Uniform:
            return share * experts;
        case LoadScale::Log:
            return std::log2(share * experts);
    }
    return share;
}

ColorRange loadRange(const LoadMatrix& matrix, LoadScale scale) {
    double high = 0;
    for (int row = 0; row < static_cast<int>(matrix.layers.size()); ++row) {
        for (int expert = 0; expert < matrix.experts; ++expert) {
            const double value = matrix.value(row, expert, scale);
            if (std::isfinite(value)) high = std::max(high, std::abs(value));
        }
    }
    if (scale == LoadScale::Log) {
        high = std::clamp(high, 1.0, 4.0);
        return {-high, high};
    }
    return {0, high > 0 ? high : 1};
}

double rampPosition(double value, ColorRange range) noexcept {
    if (std::isnan(value)) return value;
    return std::clamp((value - range.low) / (range.high - range.low), 0.0, 1.0);
}

}  // namespace moescope::gui
