// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/routed_tokens.h"

#include <algorithm>

namespace moescope {

bool RoutedTokens::count(std::int64_t first, std::int64_t tokens,
                         std::vector<std::int64_t>& counts) const {
    for (std::int64_t position = first; position < first + tokens; ++position) {
        const RoutingTokensRow* row = rowAt(position);
        if (row == nullptr) return false;
        const auto topK = static_cast<std::size_t>(row->topK);
        const std::size_t begin = static_cast<std::size_t>(position - row->firstPosition) * topK;
        for (std::size_t k = 0; k < topK; ++k) {
            const std::int16_t expert = row->experts[begin + k];
            if (expert < 0) continue;
            if (counts.size() <= static_cast<std::size_t>(expert))
                counts.resize(static_cast<std::size_t>(expert) + 1);
            ++counts[static_cast<std::size_t>(expert)];
        }
    }
    return true;
}

const RoutingTokensRow* RoutedTokens::rowAt(std::int64_t position) const noexcept {
    const auto found = std::find_if(rows_.rbegin(), rows_.rend(), [&](const auto* row) {
        return position >= row->firstPosition && position - row->firstPosition < row->tokens;
    });
    return found == rows_.rend() ? nullptr : *found;
}

}  // namespace moescope
