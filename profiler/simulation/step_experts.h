// SPDX-License-Identifier: Apache-2.0
// How many different experts a step of several tokens reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace moescope {

/// counts (n_text, n_expert): tokens of a text that chose an expert; tokens (n_text), all above 0.
/// Expected number of different experts that B tokens choose, each of another text and at a random
/// place of it, all choices of B texts alike: sum over the experts of 1 - the mean, over sets of B
/// texts, of the product of the shares of their tokens that do not choose it. Exact, nothing is
/// drawn. Returns (most + 1) by B; NaN where there are fewer than B texts. Time n_text n_expert
/// `most`.
std::vector<double> expectedExperts(std::span<const std::uint32_t> counts,
                                    std::span<const std::int64_t> tokens, std::size_t most);

}  // namespace moescope
