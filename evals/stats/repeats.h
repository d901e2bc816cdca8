// SPDX-License-Identifier: Apache-2.0
// What several replies to one item say together: figures of one item, whose mean over items a
// metric is.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moescope::stats {

/// The probability that at least one of `k` replies is right, estimated without bias from `n`
/// replies of which `right` are: 1 - C(n - right, k) / C(n, k) (Chen et al., "Evaluating Large
/// Language Models Trained on Code", arXiv 2107.03374, eq. 1). 0 <= right <= n, 1 <= k <= n.
double passAt(std::int64_t n, std::int64_t right, std::int64_t k);

/// The numbers of replies that pass@k is told for of items with so many: the powers of two below,
/// and all. {1, 2, 4, 6} of 6.
std::vector<std::int64_t> passSizes(std::int64_t replies);

/// A reply that holds an answer.
struct Vote {
    std::string_view answer;
    double score = 0;  ///< of the reply
};
/// The score of the answer that most replies give (self-consistency: Wang et al., arXiv
/// 2203.11171); of several that are given equally often the mean, which is what drawing one of them
/// would score. 0 without votes.
double consensus(std::span<const Vote> votes);
/// Whether all give the same answer.
bool unanimous(std::span<const Vote> votes);

}  // namespace moescope::stats
