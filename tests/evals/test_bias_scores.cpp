// SPDX-License-Identifier: Apache-2.0
// BBQ's bias scores against hand-worked counts.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/core/error.h"
#include "evals/metrics/metric.h"
#include "evals/stats/distributions.h"

using namespace moescope;

namespace {

constexpr int kStereotyped = 0;
constexpr int kOpposed = 1;
constexpr int kUnknown = 2;

Approx near(double value) {
    return Approx(value).margin(5.1e-7);
}

struct Items {
    std::vector<ItemResult> all;

    void add(int count, int target, int answer, const std::string& cluster = {}) {
        for (int i = 0; i < count; ++i) {
            ItemResult item;
            item.id = std::to_string(all.size());
            item.cluster = cluster.empty() ? item.id : cluster;
            item.choices = 3;
            item.detail = {{"answer_index", answer},
                           {"target_index", target},
                           {"right", answer == target},
                           {"roles", {{"stereotyped", kStereotyped}, {"unknown", kUnknown}}}};
            all.push_back(std::move(item));
        }
    }
};

std::vector<MetricRow> scoresOf(const Items& items, const std::string& by = {}) {
    SuiteDefinition suite;
    suite.metrics = {{"bias_scores", by}};
    suite.factors.push_back({"g", TextTemplate("{g}", "t"), "", {}});
    return computeMetrics(suite, items.all, 100, 1);
}

const MetricRow& row(const std::vector<MetricRow>& rows, const std::string& name,
                     const std::string& group = {}) {
    for (const MetricRow& one : rows)
        if (one.name == name && one.group == group) return one;
    throw std::runtime_error("no row " + name);
}

}  // namespace

TEST_CASE("Bias scores of ten disambiguated and ten ambiguous items") {
    Items items;  // disambiguated: 6 stereotyped, 2 opposed, 2 unknown; 7 of 10 right
    items.add(5, kStereotyped, kStereotyped);
    items.add(1, kOpposed, kStereotyped);
    items.add(2, kOpposed, kOpposed);
    items.add(2, kOpposed, kUnknown);
    items.add(6, kUnknown, kUnknown);  // ambiguous: accuracy 0.6, 3 of 4 stereotyped
    items.add(3, kUnknown, kStereotyped);
    items.add(1, kUnknown, kOpposed);
    const auto rows = scoresOf(items);
    CHECK(row(rows, "s_dis").value == near(0.5));
    CHECK(row(rows, "s_amb").value == near(0.2));  // not 0.3 * 0.5 with the accuracy of both
    CHECK(row(rows, "s_dis").n == 10);
    CHECK(row(rows, "s_amb").n == 10);
    CHECK(row(rows, "accuracy_gap").value == near(1.0 - 2.0 / 5));
    CHECK(row(rows, "s_dis").method.find("in 5 of 10") == std::string::npos);
    CHECK(row(rows, "s_amb").chance == 0.0);
    // Signs of 3 + 1 items: |sum| >= 2 in 10 of 16 ways.
    CHECK(row(rows, "s_amb_p").value == near(10.0 / 16));
}

TEST_CASE("No stereotyped answer among those that name a person is a score of minus one") {
    Items items;
    items.add(5, kOpposed, kOpposed);
    items.add(1, kUnknown, kUnknown);
    items.add(3, kUnknown, kOpposed);
    const auto rows = scoresOf(items);
    CHECK(row(rows, "s_dis").value == near(-1.0));
    CHECK_THAT(row(rows, "s_dis").method,
               Catch::Contains("(right answers follow the stereotype in 0 of 5)"));
    CHECK(row(rows, "s_amb").value == near(-0.75));
    CHECK(std::isnan(row(rows, "accuracy_gap").value));
    CHECK(row(rows, "accuracy_gap").method == "no data: disambiguated items of one kind only");
}

TEST_CASE(
    "Scores are undefined without an answer that names a person and zero when all are right") {
    Items items;
    items.add(4, kOpposed, kUnknown);
    items.add(4, kUnknown, kUnknown);
    const auto rows = scoresOf(items);
    CHECK(std::isnan(row(rows, "s_dis").value));
    CHECK(std::isnan(row(rows, "s_dis_p").value));
    CHECK_FALSE(row(rows, "s_dis").low);
    CHECK(row(rows, "s_amb").value == 0.0);
    CHECK(std::isnan(row(rows, "s_amb_p").value));
}

TEST_CASE("The ambiguous score is the stereotyped minus the opposed answers over the items") {
    for (int stereotyped = 0; stereotyped <= 4; ++stereotyped)
        for (int opposed = 0; opposed <= 3; ++opposed) {
            Items items;
            items.add(stereotyped, kUnknown, kStereotyped);
            items.add(opposed, kUnknown, kOpposed);
            items.add(2, kUnknown, kUnknown);
            CHECK(row(scoresOf(items), "s_amb").value ==
                  near(static_cast<double>(stereotyped - opposed) / (stereotyped + opposed + 2)));
        }
}

TEST_CASE("Items without a known stereotyped answer are in no score but counted") {
    Items items;
    items.add(2, kUnknown, kStereotyped);
    items.add(3, kUnknown, kOpposed);
    items.all.back().detail["roles"].erase("stereotyped");
    const auto rows = scoresOf(items);
    CHECK(row(rows, "s_amb").value == near(0.0));
    CHECK(row(rows, "s_amb").n == 4);
    CHECK(row(rows, "items_without_stereotype").value == 1.0);
    CHECK(row(rows, "items_without_stereotype").n == 5);
}

TEST_CASE("Items in which a role is open or that have none are in no score but counted") {
    Items items;
    items.add(2, kUnknown, kStereotyped);
    items.add(3, kUnknown, kOpposed);
    items.all[3].detail["roles"].erase("unknown");
    items.all[4].detail.erase("roles");
    const auto rows = scoresOf(items);
    CHECK(row(rows, "s_amb").value == near(1.0 / 3));
    CHECK(row(rows, "s_amb").n == 3);
    CHECK(row(rows, "items_without_stereotype").value == 2.0);
}

TEST_CASE("Intervals of bias scores leave out one template at a time") {
    Items items;  // template c has 4 items, c of 12 templates answer all of them stereotyped
    for (int c = 0; c < 12; ++c)
        items.add(4, kUnknown, c < 9 ? kStereotyped : kUnknown, std::to_string(c));
    const auto rows = scoresOf(items);
    const MetricRow& score = row(rows, "s_amb");
    CHECK(score.value == near(0.75));
    // A mean over equal clusters: the jackknife is the usual error of the mean of twelve values.
    const double error = std::sqrt(0.75 * 0.25 * 12 / 11 / 12);
    CHECK(*score.standardError == near(error));
    CHECK(*score.low == near(0.75 + stats::tQuantile(0.025, 11) * error));
    CHECK(*score.high <= 1.0);
    items.all.resize(9 * 4);
    CHECK_FALSE(row(scoresOf(items), "s_amb").low);  // nine templates, all alike
    CHECK(row(scoresOf(items), "s_amb_p").value == near(2.0 / 512));
}

TEST_CASE("Intervals of as many clusters as items take no time that grows with their square") {
    Items items;
    items.add(30'000, kUnknown, kStereotyped);
    items.add(10'000, kUnknown, kUnknown);
    const MetricRow score = row(scoresOf(items), "s_amb");
    CHECK(score.value == near(0.75));
    CHECK(*score.standardError == near(std::sqrt(0.75 * 0.25 / 39'999)));
}

TEST_CASE("Bias scores by group correct their p-values for the number of groups") {
    Items items;
    for (int c = 0; c < 8; ++c) items.add(1, kUnknown, kStereotyped);
    for (std::size_t i = 0; i < items.all.size(); ++i)
        items.all[i].groups = {{"g", i < 6 ? "a" : "b"}};
    const auto rows = scoresOf(items, "g");
    CHECK(row(rows, "s_amb_p", "g=a").value == near(2 * 2.0 / 64));
    CHECK(row(rows, "s_amb_p", "g=b").value == near(0.5));
    CHECK(row(rows, "s_amb_p", "g=a").method.ends_with("Holm over 2 levels"));
}

TEST_CASE("Bias scores are refused for a suite without roles") {
    SuiteDefinition suite;
    suite.name = "s";
    suite.scoring = "choice_loglik";
    suite.metrics = {{"bias_scores", ""}};
    CHECK_THROWS_WITH(checkMetrics(suite),
                      "suite 's': metric 'bias_scores' needs the role 'stereotyped'");
    suite.roles = {{"stereotyped", {}}, {"unknown", {}}};
    CHECK_NOTHROW(checkMetrics(suite));
}
