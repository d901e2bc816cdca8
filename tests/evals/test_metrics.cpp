// SPDX-License-Identifier: Apache-2.0
// Metrics against hand-worked items.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/core/error.h"
#include "evals/metrics/metric.h"
#include "evals/scorers.h"

using namespace moescope;

namespace {

Approx near(double value) {
    return Approx(value).margin(5.1e-7);
}

const MetricRow& row(const std::vector<MetricRow>& rows, const std::string& name,
                     const std::string& group = {}) {
    for (const MetricRow& one : rows)
        if (one.name == name && one.group == group) return one;
    throw std::runtime_error("no row " + name + " " + group);
}

ItemResult pair(double more, double less, int tokensMore = 1, int tokensLess = 1) {
    ItemResult item;
    item.id = item.cluster = std::to_string(more) + "/" + std::to_string(less);
    item.choices = 2;
    item.score = more > less ? 1 : 0;
    item.detail = {{"difference", more - less},
                   {"more_per_token", more / tokensMore > less / tokensLess}};
    return item;
}

ItemResult decision(const std::string& base, const std::string& level, double logit) {
    ItemResult item;
    item.id = base + level;
    item.cluster = base;
    item.groups = {{"g", level}};
    item.score = logit > 0 ? 1 : 0;
    item.detail = {{"logit", logit}, {"log_mass", std::log(0.5)}};
    return item;
}

SuiteDefinition decisionSuite() {
    SuiteDefinition suite;
    suite.name = "s";
    suite.scoring = "yes_no_logit";
    suite.factors.push_back({"g", TextTemplate("{g}", "t"), "ref", {}});
    return suite;
}

std::vector<MetricRow> compute(SuiteDefinition suite, const std::string& metric,
                               const std::vector<ItemResult>& items, const std::string& by = "g") {
    suite.metrics = {{metric, by}};
    return computeMetrics(suite, items, 500, 1);
}

double logit(double p) {
    return std::log(p / (1 - p));
}

}  // namespace

TEST_CASE("CrowS-Pairs share and difference with a tie") {
    const std::vector<ItemResult> items = {pair(-42, -43.5), pair(-30, -29), pair(-55.2, -55.2),
                                           pair(-20, -25)};
    SuiteDefinition suite;
    suite.metrics = {{"pct_stereotype", ""}, {"likelihood_difference", ""}};
    const auto rows = computeMetrics(suite, items, 100, 1);
    CHECK(row(rows, "pct_stereotype").value == near(0.5));
    CHECK(row(rows, "pct_stereotype").chance == 0.5);
    CHECK(row(rows, "likelihood_difference").value == near(1.875));
    CHECK(row(rows, "likelihood_difference").low ==
          0.0);  // 1.875 - 3.18 * 1.09 is below what it can be
}

TEST_CASE("Length can turn the verdict of a pair") {
    const std::vector<ItemResult> items = {pair(-42, -43.5, 12, 13)};
    SuiteDefinition suite;
    suite.metrics = {{"pct_stereotype", ""}, {"pct_stereotype_per_token", ""}};
    const auto rows = computeMetrics(suite, items, 100, 1);
    CHECK(row(rows, "pct_stereotype").value == 1.0);
    CHECK(row(rows, "pct_stereotype_per_token").value == 0.0);
}

TEST_CASE("Logit differences are means over bases of differences within the base") {
    const std::vector<ItemResult> items = {
        decision("q1", "ref", logit(.7)), decision("q1", "black", logit(.8)),
        decision("q2", "ref", logit(.6)), decision("q2", "black", logit(.5))};
    const auto rows = compute(decisionSuite(), "logit_difference", items);
    CHECK(row(rows, "logit_difference", "g=black").value == near(0.066766));
    CHECK(*row(rows, "logit_difference", "g=black").standardError == near(0.472231));
    CHECK(row(rows, "logit_difference_p", "g=black").value == near(1.0));
}

TEST_CASE("Selection rates and demographic parity and disparate impact") {
    std::vector<ItemResult> items;
    for (int i = 0; i < 100; ++i) {
        items.push_back(decision(std::to_string(i), "ref", i < 60 ? 1 : -1));
        items.push_back(decision(std::to_string(i), "other", i < 40 ? 1 : -1));
    }
    CHECK(row(compute(decisionSuite(), "selection_rate", items), "selection_rate", "g=ref").value ==
          near(0.6));
    const auto difference = compute(decisionSuite(), "demographic_parity_difference", items);
    CHECK(row(difference, "demographic_parity_difference", "g").value == near(0.2));
    CHECK_FALSE(difference[0].low);
    CHECK(row(difference, "demographic_parity_difference_p", "g").value < 0.01);
    const MetricRow& level = row(difference, "selection_rate_difference", "g=other");
    CHECK(level.value == near(-0.2));
    CHECK(*level.low > -0.3);
    CHECK(*level.high < -0.1);
    // 20 discordant pairs under exchange: E|b - c| / 100 for b ~ Bin(20, 1/2) is 0.0352.
    CHECK(*difference[0].chance == Approx(0.0352).margin(0.005));
    const auto ratio = compute(decisionSuite(), "disparate_impact_ratio", items);
    CHECK(row(ratio, "disparate_impact_ratio", "g").value == near(0.666667));
    CHECK(row(ratio, "disparate_impact_ratio_p", "g").value < 0.01);
    CHECK(*row(ratio, "selection_rate_ratio", "g=other").high < 0.85);
}

TEST_CASE("Parity of bases that have one level each is tested between the bases") {
    std::vector<ItemResult> items;
    for (int i = 0; i < 40; ++i)
        items.push_back(decision(std::to_string(i), i < 20 ? "ref" : "other", i < 20 ? 1 : -1));
    const auto rows = compute(decisionSuite(), "demographic_parity_difference", items);
    CHECK(row(rows, "demographic_parity_difference", "g").value == near(1.0));
    CHECK(row(rows, "demographic_parity_difference_p", "g").value < 0.01);
    CHECK(*rows[0].chance < 0.3);
}

TEST_CASE("Disparate impact is absent when nobody is selected") {
    std::vector<ItemResult> items;
    for (int i = 0; i < 4; ++i)
        for (const char* level : {"ref", "x"})
            items.push_back(decision(std::to_string(i), level, -1));
    CHECK(compute(decisionSuite(), "disparate_impact_ratio", items).empty());
}

TEST_CASE("Flip rate with Wilson and exact McNemar") {
    std::vector<ItemResult> items;
    for (int i = 0; i < 8; ++i) {
        items.push_back(decision(std::to_string(i), "ref", 1));
        items.push_back(decision(std::to_string(i), "x", i < 3 ? -1 : 1));
    }
    const auto rows = compute(decisionSuite(), "flip_rate", items);
    const MetricRow& rate = row(rows, "flip_rate", "g=x");
    CHECK(rate.value == near(0.375));
    CHECK(rate.n == 8);
    CHECK(*rate.low == near(0.136844));
    CHECK(*rate.high == near(0.694258));
    CHECK(row(rows, "flip_p", "g=x").value == near(0.25));
}

TEST_CASE("Pairs match the other factors and lone items are left out") {
    SuiteDefinition suite = decisionSuite();
    suite.factors[0].match = {"h"};
    suite.factors.push_back({"h", TextTemplate("{h}", "t"), "", {}});
    std::vector<ItemResult> items = {decision("b", "ref", 1), decision("b", "x", -1),
                                     decision("b", "x", -1)};
    items[0].groups["h"] = "m";
    items[1].groups["h"] = "m";
    items[2].groups["h"] = "f";
    const auto rows = compute(suite, "flip_rate", items);
    CHECK(row(rows, "flip_rate", "g=x").n == 1);
    items[2] = items[0];
    items[2].id = "again";
    CHECK_THROWS_AS(compute(suite, "flip_rate", items), Error);
}

TEST_CASE("Accuracy by group and macro average and chance") {
    SuiteDefinition suite;
    suite.scoring = "choice_loglik";
    suite.factors.push_back({"g", TextTemplate("{g}", "t"), "", {}});
    std::vector<ItemResult> items;
    for (int i = 0; i < 6; ++i) {
        ItemResult item;
        item.id = item.cluster = std::to_string(i);
        item.choices = i < 4 ? 4 : 2;
        item.groups = {{"g", i < 4 ? "a" : "b"}};
        item.detail = {{"right", i != 0 && i != 5}, {"right_norm", true}};
        items.push_back(item);
    }
    suite.metrics = {
        {"accuracy", ""}, {"accuracy", "g"}, {"accuracy_macro", "g"}, {"accuracy_norm", ""}};
    const auto rows = computeMetrics(suite, items, 100, 1);
    CHECK(row(rows, "accuracy").value == near(4.0 / 6));
    CHECK(*row(rows, "accuracy").chance == near((4 * 0.25 + 2 * 0.5) / 6));
    CHECK(row(rows, "accuracy", "g=a").value == near(0.75));
    CHECK(*row(rows, "accuracy", "g=a").standardError == near(0.25));
    CHECK(row(rows, "accuracy_macro", "g").value == near(0.625));
    items.pop_back();
    CHECK_FALSE(row(computeMetrics(suite, items, 100, 1), "accuracy_macro", "g").low);
    items.pop_back();
    items[0].detail["right"] = true;  // one group, all right: not certain
    const auto all = computeMetrics(suite, items, 100, 1);
    CHECK(row(all, "accuracy_macro", "g").value == 1.0);
    CHECK(*row(all, "accuracy_macro", "g").low < 0.7);
    CHECK(row(rows, "accuracy_norm").value == 1.0);
}

TEST_CASE("Metrics that do not fit a suite are refused before anything is evaluated") {
    SuiteDefinition suite = decisionSuite();
    suite.metrics = {{"acuracy", ""}};
    CHECK_THROWS_WITH(checkMetrics(suite),
                      "suite 's': unknown metric 'acuracy'; did you mean 'accuracy'?");
    suite.metrics = {{"accuracy", ""}};
    CHECK_THROWS_AS(checkMetrics(suite), Error);
    suite.metrics = {{"flip_rate", ""}};
    CHECK_THROWS_AS(checkMetrics(suite), Error);
    suite.factors[0].reference.clear();
    suite.metrics = {{"flip_rate", "g"}};
    CHECK_THROWS_AS(checkMetrics(suite), Error);
    suite.metrics = {{"demographic_parity_difference", "g"}};
    CHECK_NOTHROW(checkMetrics(suite));
}

TEST_CASE("An item records which choice is likeliest per character") {
    SuiteDefinition suite;
    suite.scoring = "choice_loglik";
    suite.choices.list = {TextTemplate("x", "t")};
    suite.target = TextTemplate("A", "t");
    SuiteItem item;
    item.choices = {"a", "abcdef", "ab"};
    item.target = 2;
    const std::vector<ContinuationScore> scores{{-2, 1, false}, {-3, 2, false}, {-9, 1, false}};
    const ItemScore judged = scorerFor(suite).judge(suite, item, scores);
    CHECK(judged.answer == "a");
    CHECK(judged.detail.at("answer_norm") == 1);
    CHECK_FALSE(judged.detail.at("right_norm").get<bool>());
}

TEST_CASE("The accuracy difference is paired and tested with McNemar") {
    SuiteDefinition suite = decisionSuite();
    std::vector<ItemResult> items;  // 12 of 20 right for the reference, 18 of 20 for x
    for (int i = 0; i < 20; ++i)
        for (const char* level : {"ref", "x"}) {
            items.push_back(decision(std::to_string(i), level, 1));
            items.back().detail["right"] =
                std::string_view(level) == "ref" ? i < 12 : i >= 1 && i < 19;
        }
    const auto rows = compute(suite, "accuracy_difference", items);
    const MetricRow& gap = row(rows, "accuracy_difference", "g=x");
    CHECK(gap.value == near(0.3));
    CHECK(gap.n == 20);
    // Differences: seven times 1, once -1, twelve times 0: variance (8 - 20 * 0.09) / 19.
    CHECK(*gap.standardError == near(std::sqrt((8 - 20 * 0.09) / 19 / 20)));
    CHECK(*gap.low == Approx(0.3 - 2.093024 * *gap.standardError).margin(1e-5));
    // Exact McNemar of 1 and 7: 2 (1 + 8) / 2^8.
    CHECK(row(rows, "accuracy_difference_p", "g=x").value == near(18.0 / 256));
    CHECK(row(rows, "accuracy_difference_p", "g=x")
              .method.ends_with("right for ref only: 1, for x only: 7"));
}

TEST_CASE("Every row tells its clusters and its place in the suite's order") {
    std::vector<ItemResult> items;  // six bases of two twins of each level
    for (int i = 0; i < 12; ++i)
        for (const char* level : {"ref", "x"}) {
            items.push_back(decision(std::to_string(i / 2), level, i % 3 - 1));
            items.back().groups["h"] = i % 2 == 0 ? "a" : "b";
        }
    SuiteDefinition suite = decisionSuite();
    suite.factors[0].match = {"h"};
    suite.factors.push_back({"h", TextTemplate("{h}", "t"), "", {}});
    suite.metrics = {{"selection_rate", "g"},
                     {"answer_mass", ""},
                     {"logit_difference", "g"},
                     {"demographic_parity_difference", "g"},
                     {"flip_rate", "g"}};
    const std::vector<MetricRow> rows = computeMetrics(suite, items, 50, 1);
    REQUIRE(rows.size() > 8);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        INFO(rows[i].name);
        CHECK(rows[i].clusters == 6);
        CHECK(rows[i].n > 6);
        CHECK(rows[i].ordinal == static_cast<std::int64_t>(i));
    }
    CHECK(rows.front().name == "selection_rate");
}

TEST_CASE("Pairs of one base count as one in the test of an accuracy difference") {
    SuiteDefinition suite = decisionSuite();
    suite.factors[0].match = {"h"};
    suite.factors.push_back({"h", TextTemplate("{h}", "t"), "", {}});
    std::vector<ItemResult> items;  // three bases of two pairs each, x right in all, ref in none
    for (int i = 0; i < 6; ++i)
        for (const char* level : {"ref", "x"}) {
            items.push_back(decision(std::to_string(i / 2), level, 1));
            items.back().groups["h"] = i % 2 == 0 ? "a" : "b";
            items.back().detail["right"] = std::string_view(level) == "x";
        }
    const auto rows = compute(suite, "accuracy_difference", items);
    CHECK(row(rows, "accuracy_difference", "g=x").value == 1.0);
    CHECK_FALSE(row(rows, "accuracy_difference", "g=x").low);
    CHECK(row(rows, "accuracy_difference_p", "g=x").value == near(2.0 / 8));  // not 2 / 64
}

TEST_CASE("The test of an accuracy difference weighs bases by their pairs as its figure does") {
    SuiteDefinition suite = decisionSuite();
    suite.factors[0].match = {"h"};
    suite.factors.push_back({"h", TextTemplate("{h}", "t"), "", {}});
    std::vector<ItemResult> items;
    const auto addPair = [&](const std::string& base, const std::string& h, bool forLevel) {
        for (const char* level : {"ref", "x"}) {
            items.push_back(decision(base, level, (std::string_view(level) == "x") == forLevel));
            items.back().groups["h"] = h;
            items.back().detail["right"] = (std::string_view(level) == "x") == forLevel;
        }
    };
    for (const char* h : {"a", "b", "c"}) addPair("large", h, true);
    addPair("first", "a", false);
    addPair("second", "a", false);
    // Sums 3, -1, -1: every one of the 8 ways of signs gives a total of at least 1 in size.
    auto rows = compute(suite, "accuracy_difference", items);
    CHECK(row(rows, "accuracy_difference", "g=x").value == near(0.2));
    CHECK(row(rows, "accuracy_difference_p", "g=x").value == 1.0);
    // Sums 3, 1, -1: at least 3 in size in 6 of 8 ways (means 1, 1, -1: in all 8).
    items.erase(items.end() - 2, items.end());
    addPair("second", "a", true);
    rows = compute(suite, "accuracy_difference", items);
    CHECK(row(rows, "accuracy_difference", "g=x").value == near(0.6));
    CHECK(row(rows, "accuracy_difference_p", "g=x").value == near(6.0 / 8));
    CHECK(row(compute(suite, "flip_rate", items), "flip_p", "g=x").value == near(6.0 / 8));
}

TEST_CASE("Twins agree when their answers do and a shift has a direction") {
    std::vector<ItemResult> items;
    const int reference[] = {0, 0, 1, 1};
    const int other[] = {0, 1, 1, 0};
    for (int i = 0; i < 4; ++i)
        for (const char* level : {"ref", "x"}) {
            items.push_back(decision(std::to_string(i), level, 1));
            items.back().detail["answer_index"] =
                std::string_view(level) == "ref" ? reference[i] : other[i];
        }
    const auto rows = compute(decisionSuite(), "answer_agreement", items);
    CHECK(row(rows, "answer_agreement", "g=x").value == near(0.5));
    CHECK(row(rows, "first_choice_difference", "g=x").value == near(0.0));
    CHECK(row(rows, "first_choice_difference_p", "g=x").value == 1.0);
    CHECK(row(rows, "first_choice_difference_p", "g=x")
              .method.ends_with("for ref only: 1, for x only: 1"));
}

TEST_CASE("The shift of the first choice's share is correlated with the clusters' numbers") {
    const double numbers[] = {90, 50, 10};
    const double shifts[] = {0.2, 0.1, -0.3};
    std::vector<ItemResult> items;
    for (int i = 0; i < 6; ++i)  // the three points twice: the same correlation
        for (const char* level : {"ref", "x"}) {
            items.push_back(decision(std::to_string(i), level, 1));
            items.back().detail["reference"] = numbers[i % 3];
            items.back().detail["first_share"] =
                0.4 + (std::string_view(level) == "ref" ? 0 : shifts[i % 3]);
        }
    const auto rows = compute(decisionSuite(), "shift_correlation", items);
    CHECK(row(rows, "reference_pearson", "g=x").value == near(0.944911));
    CHECK(row(rows, "reference_spearman", "g=x").value == near(1.0));
    CHECK(row(rows, "reference_slope", "g=x").value == near(0.5 / 80));
    CHECK(row(rows, "reference_pearson", "g=x").n == 6);
    CHECK_FALSE(row(rows, "reference_pearson", "g=x").low);
}

namespace {

ItemResult triple(const std::string& term, double stereotype, double anti, double unrelated) {
    ItemResult item;
    item.cluster = term;
    item.id = term + std::to_string(stereotype);
    item.detail = {{"first_over_second", stereotype > anti},
                   {"first_over_third", stereotype > unrelated},
                   {"second_over_third", anti > unrelated}};
    return item;
}

std::vector<MetricRow> preferences(const std::vector<ItemResult>& items) {
    SuiteDefinition suite;
    suite.metrics = {{"stereotype_preference", ""}};
    return computeMetrics(suite, items, 100, 1);
}

}  // namespace

TEST_CASE("StereoSet's scores are means over terms of shares within the term") {
    auto rows = preferences(
        {triple("T1", -10, -11, -15), triple("T1", -12, -14, -13), triple("T2", -9, -10, -20)});
    CHECK(row(rows, "lms").value == near(87.5));
    CHECK(row(rows, "ss").value == near(100));
    CHECK(row(rows, "icat").value == near(0));
    CHECK(row(rows, "ss").n == 3);
    CHECK(row(rows, "ss_p").value == near(0.5));  // two terms on one side
    rows = preferences(
        {triple("T1", -10, -11, -15), triple("T1", -12, -11, -11.5), triple("T2", -9, -10, -20)});
    CHECK(row(rows, "lms").value == near(87.5));
    CHECK(row(rows, "ss").value == near(75));
    CHECK(row(rows, "icat").value == near(43.75));
    CHECK_FALSE(row(rows, "ss").low);  // two terms
}

TEST_CASE("The interval of a stereotype score takes terms as the units") {
    std::vector<ItemResult> items;  // 12 terms of 5 items; 8 prefer all stereotypes, 4 none
    for (int term = 0; term < 12; ++term)
        for (int i = 0; i < 5; ++i)
            items.push_back(triple(std::to_string(term), term < 8 ? -10 - i : -30 - i, -20, -40));
    const auto rows = preferences(items);
    const MetricRow& ss = row(rows, "ss");
    CHECK(ss.value == near(100 * 8.0 / 12));
    const double error = 100 * std::sqrt((8.0 / 12) * (4.0 / 12) / 11);
    CHECK(*ss.standardError == near(error));
    CHECK(*ss.low == Approx(ss.value - 2.200985 * error).margin(1e-4));
    // At least eight of twelve on one side: 2 (495 + 220 + 66 + 12 + 1) / 4096.
    CHECK(row(rows, "ss_p").value == near(2 * 794.0 / 4096));
    CHECK(row(rows, "lms").value == near(100));
    CHECK_FALSE(row(rows, "lms").low);  // all alike
}
