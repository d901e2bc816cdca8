// SPDX-License-Identifier: Apache-2.0
#include "gui/models/stacked_bars.h"

#include <cmath>
#include <numeric>

namespace moescope::gui {

double StackBar::total() const noexcept {
    return std::accumulate(ns.begin(), ns.end(), 0.0);
}

QRect StackedBarsLayout::barRect(std::size_t bar) const noexcept {
    constexpr int kGap = 4;
    return {area.left(), area.top() + static_cast<int>(bar) * rowHeight, area.width(),
            rowHeight - kGap};
}

QRect StackedBarsLayout::segmentRect(const StackedBars& of, StackSegment segment) const noexcept {
    const StackBar& bar = of.bars[segment.first];
    const double total = bar.total();
    const QRect rect = barRect(segment.first);
    if (!(total > 0)) return {rect.left(), rect.top(), 0, rect.height()};
    const auto part = bar.ns.begin() + static_cast<std::ptrdiff_t>(segment.second);
    const double before = std::accumulate(bar.ns.begin(), part, 0.0);
    const auto edge = [&](double ns) {
        return rect.left() + static_cast<int>(std::lround(ns / total * rect.width()));
    };
    const int left = edge(before);
    return {left, rect.top(), edge(before + *part) - left, rect.height()};
}

std::optional<StackSegment> StackedBarsLayout::segmentAt(const StackedBars& of,
                                                         QPoint point) const noexcept {
    for (std::size_t bar = 0; bar < of.bars.size(); ++bar) {
        if (!barRect(bar).contains(point)) continue;
        for (std::size_t part = 0; part < of.parts.size(); ++part)
            if (segmentRect(of, {bar, part}).contains(point)) return StackSegment{bar, part};
    }
    return std::nullopt;
}

}  // namespace moescope::gui
