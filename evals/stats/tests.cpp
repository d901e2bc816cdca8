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

ChiSquare mcnemarChiSquare(std::int64_t b, std::int64_t c) {
    if (b + c == 0) return {};
    const double excess = std::max(0.0, static_cast<double>(std::abs(b - c)) - 1.0);
    const double statistic = excess * excess / static_cast<double>(b + c);
    return {statistic, chiSquareSurvival(statistic, 1)};
}

double fisherExact(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
    const std::int64_t row = a + b;
    const std::int64_t column = a + c;
    const std::int64_t total = a + b + c + d;
    const auto logMass = [&](std::int64_t k) {
        return logBinomial(static_cast<double>(column), static_cast<double>(k)) +
               logBinomial(static_cast<double>(total - column), static_cast<double>(row - k)) -
               logBinomial(static_cast<double>(total), static_cast<double>(row));
    };
    const double observed = logMass(a) + kTieSlack;
    double sum = 0;
    const std::int64_t first = std::max<std::int64_t>(0, row + column - total);
    for (std::int64_t k = first; k <= std::min(row, column); ++k) {
        const double mass = logMass(k);
        if (mass <= observed) sum += std::exp(mass);
    }
    return std::min(1.0, sum);
}

ZTest twoProportions(std::int64_t successesA, std::int64_t nA, std::int64_t successesB,
                     std::int64_t nB) {
    const auto a = static_cast<double>(nA);
    const auto b = static_cast<double>(nB);
    const double pooled = static_cast<double>(successesA + successesB) / (a + b);
    const double error = std::sqrt(pooled * (1 - pooled) * (1 / a + 1 / b));
    if (!(error > 0)) return {};
    const double z =
        (static_cast<double>(successesA) / a - static_cast<double>(successesB) / b) / error;
    return {z, 2 * normalCdf(-std::abs(z))};
}

double signFlipTest(std::span<const double> differences, int draws, std::uint64_t seed) {
    const std::size_t n = differences.size();
    if (n == 0) return 1.0;
    const double observed = std::abs(std::accumulate(differences.begin(), differences.end(), 0.0));
    const double slack = observed * 1e-12 + 1e-300;
    constexpr std::size_t kEnumerate = 16;
    if (n <= kEnumerate) {
        std::uint64_t hits = 0;
        const std::uint64_t ways = 1ULL << n;
        for (std::uint64_t mask = 0; mask < ways; ++mask) {
            double sum = 0;
            for (std::size_t i = 0; i < n; ++i)
                sum += ((mask >> i) & 1U) != 0 ? -differences[i] : differences[i];
            if (std::abs(sum) >= observed - slack) ++hits;
        }
        return static_cast<double>(hits) / static_cast<double>(ways);
    }
    Random random(seed);
    std::int64_t hits = 0;
    for (int r = 0; r < draws; ++r) {
        double sum = 0;
        for (const double d : differences) sum += random.coin() ? -d : d;
        if (std::abs(sum) >= observed - slack) ++hits;
    }
    return static_cast<double>(hits + 1) / static_cast<double>(draws + 1);
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

std::vector<double> benjaminiHochberg(std::span<const double> p) {
    std::vector<double> adjusted(p.size());
    const std::vector<std::size_t> order = ascending(p);
    double smallest = 1;
    for (std::size_t rank = order.size(); rank > 0; --rank) {
        const std::size_t i = order[rank - 1];
        const double scaled = p[i] * static_cast<double>(p.size()) / static_cast<double>(rank);
        smallest = std::min(smallest, scaled);
        adjusted[i] = smallest;
    }
    return adjusted;
}

double jensenShannonBits(std::span<const double> p, std::span<const double> q) {
    assert(p.size() == q.size());
    const double sumP = std::accumulate(p.begin(), p.end(), 0.0);
    const double sumQ = std::accumulate(q.begin(), q.end(), 0.0);
    if (!(sumP > 0) || !(sumQ > 0)) return std::numeric_limits<double>::quiet_NaN();
    double bits = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const double a = p[i] / sumP;
        const double b = q[i] / sumQ;
        const double middle = 0.5 * (a + b);
        if (a > 0) bits += 0.5 * a * std::log2(a / middle);
        if (b > 0) bits += 0.5 * b * std::log2(b / middle);
    }
    return std::max(0.0, bits);
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
