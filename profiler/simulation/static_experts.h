// SPDX-License-Identifier: Apache-2.0
// A set of experts that is chosen once and never changes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moescope {

/// Uses of each expert in two halves of the texts.
struct HalvedUses {
    std::vector<std::uint64_t> first, second;  ///< (n_expert)
};

/// Share of the uses that the hottest C experts of a half have in the other half, either way round
/// and over the uses of both, by C - 1. Of equally hot ones the lower id first. NaN where a half
/// has no uses: it can choose nothing, or try nothing.
std::vector<double> heldOutHits(const HalvedUses& uses);

/// The same with the hottest of all texts tried on all texts: never less than any set would have.
std::vector<double> inSampleHits(const HalvedUses& uses);

/// Which of n texts are in the second half: n / 2 of them by a fixed shuffle, since workloads often
/// alternate their groups.
std::vector<bool> secondHalf(std::size_t n);

}  // namespace moescope
