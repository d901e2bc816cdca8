// SPDX-License-Identifier: Apache-2.0
// Experts of some tokens of one sequence in one layer, from rows of consecutive tokens.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "profiler/runfile/rows.h"

namespace moescope {

class RoutedTokens {
public:
    /// The row must outlive this. Where a rewind left two rows for a position, either is one of
    /// its evaluations and the row added later is taken.
    void add(const RoutingTokensRow& row);

    /// Adds the choices of the tokens [first, first + tokens) to `counts`, which grows to the
    /// greatest expert; false when one of them has no routing. Takes time in proportion to the
    /// tokens, however many rows there are.
    bool count(std::int64_t first, std::int64_t tokens, std::vector<std::int64_t>& counts) const;

private:
    struct Stretch {
        std::int64_t end = 0;  ///< behind the last position
        const RoutingTokensRow* row = nullptr;
    };
    void cut(std::int64_t at);

    std::map<std::int64_t, Stretch> stretches_;  ///< by first position; none overlaps another
};

}  // namespace moescope
