// SPDX-License-Identifier: Apache-2.0
#include "evals/stats/paired.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "evals/stats/distributions.h"

namespace moescope::stats {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double sum(std::span<const double> x) {
    return std::accumulate(x.begin(), x.end(), 0.0);
}

/// sum(amount) / sum(size), and the same without each text in turn.
struct LeftOut {
    explicit LeftOut(const Ratio& of) {
        assert(of.amount.size() == of.size.size());
        const double amount = sum(of.amount), size = sum(of.size);
        whole = amount / size;
        for (std::size_t i = 0; i < of.size.size(); ++i)
            without.push_back((amount - of.amount[i]) / (size - of.size[i]));
    }
    double whole = 0;
    std::vector<double> without;
};

Estimate estimate(double value, std::span<const double> without) {
    const double error = jackknifeError(without);
    if (std::isnan(error)) return {value, {kNaN, kNaN}};
    return {value, tInterval(value, error, double(without.size()) - 1)};
}

/// The most k for which the median lies below the k-th smallest of n, or above the k-th largest,
/// with a probability of at most 5 %; 0: none.
std::size_t medianRank(std::size_t n) {
    const auto count = static_cast<double>(n);
    double outside = 0;
    std::size_t k = 0;
    for (; 2 * k < n; ++k) {
        outside += 2 * std::exp(logBinomial(count, static_cast<double>(k)) - count * std::log(2));
        if (outside > 0.05) break;
    }
    return k;
}

}  // namespace

Estimate pairedRatio(std::span<const double> a, std::span<const double> b) {
    assert(a.size() == b.size());
    std::vector<double> ratios;
    for (std::size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
    if (ratios.empty()) return {kNaN, {kNaN, kNaN}};
    std::sort(ratios.begin(), ratios.end());
    const std::size_t n = ratios.size();
    const double median = (ratios[(n - 1) / 2] + ratios[n / 2]) / 2;
    const std::size_t kept = medianRank(n);
    if (kept == 0) return {median, {kNaN, kNaN}};
    return {median, {ratios[kept - 1], ratios[n - kept]}};
}

Estimate ratioOfSums(const Ratio& of) {
    const LeftOut all(of);
    return estimate(all.whole, all.without);
}

Estimate ratioDifference(const Ratio& of, const Ratio& from) {
    const LeftOut one(of), other(from);
    assert(one.without.size() == other.without.size());
    std::vector<double> without;
    for (std::size_t i = 0; i < one.without.size(); ++i)
        without.push_back(one.without[i] - other.without[i]);
    return estimate(one.whole - other.whole, without);
}

}  // namespace moescope::stats
