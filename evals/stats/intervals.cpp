// SPDX-License-Identifier: Apache-2.0
// Formulas: see the header.
#include "evals/stats/intervals.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <unordered_map>

#include "evals/stats/distributions.h"
#include "evals/stats/random.h"

namespace moescope::stats {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<std::vector<std::size_t>> membersOf(std::span<const std::size_t> cluster) {
    std::map<std::size_t, std::vector<std::size_t>> byLabel;
    for (std::size_t i = 0; i < cluster.size(); ++i) byLabel[cluster[i]].push_back(i);
    std::vector<std::vector<std::size_t>> members;
    for (auto& [label, indices] : byLabel) members.push_back(std::move(indices));
    return members;
}

}  // namespace

double mean(std::span<const double> x) {
    if (x.empty()) return kNaN;
    return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

double covariance(std::span<const double> a, std::span<const double> b) {
    assert(a.size() == b.size());
    if (a.size() < 2) return kNaN;
    const double meanA = mean(a);
    const double meanB = mean(b);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - meanA) * (b[i] - meanB);
    return sum / static_cast<double>(a.size() - 1);
}

double sampleVariance(std::span<const double> x) {
    return covariance(x, x);
}

double standardError(std::span<const double> x) {
    return std::sqrt(sampleVariance(x) / static_cast<double>(x.size()));
}

double clusteredError(std::span<const double> x, std::span<const std::size_t> cluster,
                      bool smallSample) {
    assert(x.size() == cluster.size());
    const double center = mean(x);
    std::unordered_map<std::size_t, double> sums;
    for (std::size_t i = 0; i < x.size(); ++i) sums[cluster[i]] += x[i] - center;
    double squares = 0;
    for (const auto& [label, sum] : sums) squares += sum * sum;
    const auto clusters = static_cast<double>(sums.size());
    if (smallSample) squares *= clusters > 1 ? clusters / (clusters - 1) : kNaN;
    return std::sqrt(squares) / static_cast<double>(x.size());
}

std::size_t clusterCount(std::span<const std::size_t> cluster) {
    std::vector<std::size_t> labels(cluster.begin(), cluster.end());
    std::sort(labels.begin(), labels.end());
    return static_cast<std::size_t>(std::unique(labels.begin(), labels.end()) - labels.begin());
}

Interval wilson(double successes, double n, double confidence) {
    if (!(n > 0)) return {kNaN, kNaN};
    const double z = -normalQuantile((1.0 - confidence) / 2.0);
    const double p = successes / n;
    const double center = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    // At the ends center and half are equal by algebra; do not let rounding say otherwise.
    return {successes <= 0 ? 0.0 : center - half, successes >= n ? 1.0 : center + half};
}

Interval clusteredWilson(std::span<const double> x, std::span<const std::size_t> cluster) {
    const auto n = static_cast<double>(x.size());
    if (x.empty()) return {kNaN, kNaN};
    const double p = mean(x);
    const auto clusters = static_cast<double>(clusterCount(cluster));
    double deff = n / clusters;
    if (p > 0 && p < 1 && clusters > 1 && clusters < n) {
        const double clustered = clusteredError(x, cluster);
        deff = std::max(1.0, clustered * clustered / (p * (1 - p) / n));
    }
    const double effective = n / deff;
    return wilson(p * effective, effective);
}

Interval tInterval(double center, double error, double degrees, double confidence) {
    if (!(degrees > 0) || std::isnan(error)) return {kNaN, kNaN};
    const double t = -tQuantile((1.0 - confidence) / 2.0, degrees);
    return {center - t * error, center + t * error};
}

Interval clusterBootstrap(std::span<const std::size_t> cluster, int resamples, std::uint64_t seed,
                          const std::function<double(std::span<const std::size_t>)>& statistic) {
    const auto members = membersOf(cluster);
    if (members.size() < 2) return {kNaN, kNaN};
    Random random(seed);
    std::vector<double> values;
    std::vector<std::size_t> chosen;
    for (int r = 0; r < resamples; ++r) {
        chosen.clear();
        for (std::size_t c = 0; c < members.size(); ++c) {
            const auto& one = members[random.below(members.size())];
            chosen.insert(chosen.end(), one.begin(), one.end());
        }
        const double value = statistic(chosen);
        if (!std::isnan(value)) values.push_back(value);
    }
    if (values.size() * 2 < static_cast<std::size_t>(resamples)) return {kNaN, kNaN};
    std::sort(values.begin(), values.end());
    const auto quantile = [&](double p) {  // linear interpolation between order statistics
        const double place = p * static_cast<double>(values.size() - 1);
        const auto below = static_cast<std::size_t>(place);
        const std::size_t above = std::min(below + 1, values.size() - 1);
        return values[below] +
               (place - static_cast<double>(below)) * (values[above] - values[below]);
    };
    return {quantile(0.025), quantile(0.975)};
}

}  // namespace moescope::stats
