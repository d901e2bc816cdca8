// SPDX-License-Identifier: Apache-2.0
// Tokens in order of time as columns of a chart. Geometry only, tested without a window.
#pragma once

#include <QRect>
#include <optional>
#include <vector>

#include "profiler/analysis/token_latency.h"

namespace moescope::gui {

/// Where tokens are more than columns a column stands for several and shows the slowest of them,
/// so that no outlier is lost.
struct TokenColumn {
    std::size_t token = 0;   ///< index into TokenLatency::tokens: the one that is shown
    std::size_t tokens = 0;  ///< that the column stands for
    bool operator==(const TokenColumn&) const = default;
};
/// Of the first tokens or of the output tokens, at most `columns`.
std::vector<TokenColumn> tokenColumns(const TokenLatency& latency, bool first, int columns);

/// Upper edge of a chart of such times: the longest, or where that would press the others flat
/// (more than four times p95) twice p95.
double tokenScaleNs(const Distribution& times) noexcept;

struct TokenChartLayout {
    QRect area;
    std::size_t columns = 0;
    double highestNs = 1;  ///< upper edge; what is above it is cut off

    QRect columnRect(std::size_t column) const noexcept;  ///< whole height
    std::optional<std::size_t> columnAt(QPoint point) const noexcept;
    int yOf(double ns) const noexcept;
};

}  // namespace moescope::gui
