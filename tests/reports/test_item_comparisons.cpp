// SPDX-License-Identifier: Apache-2.0
// What every format says of items that are routed otherwise by whom they speak of.
#include <catch2/catch.hpp>
#include <cmath>

#include "reports/item_comparisons.h"
#include "tests/reports/sample_run.h"

using namespace moescope;

namespace {

/// Eight cases of two; the groups take experts 0 and 1, or all take expert 2.
ItemComparison comparison(const std::string& key, bool differ, ItemTokens tokens) {
    std::vector<RoutingCountRow> rows;
    std::vector<GroupedText> texts;
    for (int i = 0; i < 16; ++i) {
        texts.push_back({i, i % 2 == 0 ? "men" : "women", std::to_string(i / 2)});
        rows.push_back({i, "prefill", 0, differ ? i % 2 : 2, 10});
    }
    ItemComparison out;
    out.suite = "loans";
    out.key = key;
    out.tokens = tokens;
    out.sharedTokens = tokens == ItemTokens::Shared ? 12.25 : 0;
    out.of = specialization(rows, texts, Exchange::WithinBlocks, 3);
    out.q = out.of.p;
    return out;
}

std::string content(const ReportRun& run, const char* format, const std::string& name) {
    for (const ReportFile& file : renderReport(std::span(&run, 1), format))
        if (file.name == name) return file.content;
    return {};
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

ReportRun sample() {
    ReportRun run = testing::smallRun();
    run.itemGroups = {comparison("gender", true, ItemTokens::Shared),
                      comparison("gender", true, ItemTokens::All),
                      comparison("=age", false, ItemTokens::All)};
    return run;
}

}  // namespace

TEST_CASE("the words behind a name and all tokens are told apart") {
    const std::vector<std::string> says = itemComparisonSentences(sample().itemGroups);
    REQUIRE(says.size() == 3);
    CHECK(
        has(says[0], "behind the last in which they differ, 1 of 1 grouping is routed otherwise"));
    CHECK(has(says[0], ": loans by gender."));
    CHECK(has(says[1], "Of all tokens, 1 of 2 groupings is routed otherwise"));
    CHECK(!has(says[1], "--routing-tokens"));
    CHECK(has(says[2], "not worse treated"));
    const ItemComparison all = comparison("gender", false, ItemTokens::All);
    const std::vector<std::string> without = itemComparisonSentences(std::span(&all, 1));
    REQUIRE(without.size() == 2);
    CHECK(has(without[0], "Of all tokens, 0 of 1 grouping are routed otherwise"));
    CHECK(has(without[0], "--routing-tokens"));
    CHECK(itemComparisonSentences({}).empty());
}

TEST_CASE("page, Markdown, CSV and JSON hold the comparisons") {
    const ReportRun run = sample();
    const std::string page = content(run, "html", "report.html");
    CHECK(has(page, "Routing of groups of items"));
    CHECK(has(page, "the 12.2 behind what differs"));
    CHECK(has(page, "within 8 cases"));
    const std::string csv = content(run, "csv", "item_groups.csv");
    CHECK(has(csv, "1,loans,gender,shared,12.25,within_blocks,8,2,1,"));
    CHECK(has(csv, "1,loans,'=age,all,,within_blocks,8,2,0,"));  // no formula for a spreadsheet
    const std::string markdown = content(run, "md", "report.md");
    CHECK(has(markdown, "| loans | gender | men, women | the 12.2 behind what differs |"));
    const nlohmann::json json = itemComparisonsJson(run.itemGroups);
    REQUIRE(json.size() == 3);
    CHECK(json[0].at("cases") == 8);
    CHECK(json[0].at("specialization").at("mean_divergence_bits").get<double>() == Approx(1));
    CHECK(json[1].at("shared_tokens").is_null());
    CHECK(!has(content(testing::smallRun(), "html", "report.html"), "Routing of groups of items"));
}

TEST_CASE("a grouping that cannot be tested says why and is in no table") {
    ItemComparison none = comparison("gender", true, ItemTokens::All);
    none.of = specialization({}, std::vector<GroupedText>{}, Exchange::WithinBlocks, 3);
    none.q = std::nan("");
    CHECK(has(divergenceText(none), "too few items of two groups"));
    ReportRun run = testing::smallRun();
    run.itemGroups = {none};
    CHECK(has(content(run, "html", "report.html"), "Routing of groups of items"));
    CHECK(has(content(run, "csv", "item_groups.csv"), "1,loans,gender,all,,within_blocks,0,0,,,,"));
}
