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
/// Is the mean of paired differences zero? Flips signs: all 2^n ways for n <= 16, else `draws`
/// seeded random ones with (hits + 1) / (draws + 1). Zero differences stay. 1 when empty.
double signFlipTest(std::span<const double> differences, int draws = 10'000,
                    std::uint64_t seed = 1);

/// Adjusted p-values (Holm: family-wise error), in the given order.
std::vector<double> holm(std::span<const double> p);

/// ln sum exp(x), stable. -infinity when empty.
double logSumExp(std::span<const double> x);

}  // namespace moescope::stats
