// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/routed_tokens.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace moescope {
namespace {

/// Of `tokens` tokens of a row from its token `from` on.
void addChoices(const RoutingTokensRow& row, std::int64_t from, std::int64_t tokens,
                std::vector<std::int64_t>& counts) {
    const auto begin = row.experts.begin() + static_cast<std::ptrdiff_t>(from * row.topK);
    std::for_each(begin, begin + static_cast<std::ptrdiff_t>(tokens * row.topK), [&](int expert) {
        if (expert < 0) return;
        const auto e = static_cast<std::size_t>(expert);
        if (counts.size() <= e) counts.resize(e + 1);
        ++counts[e];
    });
}

}  // namespace

void RoutedTokens::add(const RoutingTokensRow& row) {
    if (row.tokens <= 0) return;
    constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
    const std::int64_t first = row.firstPosition;
    const std::int64_t end = first > kLast - row.tokens ? kLast : first + row.tokens;
    cut(first);
    cut(end);
    stretches_.erase(stretches_.lower_bound(first), stretches_.lower_bound(end));
    stretches_[first] = {end, &row};
}

/// Makes two of the stretch that has positions on both sides of `at`.
void RoutedTokens::cut(std::int64_t at) {
    const auto behind = stretches_.lower_bound(at);
    if (behind == stretches_.begin()) return;
    Stretch& stretch = std::prev(behind)->second;
    if (stretch.end <= at) return;
    stretches_.emplace_hint(behind, at, stretch);
    stretch.end = at;
}

bool RoutedTokens::count(std::int64_t first, std::int64_t tokens,
                         std::vector<std::int64_t>& counts) const {
    auto at = stretches_.upper_bound(first);
    if (at != stretches_.begin()) --at;
    for (std::int64_t position = first; tokens > 0; ++at) {
        if (at == stretches_.end() || position < at->first || position >= at->second.end)
            return false;
        const std::int64_t here = std::min(tokens, at->second.end - position);
        const RoutingTokensRow& row = *at->second.row;
        addChoices(row, position - row.firstPosition, here, counts);
        position += here;
        tokens -= here;
    }
    return true;
}

}  // namespace moescope
