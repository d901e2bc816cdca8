// SPDX-License-Identifier: Apache-2.0
// Items that are asked several times: hand-worked figures, and a seeded Monte Carlo of what is
// claimed of their intervals.
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "evals/metrics/metric.h"
#include "evals/stats/distributions.h"
#include "evals/stats/intervals.h"
#include "evals/stats/random.h"
#include "evals/stats/repeats.h"

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

/// An item's replies, one a letter: 'y' the right answer, '-' none, others wrong ones.
void ask(std::vector<ItemResult>& items, const std::string& id, const std::string& answers,
         const std::string& cluster = {}, const std::string& level = {}) {
    for (std::size_t i = 0; i < answers.size(); ++i) {
        ItemResult reply;
        reply.id = id;
        reply.repeat = static_cast<std::int64_t>(i);
        reply.cluster = cluster.empty() ? id : cluster;
        if (!level.empty()) reply.groups = {{"g", level}};
        reply.choices = 4;
        if (answers[i] != '-') reply.answer = std::string(1, answers[i]);
        reply.score = answers[i] == 'y' ? 1 : 0;
        reply.detail = {{"right", answers[i] == 'y'},
                        {"answered", answers[i] != '-'},
                        {"answer_index", answers[i] == '-' ? -1 : answers[i] - 'a'},
                        {"reply_tokens", 10 * (i + 1)},
                        {"finish", answers[i] == '-' ? "length" : "stop"}};
        items.push_back(std::move(reply));
    }
}

SuiteDefinition suiteOf(const std::string& scoring = "choice_reply") {
    SuiteDefinition suite;
    suite.name = "s";
    suite.scoring = scoring;
    suite.factors.push_back({"g", TextTemplate("{g}", "t"), "ref", {}});
    return suite;
}

std::vector<MetricRow> compute(const std::string& metric, const std::vector<ItemResult>& items,
                               const std::string& by = {}, const char* scoring = "choice_reply") {
    SuiteDefinition suite = suiteOf(scoring);
    suite.metrics = {{metric, by}};
    return computeMetrics(suite, items, 300, 1);
}

}  // namespace

TEST_CASE("pass@k is estimated without bias from more replies than k") {
    CHECK(stats::passAt(5, 2, 1) == near(0.4));
    CHECK(stats::passAt(5, 2, 3) == near(0.9));  // 1 - C(3,3) / C(5,3)
    CHECK(stats::passAt(8, 0, 8) == 0);
    CHECK(stats::passAt(8, 1, 8) == 1);
    CHECK(stats::passAt(8, 8, 1) == near(1));
    // 10 replies, 3 right: C(7,4) / C(10,4) = 35 / 210.
    CHECK(stats::passAt(10, 3, 4) == near(1 - 35.0 / 210));
    CHECK(stats::passSizes(8) == std::vector<std::int64_t>{1, 2, 4, 8});
    CHECK(stats::passSizes(6) == std::vector<std::int64_t>{1, 2, 4, 6});
    CHECK(stats::passSizes(1) == std::vector<std::int64_t>{1});
}

TEST_CASE("the majority decides, tied answers count in shares, and silence has no vote") {
    using stats::Vote;
    CHECK(stats::consensus(std::vector<Vote>{{"a", 1}, {"a", 1}, {"b", 0}}) == 1);
    CHECK(stats::consensus(std::vector<Vote>{{"b", 0}, {"a", 1}, {"b", 0}}) == 0);
    CHECK(stats::consensus(std::vector<Vote>{{"a", 1}, {"b", 0}}) == 0.5);
    CHECK(stats::consensus(std::vector<Vote>{{"a", 1}, {"b", 0}, {"c", 0}}) == near(1.0 / 3));
    CHECK(stats::consensus({}) == 0);
    CHECK(stats::unanimous(std::vector<Vote>{{"a", 1}, {"a", 1}}));
    CHECK_FALSE(stats::unanimous(std::vector<Vote>{{"a", 1}, {"a", 1}, {"b", 0}}));
}

TEST_CASE("an item counts once, with the mean of its replies") {
    std::vector<ItemResult> items;
    ask(items, "sure", "yyyy");
    ask(items, "half", "yyab");
    ask(items, "none", "aaaa");
    const MetricRow accuracy = compute("accuracy", items).at(0);
    CHECK(accuracy.value == near(0.5));
    CHECK(accuracy.n == 3);
    CHECK(accuracy.clusters == 3);
    CHECK(*accuracy.standardError == near(0.5 / std::sqrt(3.0)));  // of 1, .5 and 0
    const MetricRow tokens = compute("reply_tokens", items).at(0);
    CHECK(tokens.value == 25);
    CHECK(tokens.n == 3);
    CHECK(*tokens.standardError == 0);  // each item's replies are as long as the other's
    const auto pass = compute("pass@k", items);
    REQUIRE(pass.size() == 3);
    CHECK(row(pass, "pass@1").value == near(0.5));
    CHECK(*row(pass, "pass@1").low == Approx(*accuracy.low));
    CHECK(row(pass, "pass@2").value == near((1 + 5.0 / 6 + 0) / 3));
    CHECK(row(pass, "pass@4").value == near(2.0 / 3));
    CHECK(row(pass, "pass@4").n == 3);
    CHECK(row(compute("cons@k", items), "cons@4").value == near(2.0 / 3));
    CHECK(row(compute("instability@k", items), "instability@4").value == near(1.0 / 3));
    items.back().answer = "b";
    CHECK(row(compute("instability@k", items), "instability@4").value == near(2.0 / 3));
    // Of items that are asked once there is nothing of the kind.
    std::vector<ItemResult> single;
    ask(single, "a", "y");
    ask(single, "b", "a");
    for (const char* name : {"pass@k", "cons@k", "instability@k"})
        CHECK(compute(name, single).empty());
}

TEST_CASE("replies without an answer leave the item its others") {
    std::vector<ItemResult> items;
    ask(items, "shy", "y---");
    ask(items, "wrong", "yaaa");
    ask(items, "silent", "----");
    const MetricRow answered = compute("accuracy_answered", items).at(0);
    CHECK(answered.value == near((1 + 0.25) / 2));  // and not two of five replies
    CHECK(answered.n == 2);
    CHECK(compute("accuracy", items).at(0).value == near((0.25 + 0.25 + 0) / 3));
    const auto counts = compute("answered", items);
    CHECK(row(counts, "answered").value == near((0.25 + 1 + 0) / 3));
    CHECK(row(counts, "answered").n == 3);
    CHECK(row(counts, "replies_unanswered").value == 7);
    CHECK(row(counts, "replies_unanswered").n == 12);
    CHECK(row(counts, "replies_cut_off").value == 7);
    // One vote of four is a majority of those cast; nobody voted on the last.
    CHECK(row(compute("cons@k", items), "cons@4").value == near((1.0 + 0 + 0) / 3));
    // One answer cannot differ, and silence does not: only one item is told of.
    CHECK(row(compute("instability@k", items), "instability@4").n == 1);
    CHECK(row(compute("instability@k", items), "instability@4").value == 1);
}

TEST_CASE("the interval of a share knows the replies, as far as items do not differ") {
    // Ten items alike: as good as 40 draws of a coin, but for what ten clusters can tell of that.
    std::vector<ItemResult> alike, apart;
    for (int i = 0; i < 10; ++i) ask(alike, std::to_string(i), "yyaa");
    const double t = stats::tQuantile(0.025, 9), z = stats::normalQuantile(0.025);
    const double draws = 40 * (z / t) * (z / t);
    const MetricRow same = compute("accuracy", alike).at(0);
    CHECK(*same.low == Approx(stats::wilson(0.5 * draws, draws).low));
    CHECK(*same.high == Approx(stats::wilson(0.5 * draws, draws).high));
    // Items that are always or never right: every reply but the first tells nothing new. Variance
    // 10 * .25 * 10 / 9 / 100 against .25 / 40: deff 40 / 9.
    for (int i = 0; i < 10; ++i) ask(apart, std::to_string(i), i < 5 ? "yyyy" : "aaaa");
    const MetricRow other = compute("accuracy", apart).at(0);
    const double items = 9 * (z / t) * (z / t);
    CHECK(*other.low == Approx(stats::wilson(0.5 * items, items).low));
    // All right: ten items and not forty say so.
    std::vector<ItemResult> all;
    for (int i = 0; i < 10; ++i) ask(all, std::to_string(i), "yyyy");
    CHECK(*compute("accuracy", all).at(0).low == Approx(stats::wilson(10, 10).low));
}

TEST_CASE("a mean over levels knows that replies to one item are not items") {
    std::vector<ItemResult> items, once;
    for (int i = 0; i < 6; ++i) {
        const std::string level = i < 3 ? "a" : "b";
        ask(items, std::to_string(i), i % 3 == 0 ? "aaaa" : "yyyy", {}, level);
        ask(once, std::to_string(i), i % 3 == 0 ? "a" : "y", {}, level);
    }
    const MetricRow macro = compute("accuracy_macro", items, "g").at(0);
    const MetricRow same = compute("accuracy_macro", once, "g").at(0);
    CHECK(macro.value == near(2.0 / 3));
    CHECK(macro.n == 6);
    CHECK(*macro.standardError == Approx(*same.standardError));
}

TEST_CASE("twins are compared reply by reply, and by chance beside it") {
    std::vector<ItemResult> items;
    ask(items, "q1r", "yyaa", "q1", "ref");
    ask(items, "q1o", "yaya", "q1", "other");
    ask(items, "q2r", "yyyy", "q2", "ref");
    ask(items, "q2o", "aaaa", "q2", "other");
    const auto accuracy = compute("accuracy_difference", items, "g");
    const MetricRow& difference = row(accuracy, "accuracy_difference", "g=other");
    CHECK(difference.value == near(-0.5));  // of 0 and -1
    CHECK(difference.n == 2);
    CHECK(difference.clusters == 2);
    // Two bases, one of which differs: both ways to flip it are as far from 0. Of replies apart
    // McNemar would say 5 to 1.
    CHECK(row(accuracy, "accuracy_difference_p", "g=other").value == 1);
    CHECK(
        row(accuracy, "accuracy_difference_p", "g=other").method ==
        "all sign flips by base; right for ref only: 5, for other only: 1, in 8 pairs of replies");
    const auto agreement = compute("answer_agreement", items, "g");
    const MetricRow& agree = row(agreement, "answer_agreement", "g=other");
    CHECK(agree.value == near((0.5 + 0) / 2));
    CHECK(agree.n == 2);
    // Two replies to one item of q1 agree in 1 of 3 pairs, of q2 always: the mean of 4 items.
    CHECK(*agree.chance == near((1.0 / 3 + 1.0 / 3 + 1 + 1) / 4));
    const MetricRow flips =
        row(compute("flip_rate", items, "g", "yes_no_reply"), "flip_rate", "g=other");
    CHECK(flips.value == near((0.5 + 1) / 2));
    CHECK(*flips.chance == near((2.0 / 3 + 2.0 / 3 + 0 + 0) / 4));
    const auto parity = compute("demographic_parity_difference", items, "g", "yes_no_reply");
    CHECK(row(parity, "demographic_parity_difference", "g").value == near(0.75 - 0.25));
    CHECK(row(parity, "demographic_parity_difference", "g").n == 4);
    CHECK(row(parity, "selection_rate_difference", "g=other").value == near(-0.5));
    CHECK(row(parity, "selection_rate_difference", "g=other").n == 2);
    CHECK(row(compute("reply_tokens", items, "g"), "reply_tokens_difference", "g=other").n == 2);
}

TEST_CASE("where a twin is silent in one repeat the others are compared") {
    std::vector<ItemResult> items;
    ask(items, "q1r", "yy-a", "q1", "ref");
    ask(items, "q1o", "y-ya", "q1", "other");  // both speak in the first and the last
    ask(items, "q2r", "----", "q2", "ref");
    ask(items, "q2o", "yyyy", "q2", "other");
    const MetricRow agree =
        row(compute("answer_agreement", items, "g"), "answer_agreement", "g=other");
    CHECK(agree.value == 1);
    CHECK(agree.n == 1);
}

TEST_CASE("bias scores of replies are those of as many answers, told of the items") {
    SuiteDefinition suite = suiteOf();
    std::vector<ItemResult> repeated, apart;
    for (int base = 0; base < 12; ++base) {
        const std::string answers = base % 3 == 0 ? "aabc" : "abcc";
        ask(repeated, std::to_string(base), answers, "c" + std::to_string(base));
        for (std::size_t i = 0; i < 4; ++i)
            ask(apart, std::to_string(base) + "/" + std::to_string(i), answers.substr(i, 1),
                "c" + std::to_string(base));
    }
    for (auto* items : {&repeated, &apart})
        for (ItemResult& item : *items) {
            item.detail["target_index"] = 2;
            item.detail["roles"] = {{"stereotyped", 0}, {"unknown", 2}};
        }
    const auto ours = biasScores({suite, repeated, "", 100, 1});
    const auto theirs = biasScores({suite, apart, "", 100, 1});
    // 4 bases of 2 against 1, 8 of 1 against 1; 28 of 48 answers name a person.
    CHECK(row(ours, "s_amb").value == near(28.0 / 48 * (2 * 16.0 / 28 - 1)));
    CHECK(row(ours, "s_amb").value == row(theirs, "s_amb").value);
    CHECK(*row(ours, "s_amb").low == *row(theirs, "s_amb").low);
    CHECK(row(ours, "s_amb_p").value == row(theirs, "s_amb_p").value);
    CHECK(row(ours, "s_amb").n == 12);
    CHECK(row(theirs, "s_amb").n == 48);
    for (ItemResult& item : repeated) item.detail["roles"] = {{"unknown", 2}};
    CHECK(row(biasScores({suite, repeated, "", 100, 1}), "items_without_stereotype").value == 12);
}

namespace {

constexpr int kTrials = 2000;

/// Uniform in (0, 1).
double uniform(stats::Random& random) {
    return (static_cast<double>(random.next() >> 11U) + 0.5) * 0x1p-53;
}

/// How a model meets items: an item's chance to be right is .5 + `spread` times a number that is
/// uniform in (-1, 1), half of it the cluster's: so there is variance between clusters, between
/// the items of a cluster, and between the replies to an item. The true value is .5.
struct Design {
    int clusters = 40, items = 1, repeats = 4;
    double spread = 0.45;
};

std::vector<ItemResult> drawn(const Design& design, stats::Random& random) {
    std::vector<ItemResult> items;
    for (int c = 0; c < design.clusters; ++c) {
        const double ofCluster = 2 * uniform(random) - 1;
        for (int i = 0; i < design.items; ++i) {
            const double own = 2 * uniform(random) - 1;
            const double p = 0.5 + design.spread * (ofCluster + own) / 2;
            std::string answers;
            for (int r = 0; r < design.repeats; ++r) answers += uniform(random) < p ? 'y' : 'a';
            ask(items, std::to_string(c) + "/" + std::to_string(i), answers, std::to_string(c));
        }
    }
    return items;
}

/// Shares of trials whose interval covers the true value: of the metric, and of one that takes
/// every reply for an item.
std::pair<double, double> coverage(const Design& design) {
    stats::Random random(7);
    int covered = 0, naive = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        const std::vector<ItemResult> items = drawn(design, random);
        const MetricRow accuracy = compute("accuracy", items).at(0);
        covered += *accuracy.low <= 0.5 && 0.5 <= *accuracy.high ? 1 : 0;
        const auto n = static_cast<double>(items.size());
        const stats::Interval wrong = stats::wilson(accuracy.value * n, n);
        naive += wrong.low <= 0.5 && 0.5 <= wrong.high ? 1 : 0;
    }
    return {static_cast<double>(covered) / kTrials, static_cast<double>(naive) / kTrials};
}

}  // namespace

// 2,000 trials at 95 %: standard error 0.5 %, so that 93.3 and 96.7 % are 3.5 of them away.
TEST_CASE("intervals cover with variance between items and between replies", "[slow]") {
    for (const Design& design :
         {Design{40, 1, 4, 0.45}, Design{40, 1, 8, 0.5}, Design{100, 1, 8, 0.45},
          Design{25, 4, 4, 0.5}, Design{40, 1, 4, 0}}) {
        const auto [covered, naive] = coverage(design);
        CAPTURE(design.clusters, design.items, design.repeats, design.spread, covered, naive);
        CHECK(covered > 0.933);
        CHECK(covered < 0.967);
        // With nothing between items replies are items.
        CHECK((naive < 0.93) == (design.spread > 0));
    }
}

TEST_CASE("means over replies cover with variance between items and between replies", "[slow]") {
    stats::Random random(11);
    int covered = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        std::vector<ItemResult> items;
        for (int i = 0; i < 20; ++i) {
            ask(items, std::to_string(i), "yyyy");
            const double ofItem = 300 * uniform(random);
            for (std::size_t r = items.size() - 4; r < items.size(); ++r)
                items[r].detail["reply_tokens"] = ofItem + 200 * uniform(random);
        }
        const MetricRow tokens = compute("reply_tokens", items).at(0);
        covered += *tokens.low <= 250 && 250 <= *tokens.high ? 1 : 0;
    }
    const double share = static_cast<double>(covered) / kTrials;
    CAPTURE(share);
    CHECK(share > 0.933);
    CHECK(share < 0.967);
}

TEST_CASE("tests of twins keep their level with repeats", "[slow]") {
    stats::Random random(13);
    int significant = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        std::vector<ItemResult> items;
        for (int base = 0; base < 14; ++base) {
            // Either twin may be the harder one, and stays so in all replies.
            for (const char* level : {"ref", "other"}) {
                const double p = uniform(random);
                std::string answers;
                for (int r = 0; r < 4; ++r) answers += uniform(random) < p ? 'y' : 'a';
                ask(items, std::to_string(base) + level, answers, std::to_string(base), level);
            }
        }
        const auto rows = compute("accuracy_difference", items, "g");
        significant += row(rows, "accuracy_difference_p", "g=other").value <= 0.05 ? 1 : 0;
    }
    const double share = static_cast<double>(significant) / kTrials;
    CAPTURE(share);
    CHECK(share > 0.03);  // the test is exact but for ties, which make it careful
    CHECK(share < 0.067);
}

TEST_CASE("where no reply holds an answer nothing is said of equal rates") {
    std::vector<ItemResult> items;
    for (const char* base : {"1", "2"}) {
        ask(items, std::string("r") + base, "--", base, "ref");
        ask(items, std::string("o") + base, "--", base, "other");
    }
    for (const char* metric : {"demographic_parity_difference", "disparate_impact_ratio"})
        CHECK(compute(metric, items, "g", "yes_no_reply").empty());
    CHECK(row(compute("answered", items, "g", "yes_no_reply"), "answered", "g=ref").value == 0);
    ask(items, "r3", "n", "3", "ref");  // one answer, and be it no
    ask(items, "o3", "-", "3", "other");
    CHECK(row(compute("demographic_parity_difference", items, "g", "yes_no_reply"),
              "demographic_parity_difference", "g")
              .value == 0);
}
