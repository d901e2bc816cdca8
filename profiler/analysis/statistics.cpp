// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace moescope {

double medianOfSorted(std::span<const std::int64_t> sorted) noexcept {
    if (sorted.empty()) return 0;
    const std::size_t middle = sorted.size() / 2;
    if (sorted.size() % 2 == 1) return double(sorted[middle]);
    return (double(sorted[middle - 1]) + double(sorted[middle])) / 2;
}

std::int64_t percentileOfSorted(std::span<const std::int64_t> sorted, double share) noexcept {
    if (sorted.empty()) return 0;
    const double rank = std::ceil(share * double(sorted.size()));
    const auto index = std::size_t(std::clamp(rank, 1.0, double(sorted.size()))) - 1;
    return sorted[index];
}

}  // namespace moescope
