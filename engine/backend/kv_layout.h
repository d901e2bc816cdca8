// SPDX-License-Identifier: Apache-2.0
// Where a token's key and value live in a layer's cache; shared by the CPU-side back ends.
//
// A step writes the rows of all its tokens before attention reads any. A sliding-window layer
// therefore needs the window of the step's first token and all rows of the step at once:
// window - 1 + max_batch rows, used as a ring. A full layer keeps every position.
#pragma once

#include <algorithm>
#include <cstdint>

namespace moescope {

/// Rows of one layer's cache. window 0 means full attention.
constexpr int kvRows(int window, int maxContext, int maxBatch) noexcept {
    if (window <= 0) return maxContext;
    const std::int64_t ring = std::int64_t{window} - 1 + maxBatch;
    return static_cast<int>(std::min<std::int64_t>(maxContext, ring));
}

/// Row that holds `position`.
constexpr int kvRow(int position, int rows) noexcept {
    return position % rows;
}

/// First key position that the query at `position` sees; the last one is `position` itself.
/// Also the oldest position that a sequence which goes on at `position` needs of another one.
constexpr int firstVisible(int position, int window) noexcept {
    return window <= 0 ? 0 : std::max(0, position - window + 1);
}

}  // namespace moescope
