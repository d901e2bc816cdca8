// SPDX-License-Identifier: Apache-2.0
// Statistics against hand-worked values (checked independently with scipy and statsmodels).
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "evals/scorers.h"
#include "evals/stats/distributions.h"
#include "evals/stats/intervals.h"
#include "evals/stats/tests.h"

using namespace moescope;
using namespace moescope::stats;

namespace {
Approx near(double value) {
    return Approx(value).margin(5.1e-7);
}  // vectors have six digits
const std::vector<std::size_t> kOwn = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
}  // namespace

TEST_CASE("Normal and t distributions match tables") {
    CHECK(normalCdf(1.959963984540054) == Approx(0.975).epsilon(1e-12));
    CHECK(normalQuantile(0.975) == Approx(1.959963984540054).epsilon(1e-12));
    CHECK(normalQuantile(1e-10) == Approx(-6.361340902404056).epsilon(1e-10));
    CHECK(tQuantile(0.975, 1) == Approx(12.706204736432095).epsilon(1e-10));
    CHECK(tQuantile(0.975, 23) == Approx(2.0686576104190406).epsilon(1e-10));
    CHECK(tCdf(2.0686576104190406, 23) == Approx(0.975).epsilon(1e-10));
    CHECK(tCdf(0, 5) == Approx(0.5));
    CHECK(incompleteBeta(2, 3, 0.4) == Approx(0.5248).epsilon(1e-12));  // 1 - P(Bin(4, .4) <= 1)
}

TEST_CASE("Standard errors of a mean with and without clusters") {
    const std::vector<double> x = {1, 1, 1, 0};
    const std::vector<std::size_t> clusters = {1, 1, 2, 2};
    CHECK(mean(x) == 0.75);
    CHECK(standardError(x) == near(0.25));
    CHECK(clusteredError(x, clusters, false) == near(0.176777));
    CHECK(clusteredError(x, clusters, true) == near(0.25));
}

TEST_CASE("Paired differences are tighter than unpaired ones") {
    const std::vector<double> a = {1, 1, 1, 0, 1, 0, 1, 1, 0, 1};
    const std::vector<double> b = {1, 0, 1, 0, 1, 0, 0, 1, 0, 1};
    std::vector<double> d(10);
    for (std::size_t i = 0; i < d.size(); ++i) d[i] = a[i] - b[i];
    CHECK(mean(d) == near(0.2));
    CHECK(standardError(d) == near(0.133333));
    CHECK(std::hypot(standardError(a), standardError(b)) == near(0.226078));
    CHECK(standardError(d) ==
          Approx(std::sqrt((sampleVariance(a) + sampleVariance(b) - 2 * covariance(a, b)) / 10)));
}

TEST_CASE("Wilson intervals") {
    CHECK(wilson(8, 10).low == near(0.490162));
    CHECK(wilson(8, 10).high == near(0.943318));
    CHECK(wilson(0, 20).low == 0.0);
    CHECK(wilson(0, 20).high == near(0.161125));
    CHECK(wilson(20, 20).high == 1.0);
    CHECK(wilson(3, 8).low == near(0.136844));
    CHECK(wilson(3, 8).high == near(0.694258));
}

TEST_CASE("Clustered Wilson is the plain one for single items and counts clusters when all agree") {
    const std::vector<double> x = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
    CHECK(clusteredWilson(x, kOwn).low == near(0.490162));
    const std::vector<double> ones(20, 1.0);
    std::vector<std::size_t> five(20);
    for (std::size_t i = 0; i < 20; ++i) five[i] = i / 4;
    CHECK(clusteredWilson(ones, five).low == Approx(wilson(5, 5).low));
    // One disagreement shows that the clusters are not of copies. Sums of deviations 4 times .2,
    // once -.8: variance .8 * 5 / 4 / 400 = .0025 against .95 * .05 / 20: deff 1 / .95, and t of 4.
    std::vector<double> one = ones;
    one[0] = 0;
    const double narrower = 1.959964 / 2.776445;
    const double split = 20 * 0.95 * narrower * narrower;
    CHECK(clusteredWilson(one, five).low == Approx(wilson(0.95 * split, split).low).epsilon(1e-5));
    CHECK(clusteredWilson(one, five).low > clusteredWilson(ones, five).low);
    const std::vector<double> same = {1, 1, 1, 1, 0, 0, 0, 0};  // clusters of four that agree
    const std::vector<std::size_t> two = {0, 0, 0, 0, 1, 1, 1, 1};
    // Clustered variance (sum 2^2 + 2^2) * 2 / 64 = .25 against .25 / 8: deff 8, one effective
    // item, of which one degree of freedom leaves (1.959964 / 12.706205)^2.
    const double effective = 0.0237939;
    CHECK(clusteredWilson(same, two).low ==
          Approx(wilson(0.5 * effective, effective).low).epsilon(1e-4));
}

TEST_CASE("The jackknife of a mean is its usual error and needs ten clusters") {
    std::vector<double> without;  // the mean of 0 .. 9 without each: (45 - i) / 9
    for (int i = 0; i < 10; ++i) without.push_back((45.0 - i) / 9);
    CHECK(jackknifeError(without) == Approx(std::sqrt(82.5 / 9 / 10)));
    without.pop_back();
    CHECK(std::isnan(jackknifeError(without)));
}

TEST_CASE("A t interval of ten") {
    const Interval interval = tInterval(0.2, 0.1, 9);
    CHECK(interval.high - 0.2 == Approx(0.1 * 2.2621571628540993).epsilon(1e-10));
    CHECK(std::isnan(tInterval(0, 1, 0).low));
}

TEST_CASE("The cluster bootstrap is seeded and resamples whole clusters") {
    std::vector<std::size_t> clusters;
    for (std::size_t i = 0; i < 30; ++i) clusters.push_back(i / 3);
    const auto sizes = [](std::span<const std::size_t> items) {
        return static_cast<double>(items.size());
    };
    CHECK(clusterBootstrap(clusters, 50, 1, sizes).low == 30.0);
    CHECK(clusterBootstrap(clusters, 50, 1, sizes).high == 30.0);
    const auto first = [](std::span<const std::size_t> items) {
        double sum = 0;
        for (const std::size_t i : items) sum += static_cast<double>(i);
        return sum / static_cast<double>(items.size());
    };
    const Interval a = clusterBootstrap(clusters, 2000, 1, first);
    const Interval b = clusterBootstrap(clusters, 2000, 1, first);
    CHECK(a.low == b.low);
    // Cluster means 1, 4, ... 28: sd of the mean of ten draws is 8.617 / sqrt 10 = 2.72.
    CHECK(a.low == Approx(14.5 - 1.96 * 2.72).margin(0.6));
    CHECK(a.high == Approx(14.5 + 1.96 * 2.72).margin(0.6));
    // Nine clusters are too few.
    CHECK(std::isnan(clusterBootstrap(std::span(clusters).first(27), 2000, 1, first).low));
}

TEST_CASE("McNemar and binomial tests") {
    CHECK(mcnemarExact(3, 0) == near(0.25));
    CHECK(mcnemarExact(2, 10) == near(0.038574));
    CHECK(mcnemarExact(0, 0) == 1.0);
    CHECK(mcnemarExact(1, 1) == near(1.0));
    CHECK(binomialTest(3, 4, 0.25) == near(13.0 / 256));
    CHECK(binomialTest(0, 3, 0.25) == near(1.0));  // P(0) = P(1): ties count
}

TEST_CASE("Sign-flip permutation tests") {
    CHECK(signFlipTest(std::vector<double>{1, 2, 3}) == near(0.25));
    CHECK(signFlipTest(std::vector<double>{1, 1, 1, 1, -1, 1, 1, 1}) == near(0.0703125));
    CHECK(signFlipTest(std::vector<double>{}) == 1.0);
    CHECK(signFlipTest(std::vector<double>(24, 0.0)) == 1.0);
    CHECK(signFlipTest(std::vector<double>(24, 1.0)) == near(1.0 / 10001));
    CHECK_FALSE(allSignFlips(std::vector<double>(24, 1.0)));
}

TEST_CASE("Sign flips are exact where few differences are not zero, however many there are") {
    std::vector<double> differences(1000, 0.0);
    differences[3] = 4;
    differences[500] = -2;
    differences[501] = 3;
    differences[999] = 1;
    // Observed 6. At least 6 from 0: 10, 10 - 2, 10 - 4 and their opposites, of 16 sums.
    CHECK(signFlipTest(differences) == near(6.0 / 16));
    CHECK(allSignFlips(differences));
}

TEST_CASE("Sums that differ by rounding alone are ties") {
    // Both 0.1 + 0.2 - 0.3 and 0.3 - 0.1 - 0.2 stand for 0: every flip is as far from 0.
    CHECK(signFlipTest(std::vector<double>{0.1, 0.2, -0.3, 0.1, 0.2, -0.3}) == 1.0);
}

TEST_CASE("Holm adjustments") {
    const auto check = [](const std::vector<double>& got, const std::vector<double>& expected) {
        REQUIRE(got.size() == expected.size());
        for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == near(expected[i]));
    };
    check(holm(std::vector<double>{.01, .04, .03, .005}), {.03, .06, .06, .02});
    check(holm(std::vector<double>{.001, .2, .03, .04, .5}), {.005, .4, .12, .12, .5});
}

TEST_CASE("The yes-no logit sums the mass of all spellings") {
    CHECK(yesNoLogit(std::vector<double>{std::log(.8)}, std::vector<double>{std::log(.2)}) ==
          near(1.386294));
    const double logit =
        yesNoLogit(std::vector<double>{-0.5, -3.0}, std::vector<double>{-1.2, -4.0});
    CHECK(logit == near(0.719857));
    CHECK(1 / (1 + std::exp(-logit)) == near(0.672576));
}

TEST_CASE("Characters are counted as code points") {
    CHECK(characterCount("a\xC3\xA9\xEC\x95\x8C") == 3);
}
