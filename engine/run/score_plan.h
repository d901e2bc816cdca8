// SPDX-License-Identifier: Apache-2.0
// What is evaluated to score given sequences: beginnings that several share, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/core/types.h"

namespace moescope {

/// Log-probabilities are found for tokens[reportFrom..], each given all before it. All tokens but
/// the last are evaluated.
struct ScoreSequence {
    std::vector<TokenId> tokens;
    std::size_t reportFrom = 1;  ///< at least 1 and less than tokens.size()
    std::int64_t label = 0;      ///< under which the routing sink is told of it
    std::size_t routedFrom = 0;  ///< of whose tokens from here on
};

struct ScorePlan {
    static constexpr std::ptrdiff_t kFresh = -1;  ///< parent of a node that begins a sequence
    static constexpr std::ptrdiff_t kHeld = -2;   ///< of one that goes on from the held path

    /// Tokens [begin, end) of the sequences order[first, last).
    struct Node {
        std::ptrdiff_t parent = kFresh;
        std::size_t begin = 0, end = 0;
        std::size_t first = 0, last = 0;
        std::size_t subtreeEnd = 0;  ///< nodes up to here begin with this one
    };

    std::vector<std::size_t> order;  ///< of the sequences: those that end earlier in the tree first
    std::vector<Node> nodes;         ///< each behind its parent, its subtree next to it
};

struct ScorePlanOptions {
    bool share = true;
    /// Nodes from the beginning of a sequence to its end, at most.
    int maxLineage = std::numeric_limits<int>::max();
    /// Tokens that were evaluated before and are still held; what begins with some goes on from
    /// there, unless logits of them are asked for.
    std::span<const TokenId> held{};
    /// heldLineage[i]: nodes that hold held[0, i + 1); (held.size())
    std::span<const int> heldLineage{};
};

ScorePlan planScoring(std::span<const ScoreSequence> sequences, const ScorePlanOptions& options);

}  // namespace moescope
