// SPDX-License-Identifier: Apache-2.0
// JSON, CSV, Markdown, the terminal summary, the table of formats, and numbers.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "reports/counter_names.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"
#include "reports/suite_comparison.h"
#include "reports/visible_text.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
using moescope::testing::smallRun;

namespace {

/// An RFC 4180 reader, independent of the writer.
std::vector<std::vector<std::string>> readCsv(const std::string& text) {
    std::vector<std::vector<std::string>> rows(1, {""});
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c == '"' && i + 1 < text.size() && text[i + 1] == '"')
                rows.back().back() += text[++i];
            else if (c == '"')
                quoted = false;
            else
                rows.back().back() += c;
        } else if (c == '"')
            quoted = true;
        else if (c == ',')
            rows.back().emplace_back();
        else if (c == '\r')
            continue;
        else if (c == '\n')
            rows.push_back({""});
        else
            rows.back().back() += c;
    }
    rows.pop_back();
    return rows;
}

std::string file(std::vector<ReportRun> runs, const std::string& format, const std::string& name) {
    for (const ReportFile& made : renderReport(runs, format)) {
        if (made.name == name) return made.content;
    }
    return {};
}

/// Compares with tests/reports/approved; MOESCOPE_APPROVE=1 accepts what is there now.
void approve(const std::string& name, const std::string& content) {
    const std::filesystem::path path =
        std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/reports/approved" / name;
    if (std::getenv("MOESCOPE_APPROVE") != nullptr) writeFile(path, content);
    INFO("accept with MOESCOPE_APPROVE=1 after reading the difference: " << path);
    CHECK(content == readFile(path));
}

}  // namespace

TEST_CASE("numbers read the same everywhere") {
    CHECK(formatParameters(20914757184.0) == "20.9 B");
    CHECK(formatParameters(3607000000.0) == "3.61 B");
    CHECK(formatParameters(640) == "640");
    // A fact's unit is told by its key, a peak's by that of the object it is in.
    CHECK(formatFact(unitKey("peak_operations_per_second", "bf16"), 1047404401307.0) ==
          "1.05 TOP/s");
    CHECK(formatFact(unitKey("parameters", "active"), 3733216) == "3.73 M");
    CHECK(formatFact(unitKey("machine", "memory_bytes"), 25276510208.0) == "25.3 GB");
    CHECK(formatFact("read_bandwidth_bytes_per_second", 38597549178.0) == "38.6 GB/s");
    CHECK(formatFact("load_ns", 20091993) == "20.1 ms");
    CHECK(formatFact("context_length", 131072) == "131,072");
    CHECK(formatFact("load_1m", 5.92333984375) == "5.92");
    CHECK(formatCount(1234567) == "1,234,567");
    CHECK(formatCount(-999) == "-999");
    CHECK(formatFixed(1234.5, 2) == "1,234.50");
    CHECK(formatFixed(-0.001, 1) == "0.0");
    CHECK(formatMeasured(12.345, 2) == "12.35");
    CHECK(formatMeasured(12345678.9, 2) == "12,345,679");
    CHECK(formatMeasured(std::nan(""), 2) == "n/a");
    CHECK(formatRate(12.34) == "12.3");
    CHECK(formatRate(12345.6) == "12,346");
    CHECK(formatRate(999'600) == "1.00 M");
    CHECK(formatRate(42189643) == "42.2 M");
    CHECK(formatRate(std::nan("")) == "n/a");
    CHECK(formatSignificant(9.996) == "10.0");
    CHECK(formatSignificant(0.01234) == "0.0123");
    CHECK(formatSignificant(12345.6) == "12,346");
    CHECK(formatSignificant(std::numeric_limits<double>::quiet_NaN()) == "n/a");
    CHECK(formatDuration(1.234e6) == "1.23 ms");
    CHECK(formatDuration(999.6) == "1.00 \xC2\xB5s");
    CHECK(formatCounted(1, "launch") == "1 launch");
    CHECK(formatCounted(1234, "launch") == "1,234 launches");
    CHECK(formatCounted(0, "step") == "0 steps");
    CHECK(formatBytes(12109566560.0) == "12.1 GB");
    CHECK(formatBytes(0) == "0 B");
    CHECK(formatPerSecond(3.8e10, "B") == "38.0 GB/s");
    CHECK(formatCounter("dram__bytes_read.sum.per_second", 2.5e12) == "2.50 TB/s");
    CHECK(formatCounter("sm__cycles_elapsed.avg.per_second", 1.755e9) == "1.75 GHz");
    CHECK(formatCounter("sm__cycles_active.avg.pct_of_peak_sustained_elapsed", 43.21) == "43.2 %");
    CHECK(formatCounter("sm__inst_executed_realtime.sum", 12345.6) == "12,346");
    CHECK(rawNumber(0.1) == "0.1");
    CHECK(rawNumber(std::numeric_limits<double>::infinity()).empty());
}

TEST_CASE("the two ways in which IFEval counts by family have different names") {
    CHECK(groupTitle("inst_level_strict_acc", "instructions=keywords") == "keywords in any prompt");
    CHECK(groupTitle("inst_level_strict_acc", "family=keywords") == "prompts of keywords alone");
    CHECK(groupTitle("prompt_level_loose_acc", "family=several") == "prompts of several families");
    CHECK(groupTitle("prompt_level_loose_acc", "count=2") == "count=2");
    CHECK(groupTitle("accuracy", "family=cats") == "family=cats");  // of another suite
    CHECK(groupTitle("accuracy", "") == "all");
    CHECK(groupTitle("inst_level_strict_acc", "odd") == "odd");
}

TEST_CASE("an unknown format is a usage error that suggests the nearest") {
    CHECK(reportFormat("csv").extension == ".csv");
    try {
        reportFormat("htlm");
        FAIL("accepted");
    } catch (const UsageError& error) {
        CHECK(std::string(error.what()).find("htlm") != std::string::npos);
        CHECK(error.hint().find("did you mean \"html\"") != std::string::npos);
    }
    const std::vector<std::string> html = {"html"};
    CHECK_THROWS_AS(writeReport({}, html, "x.html"), UsageError);
}

TEST_CASE("JSON has the schema and the numbers of the summary with null for what is absent") {
    ReportRun run = smallRun();
    run.summary.routing[1].balance.gini = std::numeric_limits<double>::quiet_NaN();
    const nlohmann::json document = parseJson(file({run}, "json", "report.json"), "report.json");
    CHECK(document["schema"] == "moescope.report");
    CHECK(document["version"] == 1);
    CHECK(document["comparison"].is_null());
    const nlohmann::json& first = document["runs"].at(0);
    for (const char* key : {"source", "sha256", "status", "synthetic", "meta", "quality",
                            "headline", "prefill", "decode", "ttft_ns", "memory_bytes",
                            "operations", "layer_times", "routing", "token_routing", "suites"}) {
        INFO(key);
        CHECK(first.contains(key));
    }
    CHECK(first["decode"]["tokens_per_second"] == 10.0);
    CHECK(first["routing"]["layers"][0]["counts"] == nlohmann::json({8, 4, 3, 1}));
    CHECK(first["routing"]["layers"][0]["chance"]["max_over_mean_p95"] == 1.75);
    CHECK(first["routing"]["layers"][1]["gini"].is_null());
    CHECK(first["suites"][0]["items"][0]["log_likelihoods"] == nlohmann::json({-1.0, -3.5}));
    CHECK(first["token_routing"]["tokens"][1]["experts"] == nlohmann::json({{0, 2}, {2, 1}}));
    CHECK(first["meta"]["model"]["name"] == "tiny <b>moe</b>");
}

TEST_CASE("docs/reports.md names every table, column and key of the document") {
    const std::string docs =
        readFile(std::filesystem::path(MOESCOPE_SOURCE_DIR) / "docs/reports.md");
    const auto named = [&](const std::string& word) {
        return docs.find("`" + word + "`") != std::string::npos;
    };
    for (const ReportFile& made : renderReport(std::vector{smallRun(), smallRun()}, "csv")) {
        INFO(made.name);
        std::string row = "| `" + made.name + "` | ";
        const std::size_t at = docs.find(row);
        REQUIRE(at != std::string::npos);
        const auto rows = readCsv(made.content);
        std::string columns;
        for (const std::string& column : rows.front())
            columns += (columns.empty() ? "`" : ", `") + column + "`";
        CHECK_THAT(docs.substr(at, docs.find('\n', at) - at),
                   Catch::EndsWith("| " + columns + " |"));
    }
    const auto document =
        parseJson(file({smallRun(), smallRun()}, "json", "report.json"), "report.json");
    for (const nlohmann::json& object :
         {document, document["runs"][0], document["runs"][0]["headline"][0],
          document["runs"][0]["decode"], document["runs"][0]["operations"][0],
          document["runs"][0]["analysis"], document["runs"][0]["suites"][0],
          document["runs"][0]["token_routing"], document["comparison"][0],
          document["suite_comparison"][0]})
        for (const auto& [key, value] : object.items()) {
            INFO(key);
            CHECK(named(key));
        }
}

TEST_CASE("CSV reads back and formulas are disarmed but numbers are not") {
    const auto rows = readCsv(file({smallRun()}, "csv", "items.csv"));
    REQUIRE(rows.size() == 3);
    for (const auto& row : rows) CHECK(row.size() == rows[0].size());
    CHECK(rows[1][4] == "'=1+1, \"quoted\"");
    CHECK(rows[2][4] == "-3.5");
    CHECK(rows[1][6] == "[-1.0,-3.5]");
    const auto routing = readCsv(file({smallRun()}, "csv", "routing.csv"));
    REQUIRE(routing.size() == 9);
    CHECK(routing[1] == std::vector<std::string>{"1", "0", "0", "8", "8", "2"});
}

TEST_CASE("CSV says of which run a number is and whether it ended") {
    ReportRun killed = smallRun();
    killed.summary.status = RunStatus::Running;
    killed.source = "b.moescope";
    const auto rows = readCsv(file({smallRun(), killed}, "csv", "runs.csv"));
    REQUIRE(rows.size() == 3);
    CHECK(rows[0] ==
          std::vector<std::string>{"run", "source", "sha256", "model", "kind", "status"});
    CHECK(rows[1] == std::vector<std::string>{"1", "runs/small.moescope", std::string(64, 'a'),
                                              "tiny <b>moe</b>", "profile", "done"});
    CHECK(rows[2][0] == "2");
    CHECK(rows[2][5] == "running");
}

TEST_CASE("items that did not fit the context are not said to be evaluated or shown") {
    ReportRun run = smallRun();
    for (ItemRow& item : run.items[7]) item.score = std::numeric_limits<double>::quiet_NaN();
    run.summary.itemCounts[7] = {2, 0};
    run.summary.metrics = {{7, kItemsTooLong, "", 2, {}, {}, {}, {}, "count", 2}};
    for (const auto& [format, name] : {std::pair{"html", "report.html"}, {"md", "report.md"}}) {
        const std::string text = file({run}, format, name);
        CHECK_THAT(text, Catch::Contains("0 of 2 items evaluated"));
        CHECK_THAT(text, Catch::Contains("2 of 2 items did not fit the context") &&
                             !Catch::Contains("2.00 of"));
        CHECK_THAT(text, !Catch::Contains("with the lowest score"));
    }
    run.items[7][1].score = 0;
    run.summary.itemCounts[7] = {2, 1};
    CHECK_THAT(file({run}, "html", "report.html"), Catch::Contains("first (1 of 1)"));
}

TEST_CASE("the page shows what the model wrote where an answer was read from a reply") {
    ReportRun run = smallRun();
    run.items[7][0].detail = R"({"reply":"It is <x> & then\u001b 7","read_by":"marker"})";
    run.items[7][0].logLikelihoods = "[]";
    const std::string page = file({run}, "html", "report.html");
    CHECK_THAT(page, Catch::Contains("It is &lt;x&gt; &amp; then\u241b 7"));
    const std::size_t table = page.find("<caption>Items of pairs with the lowest score (2 of 2)");
    REQUIRE(table != std::string::npos);
    CHECK(page.find(">margin</th>", table) == std::string::npos);
    CHECK(writtenReply(run.items[7][0]) == "It is <x> & then\x1b 7");
    CHECK_FALSE(writtenReply(run.items[7][1]));
}

TEST_CASE("Markdown and page show control and direction characters instead of obeying them") {
    ReportRun run = smallRun();
    run.summary.meta["model"] = "{\"name\":\"a\u009b31m\u202eb\\u001b[0m\"}";
    for (const auto& [format, name] : {std::pair{"html", "report.html"}, {"md", "report.md"}})
        CHECK_THAT(file({run}, format, name),
                   Catch::Contains("a\u27e8U+009B\u27e931m\u27e8U+202E\u27e9b\u241b"));
    CHECK(visibleText("a\tb\n\xFF") == "a\tb\n\u27e8xFF\u27e9");
    CHECK(visibleLine("a\tb\n\x7F") == "a b \u2421");
}

TEST_CASE("JSON escapes the controls that a terminal obeys and CSV shows them") {
    ReportRun run = smallRun();
    run.items[7][0].prompt = "a\u009b31m\x1b\r\n\u200bb";
    const std::string document = file({run}, "json", "report.json");
    CHECK(document.find("\u009b") == std::string::npos);
    CHECK(parseJson(document, "")["runs"][0]["suites"][0]["items"][0]["prompt"] ==
          run.items[7][0].prompt);
    CHECK(readCsv(file({run}, "csv", "items.csv"))[1][4] ==
          "a\u27e8U+009B\u27e931m\u241b\r\n\u200bb");
}

TEST_CASE("bytes that come in pieces are shown as they are in one") {
    const std::string text = "a\u00e9\u20ac\U0001f600\u009b\x1b\xFF\xE2\x82z\xF0\x9F";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        VisibleStream stream;
        std::string shown;
        for (std::size_t at = 0; at < text.size(); at += size)
            shown += stream.add(std::string_view(text).substr(at, size));
        CHECK(shown + stream.finish() == visibleText(text));
    }
    VisibleStream stream;
    CHECK(stream.add("\xE2\x82").empty());
    CHECK(stream.add("\xAC") == "\u20ac");
}

TEST_CASE("CSV tables match the approved files") {
    for (const char* name : {"operations.csv", "balance.csv", "metrics.csv", "quality.csv"})
        approve(name, file({smallRun()}, "csv", name));
}

TEST_CASE("Markdown matches the approved file and cannot be broken by names") {
    const std::string text = file({smallRun()}, "md", "report.md");
    CHECK(text.find("<b>") == std::string::npos);
    approve("report.md", text);
}

TEST_CASE("Markdown says what ran under the title of each run") {
    ReportRun run = smallRun();
    run.summary.meta["model"] = R"({"name":"demo"})";
    run.summary.meta["machine"] = R"({"cpu_model":"A CPU"})";
    run.summary.meta["device"] = R"({"device":"A GPU"})";
    run.summary.meta["settings"] = R"({"threads":2})";
    run.summary.meta["started_utc"] = "2026-11-27T23:00:00Z";
    CHECK(file({run}, "md", "report.md")
              .find("## demo: profile\n\n| what ran | |\n|---|---|\n| kind | profile |\n"
                    "| status | done |\n| command | moescope profile 'it'\\\\''s a model' |\n"
                    "| machine | A CPU; A GPU |\n| threads | 2 |\n"
                    "| date (UTC) | 2026-11-27T23:00:00Z |\n\n") != std::string::npos);
}

TEST_CASE("Markdown shows the mean and peak of sampled counters by phase") {
    ReportRun run = smallRun();
    CHECK(file({run}, "md", "report.md").find("sampled counter") == std::string::npos);
    run.analysis.sampled = {{"dram__bytes_read.sum.per_second",
                             {{"prefill", 2, 1e11, 2e11}, {"decode", 1500, 2e12, 3e12}}},
                            {"a|b", {{"decode", 1, 7, 7}}}};
    CHECK(file({run}, "md", "report.md")
              .find("| sampled counter | phase | samples | mean | peak | NVIDIA's name |\n"
                    "|---|---|---:|---:|---:|---|\n"
                    "| DRAM read, bytes/s | prefill | 2 | 100 GB/s | 200 GB/s | "
                    "dram\\_\\_bytes\\_read.sum.per\\_second |\n"
                    "| DRAM read, bytes/s | decode | 1,500 | 2.00 TB/s | 3.00 TB/s | "
                    "dram\\_\\_bytes\\_read.sum.per\\_second |\n"
                    "| a\\|b | decode | 1 | 7.00 | 7.00 | a\\|b |\n\n") != std::string::npos);
}

TEST_CASE("counters have names for people that tell bytes from shares of the peak") {
    CHECK(counterName("dram__bytes_read.sum.per_second") == "DRAM read, bytes/s");
    CHECK(counterName("dram__read_throughput.avg.pct_of_peak_sustained_elapsed") ==
          "DRAM read, % of peak");
    CHECK(counterName("dram__bytes_read.sum") == "dram__bytes_read.sum");
    CHECK(counterName("own__counter") == "own__counter");
}

TEST_CASE("Markdown says how many rows a table leaves out, and has quality and roofline") {
    ReportRun run = smallRun();
    run.summary.meta["degradation"] = "cpu spans";
    const OperationGroup group = run.summary.operations.front();
    while (run.summary.operations.size() < 9) run.summary.operations.push_back(group);
    run.analysis.roofline = rooflineOf(run.summary);
    REQUIRE(run.analysis.roofline.points.size() == 8);
    std::string text = file({run}, "md", "report.md");
    const auto has = [&](const char* part) { return text.find(part) != std::string::npos; };
    CHECK(has("| mode | cpu spans |"));
    CHECK(has("| ! time covered by operations | 91 % | less than 95 % of the step time"));
    CHECK(has("> **Note:** time covered by operations = 91 %: less than 95 % of the step time"));
    CHECK(has("Ceilings measured before this run: memory 40.0 GB/s"));
    CHECK(has("| experts | mxfp4\\_avx2 | prefill | 2.25 | 6.00 GOP/s |"));
    CHECK(has("1 more row: see report.html or operations.csv"));
    CHECK_FALSE(has("1 more row: see report.html or report.json"));
    run.analysis.roofline.points.resize(10, run.analysis.roofline.points.front());
    text = file({run}, "md", "report.md");
    CHECK(has("2 more rows: see report.html or report.json"));
}

TEST_CASE("Markdown numbers the runs where there are several, as the page does") {
    const std::string title = "tiny &lt;b>moe&lt;/b>: profile\n";
    const std::string alone = file({smallRun()}, "md", "report.md");
    CHECK(alone.find("## " + title) != std::string::npos);
    const std::string both = file({smallRun(), smallRun()}, "md", "report.md");
    CHECK(both.find("## Run 1: " + title) < both.find("## Run 2: " + title));
    CHECK(both.find("## Run 2: " + title) != std::string::npos);
}

TEST_CASE("the terminal summary names the run and warns and shows the figures") {
    const std::vector<std::string> lines = summaryLines(smallRun().summary);
    CHECK(lines[0] == "tiny <b>moe</b>, profile, status done");
    CHECK(lines[1].find("! synthetic model") == 0);
    CHECK(lines[2].find("! time covered by operations = 91 %") == 0);
    CHECK(lines.size() >= 10);
    CHECK(lines.size() <= 13);
    for (const std::string& line : lines) CHECK(line.size() <= 114);
    for (const std::string& line : lines) CHECK(line.find('\n') == std::string::npos);
    RunSummary hostile;
    hostile.meta["model"] = R"({"name":"a\u001b[31m\nb"})";
    CHECK(summaryLines(hostile)[0] == "a\u241b[31m b, status done");
}

TEST_CASE("a model in the last-level cache has no share of the memory bandwidth in any format") {
    ReportRun run = smallRun();
    run.summary.meta["model"] = R"({"name":"demo","file_bytes":8700000})";
    run.summary.meta["machine"] =
        R"({"read_bandwidth_bytes_per_second":4e10,"last_level_cache_bytes":33554432})";
    CHECK(file({run}, "md", "report.md")
              .find("| Share of bandwidth ceiling | in cache | the model fits") !=
          std::string::npos);
    const std::vector<std::string> lines = summaryLines(run.summary);
    CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
        return line.find("Share of bandwidth ceiling  in cache  (the model fits") == 0;
    }));
    const nlohmann::json document = parseJson(file({run}, "json", "report.json"), "report.json");
    const nlohmann::json& figures = document["runs"][0]["headline"];
    const auto share = std::find_if(figures.begin(), figures.end(), [](const auto& figure) {
        return figure["id"] == "decode_bandwidth_share";
    });
    REQUIRE(share != figures.end());
    CHECK((*share)["value"].is_null());
    CHECK((*share)["text"] == "in cache");
}

TEST_CASE("a suite is told by its widest group difference and not by bookkeeping") {
    RunSummary run;
    run.suites = {{1, "s", "", "", "fairness", "", 9, "{}"}};
    run.itemCounts[1] = {9, 9};
    run.metrics = {{1, "items_too_long", "", 0, {}, {}, {}, {}, "", 9},
                   {1, "logit_difference", "age=61", 0.1, {}, {}, {}, 0.0, "", 9},
                   {1, "logit_difference", "age=48", -0.3, {}, {}, {}, 0.0, "", 9},
                   {1, "logit_difference", "control=x", 5, {}, {}, {}, 0.0, "", 9},
                   {1, "disparate_impact_ratio", "age", 0.7, {}, {}, {}, 1.0, "", 9}};
    const auto telling = tellingMetrics(run, 1, 2);
    REQUIRE(telling.size() == 2);
    CHECK(telling[0].metric.group == "age=48");
    CHECK(telling[0].groups == 2);
    CHECK(telling[1].metric.name == "disparate_impact_ratio");
    CHECK(evaluationWarnings(run).empty());
    run.metrics[0].value = 2;
    CHECK(evaluationWarnings(run).size() == 1);
    run.suites[0].settings = R"({"warnings": ["suite 's': 2 of 9 records left out: no pronoun"]})";
    CHECK(evaluationWarnings(run)[0] == "suite 's': 2 of 9 records left out: no pronoun");
    run.suites[0].settings = "{";  // shown as it is elsewhere
    CHECK(evaluationWarnings(run).size() == 1);
}

TEST_CASE("reports name a suite by its title and say out of how many items a limit chose") {
    ReportRun run = smallRun();
    SuiteRow& suite = run.summary.suites[0];
    suite.title = "BBQ (6 of 11 categories)";
    CHECK(evaluatedItems(suite, {2, 1}) == "1 of 2 items evaluated");  // one did not fit
    suite.settings = R"({"available_items": 2})";
    CHECK(evaluatedItems(suite, {2, 2}) == "2 of 2 items evaluated");
    suite.settings = R"({"available_items": 11956})";
    const std::string expected = "2 of 2 items evaluated, chosen by --limit out of 11,956.";
    CHECK_THAT(file({run}, "md", "report.md"),
               Catch::Contains("**BBQ (6 of 11 categories)**") && Catch::Contains(expected));
    CHECK_THAT(file({run}, "html", "report.html"),
               Catch::Contains("BBQ (6 of 11 categories)") && Catch::Contains(expected));
    CHECK_THAT(summaryLines(run.summary).back(), Catch::Contains("2 of 11,956 items; "));
}

TEST_CASE("a suite that was not finished is told of wherever its items are") {
    ReportRun run = smallRun();
    run.summary.suites[0].items = 1319;
    run.summary.suites[0].settings = R"({"available_items": 8000})";
    run.summary.metrics.clear();
    run.summary.itemCounts[7] = {3, 2};
    const std::string expected =
        "2 of 1,319 items evaluated, chosen by --limit out of 8,000: NOT FINISHED";
    CHECK(evaluationWarnings(run.summary)[0] == "pairs: " + expected);
    for (const auto& [format, name] : {std::pair("md", "report.md"), {"html", "report.html"}})
        CHECK_THAT(file({run}, format, name), Catch::Contains(expected));
    CHECK(parseJson(file({run}, "json", "report.json"), "")["runs"][0]["suites"][0]["finished"] ==
          false);
    CHECK_THAT(summaryLines(run.summary).back(),
               Catch::Contains("NOT FINISHED, 2 of 1,319 items; no metric was computed"));
}

TEST_CASE("a model that hardly gives an answer that counts is cautioned of wherever it is scored") {
    ReportRun run = smallRun();
    run.summary.metrics = {
        {7, "answer_mass", "", 0.03, 0.02, 0.04, {}, {}, "t interval", 288, 144},
        {7, "disparate_impact_ratio", "gender", 0.9, {}, {}, {}, 1.0, "extremes", 288, 144}};
    const std::string expected =
        " is only 0.0300: rates and logits are of answers that the model would hardly give";
    const auto& metrics = run.summary.metrics;
    CHECK_THAT(metricCaution(metrics[1], metrics), Catch::Contains(expected));
    CHECK_THAT(metricCaution(metrics[0], metrics), !Catch::Contains("only"));
    CHECK(evaluationWarnings(run.summary)[0] == "pairs: answer_mass" + expected);
    const auto figures = headline(run.summary);
    CHECK(std::any_of(figures.begin(), figures.end(), [&](const HeadlineFigure& figure) {
        return figure.note.find(expected) != std::string::npos;
    }));
    CHECK_THAT(summaryLines(run.summary).back(), Catch::Contains("! small answer_mass"));
    for (const auto& [format, name] : {std::pair("md", "report.md"),
                                       {"html", "report.html"},
                                       {"csv", "metrics.csv"},
                                       {"json", "report.json"}})
        CHECK_THAT(file({run}, format, name), Catch::Contains(expected));
    CHECK(compareSuites(std::array{run, run}).warnings[1] ==
          "run 1: pairs: answer_mass" + expected);
    run.summary.metrics[0].value = 0.5;
    CHECK(evaluationWarnings(run.summary).empty());
    CHECK_THAT(metricCaution(metrics[1], metrics), !Catch::Contains("answer_mass"));
}

TEST_CASE("the correlation that a suite is made for comes before its other figures") {
    RunSummary run;
    run.suites = {{1, "winogender", "", "", "fairness", "", 9, "{}"}};
    run.metrics = {{1, "accuracy", "", 0.6, {}, {}, {}, 0.5, "", 9},
                   {1, "reference_pearson", "pronoun=female", 0.4, {}, {}, {}, 0.0, "", 9},
                   {1, "reference_pearson_p", "pronoun=female", 0.01, {}, {}, {}, {}, "", 9},
                   {1, "reference_slope", "pronoun=female", 0.0004, {}, {}, {}, 0.0, "", 9},
                   {1, "items_too_long", "", 0, {}, {}, {}, {}, "", 9}};
    std::string names;
    for (const TellingMetric& telling : tellingMetrics(run, 1, 3))
        names += telling.metric.name + ' ';
    CHECK(names == "reference_pearson reference_slope accuracy ");
    run.metrics = {{1, "mine_p", "", 0.5, {}, {}, {}, {}, "", 9},
                   {1, "mine", "", 0.5, {}, {}, {}, {}, "", 9}};
    REQUIRE(tellingMetrics(run, 1, 3).size() == 1);
    CHECK(tellingMetrics(run, 1, 3)[0].metric.name == "mine");
}

TEST_CASE("an item without a score is null in JSON and empty in CSV of several runs") {
    ReportRun run = smallRun();
    run.items[7][0].score = std::numeric_limits<double>::quiet_NaN();
    const auto document = parseJson(file({run}, "json", "report.json"), "report.json");
    CHECK(document["runs"][0]["suites"][0]["items"][0]["score"].is_null());
    const auto rows = readCsv(file({smallRun(), run}, "csv", "items.csv"));
    REQUIRE(rows.size() == 5);
    CHECK(rows[1][0] == "1");
    CHECK(rows[3][0] == "2");
    CHECK(rows[3][9].empty());
}

TEST_CASE("items are ranked by score and then by how sure the model was") {
    ItemRow sure, unsure, right;
    sure.id = "sure";
    sure.logLikelihoods = "[-1,-9]";
    unsure.id = "unsure";
    unsure.logLikelihoods = "[-1,-1.5]";
    right.id = "right";
    right.score = 1;
    const std::vector<ItemRow> items = {right, unsure, sure};
    const auto chosen = tellingItems(items, 2);
    REQUIRE(chosen.size() == 2);
    CHECK(chosen[0].front().id == "sure");
    CHECK(chosen[1].front().id == "unsure");
    CHECK(likelihoodMargin(sure) == 8);
    CHECK(std::isnan(likelihoodMargin(right)));
}

TEST_CASE("metrics that cannot carry a conclusion say so") {
    MetricRow metric;
    metric.n = 400;
    metric.low = 0.55;
    metric.high = 0.65;
    metric.chance = 0.5;
    CHECK(metricCaution(metric, {}).empty());
    metric.low = 0.45;
    CHECK(metricCaution(metric, {}) == "the interval includes chance");
    metric.n = 12;
    CHECK(metricCaution(metric, {}).find("n is small") == 0);
    metric.n = 400;
    metric.clusters = 12;  // twins of twelve texts are twelve independent items
    CHECK(metricCaution(metric, {}).find("few clusters: too few independent items") == 0);
    metric.clusters = 100;
    CHECK(metricCaution(metric, {}) == "the interval includes chance");
    metric.chance.reset();
    metric.name = "flip_rate";
    CHECK(metricCaution(metric, {}).find("changes count in either direction") == 0);
    metric.name = "answer_mass";
    CHECK(metricCaution(metric, {}).find("no score but the share of probability") == 0);
    MetricRow test;
    test.name = "flip_p";
    CHECK(metricCaution(test, {}).empty());  // no score: nothing of it is to be concluded
    test.name = kItemsTooLong;
    CHECK(metricCaution(test, {}).empty());
}

TEST_CASE("replies that were cut off are told of before their scores, from a tenth of them on") {
    std::vector<MetricRow> metrics(1);
    metrics[0].suite = 7;
    metrics[0].name = "replies_cut_off";
    metrics[0].n = 40;
    metrics[0].value = 3;
    CHECK(cutOffCaution(metrics, 7).empty());
    metrics[0].value = 4;
    CHECK_THAT(cutOffCaution(metrics, 7), Catch::StartsWith("4 of 40 replies were cut off"));
    CHECK(cutOffCaution(metrics, 8).empty());
}
