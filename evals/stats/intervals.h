// SPDX-License-Identifier: Apache-2.0
// Means, standard errors and 95 % intervals, with and without clusters.
// Sources: Miller, "Adding Error Bars to Evals" (arXiv 2411.00640); Wilson 1927.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace moescope::stats {

struct Interval {
    double low = 0, high = 0;
};

double mean(std::span<const double> x);                                   ///< NaN when empty
double sampleVariance(std::span<const double> x);                         ///< n - 1; NaN when n < 2
double standardError(std::span<const double> x);                          ///< sd / sqrt n
double covariance(std::span<const double> a, std::span<const double> b);  ///< n - 1, same length

/// sqrt(sum_c (sum_{i in c} (x_i - mean))^2) / n, times sqrt(C / (C - 1)) when `smallSample`.
/// cluster: (n) any labels. NaN for a single cluster when smallSample.
double clusteredError(std::span<const double> x, std::span<const std::size_t> cluster,
                      bool smallSample = true);
std::size_t clusterCount(std::span<const std::size_t> cluster);

/// Two-sided `confidence` interval of a proportion; n may be an effective (fractional) sample size.
Interval wilson(double successes, double n, double confidence = 0.95);
/// Wilson on n / deff, where deff is the ratio of clustered to simple variance of the mean (at
/// least 1), times (z / t)^2 with t of C - 1 degrees, because deff itself is estimated from C
/// clusters (Korn and Graubard, Survey Methodology 24, 1998). When all x agree the variances say
/// nothing: then the clusters count as single items. x: zeros and ones, or the shares of items that
/// were asked several times: then `draws` is how many zeros and ones they are made of, which is n
/// if nothing distinguishes the items.
Interval clusteredWilson(std::span<const double> x, std::span<const std::size_t> cluster,
                         double draws);
/// The same of one draw for each item.
Interval clusteredWilson(std::span<const double> x, std::span<const std::size_t> cluster);
/// mean +- t(df) se.
Interval tInterval(double center, double error, double degrees, double confidence = 0.95);

/// A bootstrap over fewer clusters gives intervals that are far too narrow: it draws from the few
/// values seen and knows no Student's t.
inline constexpr std::size_t kFewestClusters = 10;

/// A figure of the chosen items (indices, with repetition); may be NaN.
using Statistic = std::function<double(std::span<const std::size_t>)>;

/// Percentile interval of `statistic` over resamples of whole clusters (drawn with replacement,
/// seeded, the same on every platform). `statistic` gets the chosen indices into the items and may
/// return NaN (the resample is left out). low = high = NaN when fewer than half are defined or
/// there are fewer than kFewestClusters.
Interval clusterBootstrap(std::span<const std::size_t> cluster, int resamples, std::uint64_t seed,
                          const Statistic& statistic);
/// The same resamples with bias correction and acceleration (BCa: Efron 1987; Efron and Tibshirani
/// 1993, ch. 14), the acceleration by leaving out one cluster at a time. For skewed statistics such
/// as a correlation. NaN, too, when all resamples agree or lie on one side of the estimate.
Interval clusterBootstrapBca(std::span<const std::size_t> cluster, int resamples,
                             std::uint64_t seed, const Statistic& statistic);

/// Standard error of a figure by leaving out one cluster at a time (Efron and Tibshirani 1993, ch.
/// 11): sqrt((C - 1) / C sum (t_c - mean)^2). With Student's t of C - 1 degrees of freedom it
/// covers better than a bootstrap when clusters are few (docs/suites.md).
/// without: (C) the figure without each cluster in turn. NaN when one of them is, or there are
/// fewer than kFewestClusters.
double jackknifeError(std::span<const double> without);

}  // namespace moescope::stats
