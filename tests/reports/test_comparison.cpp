// SPDX-License-Identifier: Apache-2.0
// What runs of other lengths, and on a machine that changed, may be compared in.
#include "reports/comparison.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/reports/sample_run.h"

using namespace moescope;
using Catch::Contains;
using moescope::testing::smallRun;

namespace {

ReportRun ofTokens(std::int64_t prefill, std::int64_t routed) {
    ReportRun run = smallRun();
    run.summary.prefill.tokens = prefill;
    for (LayerRouting& layer : run.summary.routing) layer.balance.tokens = routed;
    return run;
}

const ComparisonRow& rowOf(const std::vector<ComparisonRow>& rows, const std::string& id) {
    for (const ComparisonRow& row : rows)
        if (row.id == id) return row;
    throw std::out_of_range(id);
}

std::string comparisonHtml(const std::vector<ReportRun>& runs) {
    const std::string html = renderReport(runs, "html").at(0).content;
    const std::size_t begin = html.find("id=\"comparison\"");
    return html.substr(begin, html.find("<section", begin) - begin);
}

ReportRun withMachine(const char* machine) {
    ReportRun run = smallRun();
    run.summary.meta["machine"] = machine;
    return run;
}

}  // namespace

TEST_CASE("the excess over chance comes before max/mean, which is not compared across lengths") {
    const std::vector<ReportRun> runs{ofTokens(1234, 8), ofTokens(1234, 16)};
    const std::vector<ComparisonRow> rows = compareHeadlines(runs);
    CHECK(std::isnan(relativeChange(rowOf(rows, "balance_max_over_mean"), 1)));
    CHECK(relativeChange(rowOf(rows, "balance_excess"), 1) == 0);
    const std::string html = comparisonHtml(runs);
    CHECK(html.find("Excess imbalance") < html.find("Expert load, max/mean"));
    CHECK_THAT(html, Contains("2.00 x (8 tokens)") && Contains("2.00 x (16 tokens)") &&
                         Contains("not comparable"));
    CHECK_THAT(html, Contains("Run 2: max/mean over 16 tokens instead of 8: compare the excess"));
    std::vector<ReportRun> apart = runs;
    for (LayerRouting& layer : apart[1].summary.routing) layer.null.maxOverMean = 1.25;
    CHECK_THAT(comparisonHtml(apart),
               Contains("instead of 8: by chance alone it would be 1.25 x instead of 1.50 x; "
                        "compare the excess"));
    const std::string same = comparisonHtml({ofTokens(1234, 8), ofTokens(1234, 8)});
    CHECK_THAT(same, !Contains("not comparable") && !Contains("by chance alone"));
}

TEST_CASE("speeds stand beside their tokens and are marked where these are twofold apart") {
    const std::string html = comparisonHtml({ofTokens(37087, 8), ofTokens(5, 8)});
    CHECK_THAT(html, Contains("617 tok/s (37,087 tokens)") && Contains("617 tok/s (5 tokens)"));
    CHECK_THAT(html, Contains(">! 0.0 %</td>"));
    CHECK_THAT(html, Contains("Run 2: prefill of 5 tokens instead of 37,087: a difference in "
                              "speed is also one of length."));
    CHECK_THAT(html, !Contains("decode of"));
    const std::string near = comparisonHtml({ofTokens(1000, 8), ofTokens(2000, 8)});
    CHECK_THAT(near, !Contains(">! ") && !Contains("difference in speed"));
    CHECK(tokensApart(1000, 2001));
    CHECK(tokensApart(2001, 1000));
    CHECK_FALSE(tokensApart(0, 2001));
}

TEST_CASE("ceilings more than a tenth apart are told") {
    const ReportRun base = withMachine(
        R"({"read_bandwidth_bytes_per_second":4e10,"peak_operations_per_second":{"fp32":1e11}})");
    const auto cautions = [&](const char* machine) {
        return comparisonCautions(base.summary, withMachine(machine).summary);
    };
    CHECK(cautions(R"({"read_bandwidth_bytes_per_second":4.3e10,
                       "peak_operations_per_second":{"fp32":0.95e11,"int8":4e11}})")
              .empty());
    CHECK(cautions("{}").empty());
    CHECK(cautions(R"({"read_bandwidth_bytes_per_second":2e10,
                       "peak_operations_per_second":{"fp32":1.2e11}})") ==
          std::vector<std::string>{
              "ceilings measured more than 10 % apart (memory 20.0 GB/s instead of 40.0 GB/s, fp32 "
              "120 GOP/s instead of 100 GOP/s): shares of bandwidth and of roofs cannot be "
              "compared, and a difference in speed is also one of the machine"});
}

TEST_CASE("JSON of several runs has the tokens of its figures and the cautions") {
    const std::vector<ReportRun> runs{ofTokens(37087, 8), ofTokens(5, 16)};
    const auto document = nlohmann::json::parse(renderReport(runs, "json").at(0).content);
    for (const auto& row : document.at("comparison")) {
        if (row.at("id") == "prefill_tokens_per_second")
            CHECK(row.at("tokens") == nlohmann::json({37087, 5}));
        if (row.at("id") == "balance_max_over_mean")
            CHECK(row.at("relative_changes").at(1).is_null());
    }
    REQUIRE(document.at("cautions").size() == 2);
    CHECK(document.at("cautions").at(0).at("run") == 2);  // from 1, as in every format
}

TEST_CASE("page, JSON and Markdown name everything that forbids comparing two runs") {
    ReportRun other = ofTokens(5, 16);
    other.summary.meta["model"] = R"({"name":"large","identity":"4567"})";
    other.summary.meta["kind"] = "eval";
    const std::vector<ReportRun> runs{ofTokens(37087, 8), other};
    const std::string html = comparisonHtml(runs), json = renderReport(runs, "json").at(0).content,
                      md = renderReport(runs, "md").at(0).content;
    for (const std::string& text : {html, json, md})
        CHECK_THAT(text, Contains("different model") && Contains("different kind") &&
                             Contains("prefill of 5 tokens instead of 37,087") &&
                             Contains("max/mean over 16 tokens instead of 8"));
    CHECK_THAT(md, Contains("> **Note:** Run 2: different kind"));
    CHECK_THAT(renderReport(std::vector{runs[0], runs[0]}, "md").at(0).content,
               !Contains("Run 2: different"));
}

TEST_CASE("the JSON report's keys of shares are those that readers know") {
    const std::string json = renderReport(std::vector<ReportRun>{smallRun()}, "json").at(0).content;
    const std::size_t roofline = json.find("\"roofline\"");
    REQUIRE(roofline != std::string::npos);
    CHECK(json.find("\"share_of_peak\"") != std::string::npos);
    CHECK_THAT(json, Contains("\"bound_by\""));
}

TEST_CASE("scores of groups are compared for the group that the first run shows, by difference") {
    const auto ofGroups = [](double young, double old) {
        ReportRun run = smallRun();
        run.summary.suites = {{1, "hire", "1", "Hiring", "fairness", "", 10, "{}"}};
        run.summary.metrics = {{1, "logit_difference", "age=20", young, {}, {}, {}, 0.0, "t", 10},
                               {1, "logit_difference", "age=60", old, {}, {}, {}, 0.0, "t", 10}};
        return run;
    };
    const std::vector<ReportRun> runs{ofGroups(-0.01, 0.002), ofGroups(-0.004, 0.03)};
    const std::vector<ComparisonRow> rows = compareHeadlines(runs);
    const ComparisonRow& row = rowOf(rows, "suite.hire.logit_difference");
    CHECK(row.label == "Hiring: logit_difference, age=20");
    CHECK(row.figures[0]->value == -0.01);
    CHECK(row.figures[1]->value == -0.004);  // not age=60, which is further from even there
    CHECK(std::isnan(relativeChange(row, 1)));
    CHECK(difference(row, 1) == Approx(0.006));
    CHECK_THAT(comparisonHtml(runs), Contains("+0.006") && !Contains("-60"));
    // In JSON a run of its own has the same value under the same id, and its group beside it.
    const auto document = nlohmann::json::parse(renderReport(runs, "json").at(0).content);
    for (std::size_t i = 0; i < 2; ++i)
        for (const auto& figure : document.at("runs").at(i).at("headline"))
            if (figure.at("id") == row.id) {
                CHECK(figure.at("group") == "age=20");
                CHECK(figure.at("value") == row.figures[i]->value);
            }
    // A first run without the suite has no say in it.
    const std::vector<ComparisonRow> three =
        compareHeadlines(std::vector<ReportRun>{smallRun(), runs[0], runs[1]});
    const ComparisonRow& same = rowOf(three, "suite.hire.logit_difference");
    CHECK(same.label == row.label);
    CHECK(same.figures[2]->value == -0.004);
}
