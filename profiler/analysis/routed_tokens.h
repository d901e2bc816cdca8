// SPDX-License-Identifier: Apache-2.0
// Experts of some tokens of one sequence in one layer, from rows of consecutive tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/runfile/rows.h"

namespace moescope {

class RoutedTokens {
public:
    /// The row must outlive this.
    void add(const RoutingTokensRow& row) { rows_.push_back(&row); }

    /// Adds the choices of the tokens [first, first + tokens) to `counts`, which grows to the
    /// greatest expert; false when one of them has no routing. Where a rewind left two rows for a
    /// position, either is one of its evaluations and the later row is taken.
    bool count(std::int64_t first, std::int64_t tokens, std::vector<std::int64_t>& counts) const;

private:
    const RoutingTokensRow* rowAt(std::int64_t position) const noexcept;

    std::vector<const RoutingTokensRow*> rows_;
};

}  // namespace moescope
