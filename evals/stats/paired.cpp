// SPDX-License-Identifier: Apache-2.0
#include "evals/stats/paired.h"

#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

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

}  // namespace

Estimate pairedRatio(std::span<const double> a, std::span<const double> b) {
    assert(a.size() == b.size());
    std::vector<double> logs;
    for (std::size_t i = 0; i < a.size(); ++i) logs.push_back(std::log(a[i] / b[i]));
    const double center = mean(logs);
    if (logs.size() < 2) return {std::exp(center), {kNaN, kNaN}};
    const Interval in = tInterval(center, standardError(logs), double(logs.size()) - 1);
    return {std::exp(center), {std::exp(in.low), std::exp(in.high)}};
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
