// SPDX-License-Identifier: Apache-2.0
#include "gui/models/token_columns.h"

#include <algorithm>
#include <cmath>

namespace moescope::gui {

std::vector<TokenColumn> tokenColumns(const TokenLatency& latency, bool first, int columns) {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < latency.tokens.size(); ++i)
        if (latency.tokens[i].first == first) chosen.push_back(i);
    const std::size_t n = std::min(chosen.size(), static_cast<std::size_t>(std::max(columns, 0)));
    std::vector<TokenColumn> out;
    for (std::size_t c = 0; c < n; ++c) {
        const std::size_t begin = c * chosen.size() / n, end = (c + 1) * chosen.size() / n;
        const auto slowest = std::max_element(
            chosen.begin() + static_cast<std::ptrdiff_t>(begin),
            chosen.begin() + static_cast<std::ptrdiff_t>(end), [&](std::size_t a, std::size_t b) {
                return latency.tokens[a].ns() < latency.tokens[b].ns();
            });
        out.push_back({*slowest, end - begin});
    }
    return out;
}

double tokenScaleNs(const Distribution& times) noexcept {
    const double longest = std::max(1.0, double(times.max));
    return times.p95 > 0 && longest > 4 * times.p95 ? 2 * times.p95 : longest;
}

QRect TokenChartLayout::columnRect(std::size_t column) const noexcept {
    constexpr int kWidest = 24;
    const int n = std::max(1, static_cast<int>(columns));
    const int room = std::min(area.width(), n * kWidest);
    const int at = static_cast<int>(column);
    const int left = area.left() + at * room / n, next = area.left() + (at + 1) * room / n;
    return {left, area.top(), next - left, area.height()};
}

std::optional<std::size_t> TokenChartLayout::columnAt(QPoint point) const noexcept {
    if (!area.contains(point)) return std::nullopt;
    for (std::size_t c = 0; c < columns; ++c)
        if (columnRect(c).contains(point)) return c;
    return std::nullopt;
}

int TokenChartLayout::yOf(double ns) const noexcept {
    const double share = std::min(1.0, ns / highestNs);
    return area.top() + area.height() - static_cast<int>(std::lround(share * area.height()));
}

}  // namespace moescope::gui
