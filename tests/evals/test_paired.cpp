// SPDX-License-Identifier: Apache-2.0
#include "evals/stats/paired.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using namespace moescope::stats;

TEST_CASE("the ratio of paired rounds is their median, with ranks for an interval") {
    const std::vector<double> b{1, 10, 1, 1, 1, 1};  // a round that was slow for both
    const Estimate six = pairedRatio(std::vector<double>{4, 20, 1, 3, 6, 9}, b);
    CHECK(six.value == 3.5);       // of 1, 2, 3, 4, 6, 9
    CHECK(six.interval.low == 1);  // outside the extremes with 2 / 2^6 = 3.1 %
    CHECK(six.interval.high == 9);
    std::vector<double> ten, ones(10, 1.0);
    for (int i = 1; i <= 10; ++i) ten.push_back(i * i);
    const Estimate of = pairedRatio(ten, ones);
    CHECK(of.value == 30.5);
    CHECK(of.interval.low == 4);  // 2 (1 + 10) / 2^10 = 2.1 %; with 45 more 11 %
    CHECK(of.interval.high == 81);
    ten.back() = 1e6;  // a round in which something else ran
    CHECK(pairedRatio(ten, ones).interval.high == 81);
    const std::vector<double> five{1, 2, 3, 4, 5};
    CHECK(pairedRatio(five, std::vector<double>(5, 1.0)).value == 3);
    CHECK(std::isnan(pairedRatio(five, std::vector<double>(5, 1.0)).interval.low));  // 6.3 %
    CHECK(std::isnan(pairedRatio({}, {}).value));
}

TEST_CASE("a ratio of sums over texts of one size is their mean with its standard error") {
    std::vector<double> amount, size(10, 1.0);
    for (int i = 1; i <= 10; ++i) amount.push_back(i);
    const Estimate of = ratioOfSums({amount, size});
    CHECK(of.value == Approx(5.5));
    const double half = 2.2621571628 * std::sqrt(55.0 / 6 / 10);  // t(9), variance 55 / 6
    CHECK(of.interval.low == Approx(5.5 - half));
    CHECK(of.interval.high == Approx(5.5 + half));
    amount.pop_back();
    size.pop_back();
    CHECK(std::isnan(ratioOfSums({amount, size}).interval.low));  // too few texts
}

TEST_CASE("a difference of ratios on the same texts leaves out what both share") {
    std::vector<double> first, second, size;
    for (int i = 0; i < 12; ++i) {
        size.push_back(100 + 10 * i);
        first.push_back(size.back() * (i % 3 + 1));  // hard and easy texts
        second.push_back(first.back() + 0.5 * size.back());
    }
    const Estimate more = ratioDifference({second, size}, {first, size});
    CHECK(more.value == Approx(0.5));
    CHECK(more.interval.low == Approx(0.5));
    CHECK(more.interval.high == Approx(0.5));
    CHECK(ratioOfSums({first, size}).interval.high - ratioOfSums({first, size}).interval.low > 0.5);
    CHECK(ratioDifference({first, size}, {first, size}).value == 0);
}
