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

using Members = std::vector<std::vector<std::size_t>>;

Members membersOf(std::span<const std::size_t> cluster) {
    std::map<std::size_t, std::vector<std::size_t>> byLabel;
    for (std::size_t i = 0; i < cluster.size(); ++i) byLabel[cluster[i]].push_back(i);
    Members members;
    for (auto& [label, indices] : byLabel) members.push_back(std::move(indices));
    return members;
}

/// The statistic of each resample of whole clusters, ascending. Empty for a single cluster, or when
/// it is defined in fewer than half of the resamples.
std::vector<double> replicates(const Members& members, int resamples, std::uint64_t seed,
                               const Statistic& statistic) {
    std::vector<double> values;
    if (members.size() < kFewestClusters) return values;
    Random random(seed);
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
    if (values.size() * 2 < static_cast<std::size_t>(resamples)) values.clear();
    std::sort(values.begin(), values.end());
    return values;
}

/// Linear interpolation between order statistics. sorted: ascending, not empty.
double quantile(std::span<const double> sorted, double p) {
    const double place = p * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// The statistic without each cluster in turn.
std::vector<double> leaveOneOut(const Members& members, const Statistic& statistic) {
    std::vector<double> without;
    for (std::size_t left = 0; left < members.size(); ++left) {
        std::vector<std::size_t> rest;
        for (std::size_t c = 0; c < members.size(); ++c)
            if (c != left) rest.insert(rest.end(), members[c].begin(), members[c].end());
        without.push_back(statistic(rest));
    }
    return without;
}

/// sum d^3 / (6 (sum d^2)^1.5), d_c = mean of the leave-one-out statistics - that without cluster
/// c. 0 when they are all equal; NaN when one is undefined.
double accelerationOf(const Members& members, const Statistic& statistic) {
    const std::vector<double> without = leaveOneOut(members, statistic);
    const double center = mean(without);
    double squares = 0;
    double cubes = 0;
    for (const double value : without) {
        const double d = center - value;
        squares += d * d;
        cubes += d * d * d;
    }
    return squares == 0 ? 0 : cubes / (6 * std::pow(squares, 1.5));
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
    return clusteredWilson(x, cluster, static_cast<double>(x.size()));
}

Interval clusteredWilson(std::span<const double> x, std::span<const std::size_t> cluster,
                         double draws) {
    if (x.empty()) return {kNaN, kNaN};
    const double p = mean(x);
    const auto clusters = static_cast<double>(clusterCount(cluster));
    // When all agree, deff cannot be estimated, and clusters whose items are copies of one another
    // look just so: only the clusters count then. One disagreement inside a cluster is evidence
    // against that. The lower bound of 20 of 20 in 5 clusters (0.57) may therefore be below that of
    // 19 of 20 (0.65): n / 1 (z / t)^2 in place of C would treat items as independent where the
    // data cannot say so, and too narrow an interval is the worse mistake.
    double effective = clusters;
    if (p > 0 && p < 1 && clusters > 1 && clusters < draws) {
        const double clustered = clusteredError(x, cluster);
        const double deff = std::max(1.0, clustered * clustered / (p * (1 - p) / draws));
        const double narrower = normalQuantile(0.025) / tQuantile(0.025, clusters - 1);
        effective = draws / deff * narrower * narrower;
    }
    return wilson(p * effective, effective);
}

Interval tInterval(double center, double error, double degrees, double confidence) {
    if (!(degrees > 0) || std::isnan(error)) return {kNaN, kNaN};
    const double t = -tQuantile((1.0 - confidence) / 2.0, degrees);
    return {center - t * error, center + t * error};
}

Interval clusterBootstrap(std::span<const std::size_t> cluster, int resamples, std::uint64_t seed,
                          const Statistic& statistic) {
    const auto members = membersOf(cluster);
    const std::vector<double> values = replicates(members, resamples, seed, statistic);
    if (values.empty()) return {kNaN, kNaN};
    return {quantile(values, 0.025), quantile(values, 0.975)};
}

Interval clusterBootstrapBca(std::span<const std::size_t> cluster, int resamples,
                             std::uint64_t seed, const Statistic& statistic) {
    const auto members = membersOf(cluster);
    const std::vector<double> values = replicates(members, resamples, seed, statistic);
    if (values.empty() || values.front() == values.back()) return {kNaN, kNaN};
    std::vector<std::size_t> all(cluster.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    const double estimate = statistic(all);
    const auto [first, last] = std::equal_range(values.begin(), values.end(), estimate);
    const auto below = static_cast<double>(first - values.begin());
    const double share =
        (below + static_cast<double>(last - first) / 2) / static_cast<double>(values.size());
    const double acceleration = accelerationOf(members, statistic);
    if (!(share > 0 && share < 1) || std::isnan(acceleration)) return {kNaN, kNaN};
    const double bias = normalQuantile(share);
    const auto end = [&](double p) {
        const double z = bias + normalQuantile(p);
        const double stretch = 1 - acceleration * z;
        return stretch > 0 ? quantile(values, normalCdf(bias + z / stretch)) : kNaN;
    };
    return {end(0.025), end(0.975)};
}

double jackknifeError(std::span<const double> without) {
    if (without.size() < kFewestClusters) return kNaN;
    const auto clusters = static_cast<double>(without.size());
    return std::sqrt(sampleVariance(without)) * (clusters - 1) / std::sqrt(clusters);
}

}  // namespace moescope::stats
