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
struct ChiSquare {
    double statistic = 0, p = 1;
};
/// With continuity correction: (|b - c| - 1)^2 / (b + c).
ChiSquare mcnemarChiSquare(std::int64_t b, std::int64_t c);
/// Fisher's exact test of the table (a b; c d).
double fisherExact(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d);
/// Two proportions, pooled z.
struct ZTest {
    double z = 0, p = 1;
};
ZTest twoProportions(std::int64_t successesA, std::int64_t nA, std::int64_t successesB,
                     std::int64_t nB);

/// Is the mean of paired differences zero? Flips signs: all 2^n ways for n <= 16, else `draws`
/// seeded random ones with (hits + 1) / (draws + 1). Zero differences stay. 1 when empty.
double signFlipTest(std::span<const double> differences, int draws = 10'000,
                    std::uint64_t seed = 1);

/// Adjusted p-values, in the given order. Holm: family-wise error. Benjamini-Hochberg: false
/// discovery rate.
std::vector<double> holm(std::span<const double> p);
std::vector<double> benjaminiHochberg(std::span<const double> p);

/// Jensen-Shannon divergence in bits of two distributions over the same outcomes (each is divided
/// by its sum). NaN when one sums to zero.
double jensenShannonBits(std::span<const double> p, std::span<const double> q);

/// ln sum exp(x), stable. -infinity when empty.
double logSumExp(std::span<const double> x);

}  // namespace moescope::stats
