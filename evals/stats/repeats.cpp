// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "evals/stats/repeats.h"

#include <algorithm>
#include <cassert>
#include <map>

namespace moescope::stats {

double passAt(std::int64_t n, std::int64_t right, std::int64_t k) {
    assert(0 <= right && right <= n && 1 <= k && k <= n);
    if (n - right < k) return 1;
    double none = 1;  // C(n - right, k) / C(n, k), without the factorials
    for (std::int64_t i = n - right + 1; i <= n; ++i)
        none *= 1 - static_cast<double>(k) / static_cast<double>(i);
    return 1 - none;
}

std::vector<std::int64_t> passSizes(std::int64_t replies) {
    std::vector<std::int64_t> sizes;
    for (std::int64_t k = 1; k < replies; k *= 2) sizes.push_back(k);
    sizes.push_back(replies);
    return sizes;
}

double consensus(std::span<const Vote> votes) {
    struct Tally {
        std::int64_t votes = 0;
        double score = 0;  ///< summed
    };
    std::map<std::string_view, Tally> tallies;
    std::int64_t most = 0;
    for (const Vote& vote : votes) {
        Tally& tally = tallies[vote.answer];
        most = std::max(most, ++tally.votes);
        tally.score += vote.score;
    }
    double sum = 0;
    std::int64_t first = 0;
    for (const auto& [answer, tally] : tallies) {
        if (tally.votes != most) continue;
        sum += tally.score / static_cast<double>(most);
        ++first;
    }
    return first > 0 ? sum / static_cast<double>(first) : 0;
}

bool unanimous(std::span<const Vote> votes) {
    return std::all_of(votes.begin(), votes.end(),
                       [&](const Vote& vote) { return vote.answer == votes.front().answer; });
}

}  // namespace moescope::stats
