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

std::vector<double> benjaminiHochberg(std::span<const double> p) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < p.size(); ++i)
        if (!std::isnan(p[i])) order.push_back(i);
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
    std::vector<double> adjusted(p.begin(), p.end());
    double least = 1;
    for (std::size_t rank = order.size(); rank > 0; --rank) {
        const std::size_t i = order[rank - 1];
        least = std::min(least, p[i] * double(order.size()) / double(rank));
        adjusted[i] = least;
    }
    return adjusted;
}

}  // namespace moescope
