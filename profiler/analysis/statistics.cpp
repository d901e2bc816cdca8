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

Distribution distributionOf(std::vector<std::int64_t>& values) {
    Distribution result;
    if (values.empty()) return result;
    std::sort(values.begin(), values.end());
    const auto n = double(values.size());
    result.count = std::int64_t(values.size());
    for (const std::int64_t value : values) result.total += value;
    result.min = values.front();
    result.max = values.back();
    result.mean = double(result.total) / n;
    result.median = medianOfSorted(values);
    result.p95 = double(percentileOfSorted(values, 0.95));
    result.p99 = double(percentileOfSorted(values, 0.99));
    if (values.size() > 1) {
        double squares = 0;
        for (const std::int64_t value : values)
            squares += (double(value) - result.mean) * (double(value) - result.mean);
        result.standardDeviation = std::sqrt(squares / (n - 1));
    }
    return result;
}

double studentT975(double degrees) noexcept {
    if (!(degrees >= 3)) return Distribution::kUnknown;
    constexpr double z = 1.959963984540054;
    constexpr double z2 = z * z;
    const double g1 = z * (z2 + 1) / 4;
    const double g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
    const double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    const double g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
    return z + (g1 + (g2 + (g3 + g4 / degrees) / degrees) / degrees) / degrees;
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
