// SPDX-License-Identifier: Apache-2.0
// Horizontal bars of shares that add up to one, for times by cause and by operation. Values and
// geometry only, tested without a window.
#pragma once

#include <QColor>
#include <QRect>
#include <QString>
#include <optional>
#include <utility>
#include <vector>

namespace moescope::gui {

/// What a segment stands for: the same colour and name in every bar.
struct StackPart {
    QString name;
    QColor color;
    QString operation;  ///< as in Selection; empty: no operation of the model
};

struct StackBar {
    QString name;
    std::vector<double> ns;  ///< (n_parts)
    double total() const noexcept;
};

struct StackedBars {
    std::vector<StackPart> parts;
    std::vector<StackBar> bars;
    bool empty() const noexcept { return bars.empty(); }
};

/// A segment: bar and part.
using StackSegment = std::pair<std::size_t, std::size_t>;

/// Every bar is as wide as `area` whatever its total; segments share whole pixels without a hole.
struct StackedBarsLayout {
    QRect area;  ///< of the bars, without names, totals and legend
    int rowHeight = 1;

    QRect barRect(std::size_t bar) const noexcept;
    QRect segmentRect(const StackedBars& of, StackSegment segment) const noexcept;
    std::optional<StackSegment> segmentAt(const StackedBars& of, QPoint point) const noexcept;
};

}  // namespace moescope::gui
