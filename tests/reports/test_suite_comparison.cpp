// SPDX-License-Identifier: Apache-2.0
// Evaluations beside each other: which differences are tested, on what, and how formats show them.
#include "reports/suite_comparison.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "engine/core/file.h"
#include "evals/stats/tests.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/ranking.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
using Catch::Contains;

namespace {

/// Items with replies, 'y' right and other letters wrong answers, '-' none; of each the same
/// number.
ReportRun replied(const std::vector<std::string>& items) {
    ReportRun run;
    run.summary.meta = {{"kind", "eval"}};
    const std::size_t repeats = items.front().size();
    run.summary.suites = {{7, "s", "1", "S", "capability", "",
                           static_cast<std::int64_t>(items.size()),
                           R"({"answers":"written","repeats":)" + std::to_string(repeats) + "}"}};
    for (std::size_t i = 0; i < items.size(); ++i) {
        for (std::size_t r = 0; r < repeats; ++r) {
            const char answer = items[i][r];
            ItemRow row;
            row.suite = 7;
            row.id = "i" + std::to_string(i);
            row.ordinal = static_cast<std::int64_t>(i);
            row.repeat = static_cast<std::int64_t>(r);
            row.score = answer == 'y' ? 1 : 0;
            if (answer != '-') row.answer = std::string(1, answer);
            row.detail = dumpJson({{"right", answer == 'y'},
                                   {"answered", answer != '-'},
                                   {"reply", row.answer},
                                   {"reply_tokens", 10 * (i + 1)}});
            run.items[7].push_back(std::move(row));
        }
    }
    const auto n = static_cast<std::int64_t>(items.size());
    const auto rows = static_cast<std::int64_t>(run.items[7].size());
    run.summary.itemCounts[7] = {rows, rows};
    for (const std::string& name :
         {std::string("accuracy"), std::string("accuracy_answered"), std::string("pass@2"),
          "pass@" + std::to_string(repeats), "cons@" + std::to_string(repeats),
          "instability@" + std::to_string(repeats)})
        run.summary.metrics.push_back({7, name, "", 0.5, {}, {}, {}, {}, "", n, n, 0});
    return run;
}

/// Twelve bases of two twins each; `wrong`: the first so many items are answered wrongly.
ReportRun evaluated(int wrong, int items = 24) {
    ReportRun run;
    run.source = "runs/" + std::to_string(wrong) + ".moescope";
    run.summary.meta = {{"kind", "eval"}};
    run.summary.suites = {{7, "s", "1", "Twins", "capability", "", items, R"({"limit":0})"}};
    run.summary.itemCounts[7] = {items, items};
    double right[3] = {};
    for (int i = 0; i < items; ++i) {
        const bool good = i >= wrong;
        right[2] += good ? 1 : 0;
        right[i % 2] += good ? 1 : 0;
        ItemRow item;
        item.suite = 7;
        item.id = "i" + std::to_string(i);
        item.ordinal = i;
        item.groups = i % 2 == 0 ? R"({"twin":"a"})" : R"({"twin":"b"})";
        item.score = good ? 1 : 0;
        item.detail = R"({"right":)" + std::string(good ? "true" : "false") + R"(,"cluster":"c)" +
                      std::to_string(i / 2) + "\"}";
        run.items[7].push_back(std::move(item));
    }
    const double n = items;
    run.summary.metrics = {
        {7, "accuracy", "", right[2] / n, 0.2, 0.9, {}, 0.5, "Wilson", items, items / 2, 0},
        {7, "accuracy", "twin=a", 2 * right[0] / n, 0.2, 0.9, {}, 0.5, "Wilson", items / 2, 12, 1},
        {7, "s_amb", "", 0.01 * wrong, {}, {}, {}, 0.0, "score", items, items / 2, 2},
        {7, "s_amb_p", "", 0.0125, {}, {}, {}, {}, "sign flips", items, items / 2, 3},
        {7, "items_too_long", "", 0, {}, {}, {}, {}, "count", items}};
    return run;
}

SuiteComparison compared(const std::vector<ReportRun>& runs) {
    return compareSuites(std::span<const ReportRun>(runs));
}

std::string reportOf(const std::vector<ReportRun>& runs, const char* format, const char* name) {
    for (const ReportFile& file : renderReport(runs, format))
        if (file.name == name) return file.content;
    return {};
}

}  // namespace

TEST_CASE("a mean over items is tested pair by pair over clusters, whole suites and groups apart") {
    const std::vector<MetricChange> changes = compared({evaluated(24), evaluated(4)}).changes;
    REQUIRE(changes.size() == 3);
    const MetricChange& all = changes[0];
    CHECK(all.name == "accuracy");
    CHECK(all.difference == Approx(20.0 / 24));
    CHECK(all.difference == Approx(all.after->value - all.before.value));
    CHECK(all.items == 24);
    CHECK(all.clusters == 12);
    // Ten of twelve bases change, all the same way, by two items each.
    CHECK(*all.p == 2.0 / 1024);
    CHECK(*all.holm == *all.p);  // the groups do not count against it
    REQUIRE(all.low.has_value());
    CHECK(*all.low < all.difference);
    CHECK(*all.high > all.difference);
    CHECK(changes[1].group == "twin=a");
    CHECK(changes[1].items == 12);
    CHECK(changes[1].difference == Approx(10.0 / 12));
}

TEST_CASE("a figure that is no mean over items is not tested and says so") {
    const std::vector<MetricChange> changes = compared({evaluated(12), evaluated(4)}).changes;
    const MetricChange& score = changes.back();
    CHECK(score.name == "s_amb");  // its p and the count of items are no scores
    CHECK(score.difference == Approx(-0.08));
    CHECK_FALSE(score.p.has_value());
    CHECK(score.note == "not tested: no mean over items");
    CHECK(differenceCell(score) == "-0.0800");
}

TEST_CASE("only items that both runs scored are compared") {
    ReportRun fewer = evaluated(0);
    fewer.items[7].resize(10);
    fewer.items[7][0].score = std::nan("");
    const std::vector<MetricChange> changes = compared({evaluated(2), fewer}).changes;
    CHECK(changes[0].items == 9);
    CHECK(changes[0].difference == Approx(1.0 / 9));
    CHECK(changes[0].note ==
          "no interval: fewer than 10 clusters differ; of the 9 items that both runs "
          "scored");
    fewer.items[7].clear();
    CHECK(compared({evaluated(2), fewer}).changes[0].note ==
          "not tested: no item that both runs scored");
}

TEST_CASE("a difference that few clusters make has an exact test and no interval") {
    const MetricChange all = compared({evaluated(12), evaluated(4)}).changes.at(0);
    CHECK(*all.p == 2.0 / 16);  // Student's t would exclude 0
    CHECK_FALSE(all.low.has_value());
    CHECK(all.note == "no interval: fewer than 10 clusters differ");
}

TEST_CASE("the same run twice differs in nothing") {
    for (const MetricChange& change : compared({evaluated(5), evaluated(5)}).changes) {
        CHECK(change.difference == 0);
        CHECK(change.p.value_or(1) == 1);
    }
}

TEST_CASE("the weight of an item in a mean over terms is that of its term") {
    ReportRun base = evaluated(0), other = evaluated(0);
    const auto make = [](ReportRun& run, bool stereotyped) {
        auto& items = run.items[7];
        items.resize(3);  // a term of two items, and one of one
        for (std::size_t i = 0; i < 3; ++i)
            items[i].detail = R"({"cluster":")" + std::string(i < 2 ? "x" : "y") +
                              R"(","first_over_second":)" +
                              (stereotyped && i == 2 ? "true" : "false") + "}";
        run.summary.metrics = {
            {7, "ss", "", stereotyped ? 50.0 : 0.0, {}, {}, {}, 50.0, "mean over 2 terms", 3, 2}};
    };
    make(base, false);
    make(other, true);
    CHECK(compared({base, other}).changes.at(0).difference == 50);
}

TEST_CASE("items are paired by their means over repeats and by what repeats say together") {
    const std::vector<MetricChange> changes =
        compared({replied({"yyaa", "y--a", "yyyy"}), replied({"yyyy", "y---", "yyya"})}).changes;
    REQUIRE(changes.size() == 6);
    CHECK(changes[0].name == "accuracy");
    CHECK(changes[0].difference == Approx((0.5 + 0 - 0.25) / 3));
    CHECK(changes[0].items == 3);
    CHECK(changes[0].clusters == 3);
    CHECK(*changes[0].p == 1);  // no way to flip .5 and -.25 gives less
    CHECK(changes[1].name == "accuracy_answered");
    CHECK(changes[1].difference == Approx((0.5 + 0.5 - 0.25) / 3));
    CHECK(changes[2].name == "pass@2");
    CHECK(changes[2].difference == Approx((1.0 / 6 + 0 + 0) / 3));
    CHECK(changes[3].name == "pass@4");
    CHECK(changes[3].difference == 0);
    CHECK(changes[4].name == "cons@4");
    CHECK(changes[4].difference == Approx((0.5 + 0.5 + 0) / 3));  // two ties of two
    CHECK(changes[5].name == "instability@4");
    CHECK(changes[5].difference == Approx((-1.0 + 1) / 2));
    CHECK(changes[5].items == 2);  // one answer alone is not told of
}

TEST_CASE("what repeats add to be tested costs the accuracy nothing") {
    const std::vector<MetricChange> changes =
        compared({replied(std::vector<std::string>(12, "aaaa")),
                  replied(std::vector<std::string>(12, "yyyy"))})
            .changes;
    REQUIRE(changes.size() == 6);
    const double p = 2.0 / 4096;  // twelve items, all the same way
    for (const MetricChange& change : changes) {
        CAPTURE(change.name);
        const bool alike = change.name == "instability@4";
        const double tests = change.name.find('@') == std::string::npos ? 2 : 4;
        CHECK(*change.p == (alike ? 1 : p));
        CHECK(*change.holm == Approx(alike ? 1 : p * tests));
    }
}

TEST_CASE("runs with other numbers of repeats have the same items") {
    ReportRun once = replied({"y", "a", "y"});
    const SuiteComparison comparison = compared({replied({"yyaa", "yaaa", "yyyy"}), once});
    CHECK(comparison.changes[0].name == "accuracy");
    CHECK(comparison.changes[0].difference == Approx((0.5 - 0.25 + 0) / 3));
    CHECK(comparison.changes[0].items == 3);
    for (const MetricChange& change : comparison.changes)
        if (change.name.find("@4") != std::string::npos)
            CHECK(change.note == "the other run has no such value");
    CHECK(comparison.warnings.at(0) == "s: repeats is 4 in the first and 1 in run 2");
    once.summary.suites[0].settings = R"({"answers":"written"})";  // of before there were any
    CHECK(compared({replied({"y", "a", "y"}), once}).warnings.empty());
}

TEST_CASE("what keeps suites from being compared is said") {
    ReportRun other = evaluated(4);
    other.summary.suites[0].settings = R"({"limit":12})";
    other.summary.suites.push_back({8, "t", "", "", "", "", 1, "{}"});
    other.summary.itemCounts[8] = {1, 1};
    other.summary.metrics.back().value = 3;
    const std::vector<std::string> warnings = compared({evaluated(12), other}).warnings;
    REQUIRE(warnings.size() == 3);
    CHECK(warnings[0] ==
          "s: 0 items did not fit the context in the first and 3 in run 2: their "
          "figures are of different items");
    CHECK(warnings[1] == "s: limit is 0 in the first and 12 in run 2");
    CHECK(warnings[2] == "t: only run 2 evaluated it");
    other.summary.suites[0].settings = "damaged {";
    CHECK(compared({evaluated(12), other}).warnings[1] ==
          "s: limit is 0 in the first and absent in run 2");
}

TEST_CASE("reports of two evaluations hold the paired comparison in every format") {
    const std::vector<ReportRun> runs{evaluated(12), evaluated(4)};
    const std::string page = reportOf(runs, "html", "report.html");
    CHECK_THAT(page, Contains("id=\"suite-comparison\"") && Contains(kSuiteComparisonNote) &&
                         Contains("not tested: no mean over items"));
    CHECK_THAT(page, !Contains("is noise"));
    const std::string text = reportOf(runs, "md", "report.md");
    CHECK_THAT(text, Contains("| s | accuracy | all | 2 | 0.500 [0.200, 0.900] | 0.833 [0.200, "
                              "0.900] | +0.333 | 0.12 | no interval"));
    const auto document = parseJson(reportOf(runs, "json", "report.json"), "report.json");
    const auto& first = document["suite_comparison"].at(0);
    CHECK(first["metric"] == "accuracy");
    CHECK(first["run"] == 2);  // from 1, as in CSV
    CHECK(first["p"] == 0.125);
    CHECK(first["mean_difference"].get<double>() == Approx(8.0 / 24));
    CHECK(document["suite_comparison"].at(2)["p"].is_null());
    CHECK_THAT(reportOf(runs, "csv", "suite_comparison.csv"), Contains("\r\n2,s,accuracy,,0.5,"));
    CHECK_THAT(reportOf({evaluated(4)}, "md", "report.md"), !Contains("each run beside run 1"));
}

TEST_CASE("reports of repeats tell of items and say how often each was asked") {
    ReportRun run = replied({"yyyy", "a-yb", "bbba"});
    const std::string said = "12 of 12 replies evaluated, 4 to each of 3 items.";
    const std::string page = reportOf({run}, "html", "report.html");
    CHECK_THAT(page, Contains(said) && Contains("with the lowest score (3 of 3)") &&
                         Contains("b (3 of 4), a (1 of 4)") &&
                         Contains("a (1 of 4), b (1 of 4), none (1 of 4), y (1 of 4)"));
    CHECK(page.find("b (3 of 4)") < page.find("a (1 of 4), b"));  // the lowest score first
    CHECK_THAT(reportOf({run}, "md", "report.md"), Contains(said));
    CHECK_THAT(reportOf({run}, "csv", "items.csv"), Contains(",3\r\n"));
    const auto document = parseJson(reportOf({run}, "json", "report.json"), "report.json");
    CHECK(document["runs"][0]["suites"][0]["items"][5]["repeat"] == 1);
    run.items[7].resize(6);  // stopped between the replies to the second item
    run.summary.itemCounts[7] = {6, 6};
    CHECK_THAT(reportOf({run}, "html", "report.html"),
               Contains("6 of 12 replies evaluated, 4 planned for each of 3 items: NOT FINISHED"));
    // Numbers of a file from elsewhere.
    run.summary.suites[0].items = std::numeric_limits<std::int64_t>::max();
    CHECK(plannedRows(run.summary.suites[0]) == std::numeric_limits<std::int64_t>::max());
    run.summary.suites[0].settings = R"({"repeats":-3})";
    CHECK(repeatsOf(run.summary.suites[0]) == 1);
}

TEST_CASE("tables show a test beside its metric and counts as sentences") {
    ReportRun run = evaluated(4);
    run.summary.metrics.back().value = 3;
    const auto lines = metricLines(run.summary.metrics);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].test == nullptr);
    CHECK(testText(lines[2].test) == "0.013");
    CHECK(basisText(*lines[2].metric) == "24 in 12 clusters");
    CHECK(itemCountNotes(run.summary.metrics) ==
          std::vector<std::string>{"items_too_long: 3 of 24 items (count)"});
    CHECK(itemCountNotes(std::vector<MetricRow>{
              {1, "replies_cut_off", "", 2, {}, {}, {}, {}, "count of replies", 8}}) ==
          std::vector<std::string>{"replies_cut_off: 2 of 8 replies (count of replies)"});
    std::string page = reportOf({run}, "html", "report.html");
    page = page.substr(page.find("Metrics of s, overall"));
    CHECK_THAT(page, !Contains("<th scope=\"row\">s_amb_p") && Contains("3 of 24 items"));
    const MetricRow flips{1, "flip_rate", "age=61", 0.5, {}, {}, {}, {}, "", 9};
    const std::vector<MetricRow> older{flips, {1, "flip_p", "age=61", 0.5, {}, {}, {}, {}, "", 9}};
    CHECK(metricLines(older).at(0).test == &older[1]);
}
