// SPDX-License-Identifier: Apache-2.0
// Two things measured side by side on the same rounds or texts, and what the pairs say of their
// ratio or difference: what moves both (a machine that drifts, a hard text) cancels.
#pragma once

#include <span>

#include "evals/stats/intervals.h"

namespace moescope::stats {

struct Estimate {
    double value = 0;   ///< NaN when there is nothing to estimate from
    Interval interval;  ///< 95 %; NaN when there are too few pairs
};

/// Median of a_i / b_i, all positive: one slow round moves it little. Interval of the median by
/// order statistics (Conover, Practical Nonparametric Statistics, 3rd ed., 3.2): the k-th smallest
/// and the k-th largest, k the most for which 2 P(binomial(n, 1/2) < k) is at most 5 %: exact for
/// independent pairs of any distribution, too narrow where neighbours are alike. NaN for fewer than
/// six pairs, of which even the extremes cover less. a, b: (n)
Estimate pairedRatio(std::span<const double> a, std::span<const double> b);

/// A figure sum(amount) / sum(size) over texts, each of which is a cluster of its own.
struct Ratio {
    std::span<const double> amount, size;  ///< (n)
};
/// Interval: t of n - 1 degrees around the value with jackknifeError(), leaving out one text at a
/// time; NaN for fewer than kFewestClusters.
Estimate ratioOfSums(const Ratio& of);
/// ratioOfSums of `of` minus that of `from` on the same texts, by the same jackknife.
Estimate ratioDifference(const Ratio& of, const Ratio& from);

}  // namespace moescope::stats
