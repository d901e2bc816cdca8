// SPDX-License-Identifier: Apache-2.0
// Exact tests by enumeration in log space.
#include "evals/stats/tests.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "evals/stats/distributions.h"
#include "evals/stats/random.h"

namespace moescope::stats {

namespace {

/// Outcomes as probable as the observation must count although rounding separates them.
constexpr double kTieSlack = 1e-7;

/// Differences whose signs are flipped in all ways.
constexpr std::size_t kMostEnumerated = 16;

std::vector<std::size_t> ascending(std::span<const double> p) {
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
    return order;
}

}  // namespace

double binomialTest(std::int64_t successes, std::int64_t n, double p) {
    if (n <= 0) return 1.0;
    const auto logMass = [&](std::int64_t k) {
        const auto dk = static_cast<double>(k);
        const auto dn = static_cast<double>(n);
        return logBinomial(dn, dk) + dk * std::log(p) + (dn - dk) * std::log1p(-p);
    };
    const double observed = logMass(successes) + kTieSlack;
    double sum = 0;
    for (std::int64_t k = 0; k <= n; ++k) {
        const double mass = logMass(k);
        if (mass <= observed) sum += std::exp(mass);
    }
    return std::min(1.0, sum);
}

double mcnemarExact(std::int64_t b, std::int64_t c) {
    return binomialTest(b, b + c, 0.5);
}

double signFlipTest(std::span<const double> differences, int draws, std::uint64_t seed) {
    std::vector<double> d;
    double observed = 0;
    double size = 0;
    for (const double difference : differences) {
        if (difference == 0) continue;
        d.push_back(difference);
        observed += difference;
        size += std::abs(difference);
    }
    // Sums in another order must count as ties although rounding separates them.
    const double least = std::abs(observed) - size * 1e-12;
    if (d.size() <= kMostEnumerated) {
        std::uint64_t hits = 0;
        const std::uint64_t ways = 1ULL << d.size();
        for (std::uint64_t mask = 0; mask < ways; ++mask) {
            double sum = 0;
            for (std::size_t i = 0; i < d.size(); ++i)
                sum += ((mask >> i) & 1U) != 0 ? -d[i] : d[i];
            if (std::abs(sum) >= least) ++hits;
        }
        return static_cast<double>(hits) / static_cast<double>(ways);
    }
    Random random(seed);
    std::int64_t hits = 0;
    for (int r = 0; r < draws; ++r) {
        double sum = 0;
        for (const double difference : d) sum += random.coin() ? -difference : difference;
        if (std::abs(sum) >= least) ++hits;
    }
    return static_cast<double>(hits + 1) / static_cast<double>(draws + 1);
}

bool allSignFlips(std::span<const double> differences) {
    const auto zeros = std::count(differences.begin(), differences.end(), 0.0);
    return differences.size() - static_cast<std::size_t>(zeros) <= kMostEnumerated;
}

std::vector<double> holm(std::span<const double> p) {
    std::vector<double> adjusted(p.size());
    double largest = 0;
    std::size_t remaining = p.size();
    for (const std::size_t i : ascending(p)) {
        largest = std::max(largest, std::min(1.0, static_cast<double>(remaining) * p[i]));
        adjusted[i] = largest;
        --remaining;
    }
    return adjusted;
}

double logSumExp(std::span<const double> x) {
    if (x.empty()) return -std::numeric_limits<double>::infinity();
    const double largest = *std::max_element(x.begin(), x.end());
    if (std::isinf(largest)) return largest;
    double sum = 0;
    for (const double value : x) sum += std::exp(value - largest);
    return largest + std::log(sum);
}

}  // namespace moescope::stats
