// SPDX-License-Identifier: Apache-2.0
// Formulas: see the header.
#include "evals/stats/correlation.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "evals/stats/intervals.h"
#include "evals/stats/random.h"

namespace moescope::stats {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// By comparison: the variance of equal values may come out above zero by rounding.
bool constant(std::span<const double> x) {
    return std::all_of(x.begin(), x.end(), [&](double value) { return value == x[0]; });
}

std::vector<double> centred(std::span<const double> x) {
    const double center = mean(x);
    std::vector<double> out;
    for (const double value : x) out.push_back(value - center);
    return out;
}

double product(std::span<const double> x, std::span<const double> y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) {
    assert(x.size() == y.size());
    if (x.size() < 2 || constant(x) || constant(y)) return kNaN;
    const std::vector<double> a = centred(x);
    const std::vector<double> b = centred(y);
    // Two roots: the product of two small or two large sums could leave the range.
    const double r = product(a, b) / (std::sqrt(product(a, a)) * std::sqrt(product(b, b)));
    return std::clamp(r, -1.0, 1.0);
}

double slope(std::span<const double> x, std::span<const double> y) {
    assert(x.size() == y.size());
    if (x.size() < 2 || constant(x)) return kNaN;
    const std::vector<double> a = centred(x);
    return product(a, centred(y)) / product(a, a);
}

std::vector<double> ranks(std::span<const double> x) {
    std::vector<std::size_t> order(x.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return x[a] < x[b]; });
    std::vector<double> out(x.size());
    for (std::size_t first = 0; first < order.size();) {
        std::size_t end = first;
        while (end < order.size() && x[order[end]] == x[order[first]]) ++end;
        // Ranks first + 1 .. end
        for (std::size_t i = first; i < end; ++i)
            out[order[i]] = static_cast<double>(first + 1 + end) / 2;
        first = end;
    }
    return out;
}

double spearman(std::span<const double> x, std::span<const double> y) {
    return pearson(ranks(x), ranks(y));
}

double permutationTest(std::span<const double> x, std::span<const double> y, int draws,
                       std::uint64_t seed) {
    if (std::isnan(pearson(x, y))) return kNaN;
    // Means and variances do not change with the order: the products decide.
    const std::vector<double> a = centred(x);
    std::vector<double> b = centred(y);
    const double observed = std::abs(product(a, b));
    const double slack = 1e-12 * std::sqrt(product(a, a)) * std::sqrt(product(b, b));
    const auto extreme = [&] { return std::abs(product(a, b)) >= observed - slack; };
    std::int64_t hits = 0;
    if (b.size() <= kAllOrders) {
        const std::vector<double> values = b;
        std::vector<std::size_t> order(b.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::int64_t orders = 0;
        do {  // of places, not of values: equal values count as often as they can be exchanged
            for (std::size_t i = 0; i < b.size(); ++i) b[i] = values[order[i]];
            if (extreme()) ++hits;
            ++orders;
        } while (std::next_permutation(order.begin(), order.end()));
        return static_cast<double>(hits) / static_cast<double>(orders);
    }
    Random random(seed);
    for (int draw = 0; draw < draws; ++draw) {
        for (std::size_t i = b.size(); i > 1; --i) std::swap(b[i - 1], b[random.below(i)]);
        if (extreme()) ++hits;
    }
    return static_cast<double>(hits + 1) / static_cast<double>(draws + 1);
}

}  // namespace moescope::stats
