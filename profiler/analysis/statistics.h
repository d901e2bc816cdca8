// SPDX-License-Identifier: Apache-2.0
// Order statistics as every table of the product defines them (docs/metrics.md).
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace moescope {

/// The middle value, or the mean of the two middle values; 0 when there is none.
double medianOfSorted(std::span<const std::int64_t> sorted) noexcept;

/// Nearest rank: the smallest value that at least `share` of the values do not exceed; 0 when there
/// is none. Always a value that occurred.
std::int64_t percentileOfSorted(std::span<const std::int64_t> sorted, double share) noexcept;

/// What every table shows of a set of times.
struct Distribution {
    static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

    std::int64_t count = 0, total = 0, min = 0, max = 0;
    double mean = kUnknown, median = kUnknown;
    double p95 = kUnknown, p99 = kUnknown;  ///< nearest rank
    double standardDeviation = kUnknown;    ///< of a sample (n - 1); NaN below two values
};

/// Sorts `values`. Without values everything but count and total is NaN or 0.
Distribution distributionOf(std::vector<std::int64_t>& values);

/// 97.5 % quantile of Student's t with `degrees` >= 3 of freedom, for 95 % intervals: the expansion
/// of Abramowitz and Stegun 26.7.5, within 0.005 from 3 degrees and 0.0001 from 8. NaN below 3.
double studentT975(double degrees) noexcept;

/// p-values adjusted for being many, in the given order: the smallest false discovery rate at which
/// each would be called a discovery (Benjamini and Hochberg 1995). NaN stays and counts as no test.
std::vector<double> benjaminiHochberg(std::span<const double> p);

}  // namespace moescope
