// SPDX-License-Identifier: Apache-2.0
// Significance tests and corrections for many of them. All p-values are two-sided.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moescope::stats {

/// Exact binomial test: sum of the probabilities not above that of the observation.
double binomialTest(std::int64_t successes, std::int64_t n, double p = 0.5);
/// Exact McNemar: binomial test of b among b + c discordant pairs; 1 when there are none.
double mcnemarExact(std::int64_t b, std::int64_t c);

inline constexpr int kSignFlipDraws = 10'000;
/// Is the mean of paired differences zero? Of the ways to flip their signs, the share with a sum at
/// least as far from 0. Differences of 0 change no sum: with at most 16 others all 2^n ways, else
/// `draws` seeded random ones with (hits + 1) / (draws + 1). 1 when there are none.
double signFlipTest(std::span<const double> differences, int draws = kSignFlipDraws,
                    std::uint64_t seed = 1);
/// Whether signFlipTest goes through all ways: its p is exact.
bool allSignFlips(std::span<const double> differences);

/// Adjusted p-values (Holm: family-wise error), in the given order.
std::vector<double> holm(std::span<const double> p);

/// ln sum exp(x), stable. -infinity when empty.
double logSumExp(std::span<const double> x);

}  // namespace moescope::stats
