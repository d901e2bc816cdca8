// SPDX-License-Identifier: Apache-2.0
// Correlation with a reference: hand-worked values, level of the tests, and what has no answer.
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

#include "engine/core/error.h"
#include "evals/metrics/metric.h"
#include "evals/stats/correlation.h"
#include "evals/stats/intervals.h"
#include "evals/stats/random.h"

using namespace moescope;
using namespace moescope::stats;

namespace {

using Column = std::vector<double>;

double normal(Random& random) {  // Box-Muller
    const auto uniform = [&] {
        return (static_cast<double>(random.next() >> 11U) + 0.5) * 0x1p-53;
    };
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
}

ItemResult pairItem(const std::string& cluster, double reference, double difference) {
    static int id = 0;
    ItemResult item;
    item.id = std::to_string(id++);
    item.cluster = cluster;
    item.groups = {{"g", "a"}};
    item.detail = {{"difference", difference}, {"reference", reference}};
    return item;
}

SuiteDefinition suiteWithReference() {
    SuiteDefinition suite;
    suite.name = "s";
    suite.scoring = "pair_loglik";
    suite.reference = {"a count", TextTemplate("{count}", "t")};
    suite.factors.push_back({"g", TextTemplate("{g}", "t"), "", {}});
    suite.metrics = {{"reference_correlation", ""}};
    return suite;
}

std::vector<MetricRow> compute(const std::vector<ItemResult>& items) {
    return computeMetrics(suiteWithReference(), items, 500, 1);
}

const MetricRow& row(const std::vector<MetricRow>& rows, const std::string& name) {
    for (const MetricRow& one : rows)
        if (one.name == name) return one;
    throw std::runtime_error("no row " + name);
}

const Column kX = {1, 2, 2, 4, 6};
const Column kY = {1, 3, 2, 2, 7};

}  // namespace

TEST_CASE("Pearson and Spearman and slope of five points with ties") {
    // Deviations -2 -1 -1 1 3 and -2 0 -1 -1 4: products 16, squares 16 and 22.
    CHECK(pearson(kX, kY) == Approx(16 / std::sqrt(16.0 * 22.0)).epsilon(1e-14));
    CHECK(slope(kX, kY) == Approx(1.0).epsilon(1e-14));
    CHECK(slope(kY, kX) == Approx(16.0 / 22.0).epsilon(1e-14));
    CHECK(ranks(kX) == Column{1, 2.5, 2.5, 4, 5});
    CHECK(ranks(kY) == Column{1, 4, 2.5, 2.5, 5});
    // Deviations -2 -.5 -.5 1 2 and -2 1 -.5 -.5 2: products 7.25, squares 9.5 and 9.5.
    CHECK(spearman(kX, kY) == Approx(7.25 / 9.5).epsilon(1e-14));
}

TEST_CASE("Ranks alone decide Spearman and scale and sign are seen by both") {
    const Column x = {1, 2, 3, 4, 5};
    const Column bent = {1, 10, 100, 1e4, 1e8};
    CHECK(spearman(x, bent) == Approx(1.0).epsilon(1e-14));
    CHECK(pearson(x, bent) < 0.8);
    Column small, down;
    for (const double value : x) {
        small.push_back(1e-100 * value);
        down.push_back(-1e-100 * value);
    }
    CHECK(pearson(small, down) == Approx(-1.0));  // the product of the squares is below the range
    CHECK(ranks(Column{}).empty());
}

TEST_CASE("Nothing correlates with a constant however it is rounded") {
    const Column x = {1, 2, 3, 4, 5, 6};
    const Column tenth(6, 0.1);
    CHECK(std::isnan(pearson(x, tenth)));
    CHECK(std::isnan(pearson(tenth, x)));
    CHECK(std::isnan(permutationTest(x, tenth)));
    CHECK(std::isnan(slope(tenth, x)));
    CHECK(slope(x, tenth) == Approx(0.0).margin(1e-15));
    CHECK(std::isnan(pearson(Column{1}, Column{2})));
}

TEST_CASE("Permutation p values by counting orders") {
    const Column x = {1, 2, 3, 4, 5};
    CHECK(permutationTest(x, x) == Approx(2.0 / 120));
    // Published table of Spearman's rho, n = 5: P(|rho| >= 0.8) = 16 / 120.
    CHECK(permutationTest(x, Column{2, 1, 4, 3, 5}) == Approx(16.0 / 120));
    // Only the place of the 1 matters: |x - 3| = 2 at two of five places.
    CHECK(permutationTest(x, Column{0, 0, 0, 0, 1}) == Approx(2.0 / 5));
    Column nine = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    CHECK(permutationTest(nine, nine, 999) == Approx(1.0 / 1000).margin(1.1e-3));  // drawn: never 0
    CHECK(permutationTest(nine, nine, 999) > 0);
    CHECK(permutationTest(nine, nine, 999, 4) == permutationTest(nine, nine, 999, 4));
}

TEST_CASE("Correlation p values keep their level without correlation") {
    Random random(5);
    constexpr int kTrials = 800;
    for (const std::size_t n : {std::size_t{7}, std::size_t{20}}) {
        int pearsonHits = 0;
        int spearmanHits = 0;
        for (int trial = 0; trial < kTrials; ++trial) {
            Column x, y;
            for (std::size_t i = 0; i < n; ++i) {
                x.push_back(std::exp(normal(random)));        // skewed
                y.push_back(std::round(2 * normal(random)));  // with ties
            }
            if (permutationTest(x, y, 199, random.next()) <= 0.05) ++pearsonHits;
            if (permutationTest(ranks(x), ranks(y), 199, random.next()) <= 0.05) ++spearmanHits;
        }
        // 5 % of 800 with a standard error of 0.8 %; ties make the p of few points coarse, not
        // small.
        for (const int hits : {pearsonHits, spearmanHits}) {
            CHECK(hits > kTrials * 0.02);
            CHECK(hits < kTrials * 0.075);
        }
    }
}

TEST_CASE("The BCa interval equals the percentile interval without skew and moves with it") {
    const std::vector<std::size_t> own = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const auto meanOf = [](const Column& x) {
        return [&x](std::span<const std::size_t> chosen) {
            double sum = 0;
            for (const std::size_t i : chosen) sum += x[i];
            return sum / static_cast<double>(chosen.size());
        };
    };
    const Column even = {-9, -7, -5, -3, -1, 1, 3, 5, 7, 9};
    const Interval plain = clusterBootstrap(own, 4000, 2, meanOf(even));
    const Interval corrected = clusterBootstrapBca(own, 4000, 2, meanOf(even));
    CHECK(corrected.low == Approx(plain.low).margin(0.3));  // sd of the mean: 1.8
    CHECK(corrected.high == Approx(plain.high).margin(0.3));
    const Column skewed = {0, 0, 0, 0, 0, 1, 1, 2, 4, 20};
    CHECK(clusterBootstrapBca(own, 4000, 2, meanOf(skewed)).high >
          clusterBootstrap(own, 4000, 2, meanOf(skewed)).high + 0.5);
    const Column flat(10, 1.0);
    CHECK(std::isnan(clusterBootstrapBca(own, 500, 2, meanOf(flat)).low));
}

TEST_CASE("BCa intervals of a correlation cover it about as often as they say") {
    Random random(9);
    constexpr int kTrials = 150;
    const double rho = 0.6;
    std::vector<std::size_t> own(40);
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = i;
    int covered = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        Column x, y;
        for (std::size_t i = 0; i < own.size(); ++i) {
            x.push_back(normal(random));
            y.push_back(rho * x.back() + std::sqrt(1 - rho * rho) * normal(random));
        }
        const Interval interval =
            clusterBootstrapBca(own, 300, random.next(), [&](std::span<const std::size_t> chosen) {
                Column a, b;
                for (const std::size_t i : chosen) a.push_back(x[i]), b.push_back(y[i]);
                return pearson(a, b);
            });
        if (interval.low <= rho && rho <= interval.high) ++covered;
    }
    CHECK(covered > kTrials * 0.88);  // 95 % with a standard error of 1.8 %
}

TEST_CASE("Clusters are averaged before they are correlated") {
    std::vector<ItemResult> items;
    const char* names[] = {"a", "b", "c", "d", "e"};
    for (std::size_t i = 0; i < 5; ++i)
        for (const double wording : {-3.0, 0.0, 3.0})
            items.push_back(pairItem(names[i], kX[i], kY[i] + wording));
    ItemResult unknown = pairItem("f", 0, 100);  // has no reference: in no figure
    unknown.detail.erase("reference");
    items.push_back(unknown);
    const auto rows = compute(items);
    CHECK(rows.size() == 5);
    const MetricRow& pearsonRow = row(rows, "reference_pearson");
    CHECK(pearsonRow.value == Approx(16 / std::sqrt(352.0)));
    CHECK(pearsonRow.n == 5);
    CHECK(pearsonRow.chance == 0.0);
    CHECK_FALSE(pearsonRow.low);  // too few for a bootstrap
    CHECK(pearsonRow.method ==
          "Pearson correlation of the clusters' mean log-likelihood difference with a count");
    CHECK(row(rows, "reference_spearman").value == Approx(7.25 / 9.5));
    CHECK(row(rows, "reference_slope").value == Approx(1.0));
    CHECK(row(rows, "reference_pearson_p").value == Approx(permutationTest(kX, kY)));
    CHECK(row(rows, "reference_spearman_p").value == Approx(permutationTest(ranks(kX), ranks(kY))));
}

TEST_CASE("A planted correlation is found with an interval around it") {
    Random random(3);
    std::vector<ItemResult> items;
    for (int i = 0; i < 40; ++i) {
        const double reference = normal(random);
        for (int wording = 0; wording < 3; ++wording)
            items.push_back(pairItem("c" + std::to_string(i), reference,
                                     0.5 * reference + 2 + 0.3 * normal(random)));
    }
    const auto rows = compute(items);
    const MetricRow& slopeRow = row(rows, "reference_slope");
    // Standard error 0.3 / sqrt(3 * 40) = 0.027, so an interval is about 0.11 wide. One interval in
    // twenty misses the truth, hence no test that this one holds it.
    CHECK(slopeRow.value == Approx(0.5).margin(0.1));
    CHECK(*slopeRow.low < slopeRow.value);
    CHECK(*slopeRow.high > slopeRow.value);
    CHECK(*slopeRow.high - *slopeRow.low > 0.06);
    CHECK(*slopeRow.high - *slopeRow.low < 0.2);
    CHECK(*row(rows, "reference_pearson").low > 0.7);
    CHECK(row(rows, "reference_pearson_p").value == Approx(1.0 / 10'001));
    CHECK_THAT(slopeRow.method, Catch::EndsWith("BCa bootstrap over clusters, 500 resamples"));
}

TEST_CASE("What cannot be correlated says so and is no number") {
    const auto reasonOf = [](std::size_t clusters, bool sameReference, bool sameDifference) {
        std::vector<ItemResult> items;
        for (std::size_t i = 0; i < clusters; ++i) {
            const auto number = static_cast<double>(i);
            items.push_back(pairItem("c" + std::to_string(i), sameReference ? 0.1 : number,
                                     sameDifference ? 0.1 : number * number));
        }
        const auto rows = compute(items);
        CHECK(rows.size() == 5);
        for (const MetricRow& one : rows) {
            CHECK(std::isnan(one.value) == one.method.starts_with("no data"));
            CHECK_FALSE(one.low);
        }
        return rows.front().method;
    };
    CHECK(reasonOf(4, false, false) == "no data: fewer than 5 clusters with a reference");
    CHECK(reasonOf(7, true, false) == "no data: all references are equal");
    CHECK(reasonOf(7, false, true) ==
          "no data: the model makes no difference between the clusters");
    CHECK_THAT(reasonOf(5, false, false), Catch::StartsWith("Pearson"));
}

TEST_CASE("By group the p values are adjusted over the groups that have one") {
    std::vector<ItemResult> items;
    for (const char* level : {"a", "b", "few"})
        for (int i = 0; i < (*level == 'f' ? 3 : 5); ++i) {
            items.push_back(pairItem(level + std::to_string(i), i, i));
            items.back().groups["g"] = level;
        }
    SuiteDefinition suite = suiteWithReference();
    suite.metrics[0].factor = "g";
    const auto rows = computeMetrics(suite, items, 100, 1);
    REQUIRE(rows.size() == 15);
    CHECK(rows[1].name == "reference_pearson_p");
    CHECK(rows[1].value == Approx(2 * 2.0 / 120));
    CHECK_THAT(rows[1].method, Catch::EndsWith("Holm over 2 levels"));
    CHECK(rows[11].group == "g=few");
    CHECK(std::isnan(rows[11].value));
}

TEST_CASE("A correlation needs a suite with references and pairs") {
    SuiteDefinition suite = suiteWithReference();
    CHECK_NOTHROW(checkMetrics(suite));
    suite.reference = {};
    CHECK_THROWS_WITH(checkMetrics(suite), Catch::Contains("needs a number for each item"));
    suite = suiteWithReference();
    suite.scoring = "choice_loglik";
    CHECK_THROWS_AS(checkMetrics(suite), Error);
}
