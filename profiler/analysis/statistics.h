// SPDX-License-Identifier: Apache-2.0
// Order statistics as every table of the product defines them (docs/metrics.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moescope {

/// The middle value, or the mean of the two middle values; 0 when there is none.
double medianOfSorted(std::span<const std::int64_t> sorted) noexcept;

/// Nearest rank: the smallest value that at least `share` of the values do not exceed; 0 when there
/// is none. Always a value that occurred.
std::int64_t percentileOfSorted(std::span<const std::int64_t> sorted, double share) noexcept;

/// p-values adjusted for being many, in the given order: the smallest false discovery rate at which
/// each would be called a discovery (Benjamini and Hochberg 1995). NaN stays and counts as no test.
std::vector<double> benjaminiHochberg(std::span<const double> p);

}  // namespace moescope
