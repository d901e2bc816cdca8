// SPDX-License-Identifier: Apache-2.0
// What every format says of experts on several GPUs.
#include <catch2/catch.hpp>
#include <cmath>

#include "reports/parallel_lines.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
using Catch::Matchers::Contains;

namespace {

/// `texts` texts of one layer of four experts; all choose 0 and 1, which lie on GPU 0.
ParallelForecast forecastOf(int texts, ExpertShape shape = {1e6, 100, 200, 1}) {
    RoutingTrace trace;
    trace.experts = 4;
    trace.topK = 2;
    trace.layers = {5};
    for (int i = 0; i < texts; ++i) {
        TracedText text{i, "", 3, {0, 1, 0, 1, 0, 1}, {false, true, true}};
        trace.tokens += text.tokens;
        trace.texts.push_back(std::move(text));
    }
    ExpertParallelOptions options;
    options.gpus = {1, 2};
    options.tokens = 4;
    options.steps = 10;
    return {expertParallel(trace, options), shape, &gpuHardware().front()};
}

ReportRun runOf(ParallelForecast forecast) {
    ReportRun run = testing::smallRun();
    run.parallel = std::move(forecast);
    return run;
}

std::string content(const ReportRun& run, const char* format, const std::string& name) {
    for (const ReportFile& file : renderReport(std::span(&run, 1), format))
        if (file.name == name) return file.content;
    return {};
}

std::size_t rowsOf(const std::string& csv) {
    return static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')) - 1;
}

}  // namespace

TEST_CASE("placements are lines by GPUs and policy, one alone on one GPU") {
    const ParallelForecast forecast = forecastOf(4);
    const std::vector<ParallelLine> lines = parallelLines(forecast);
    REQUIRE(lines.size() == 4);
    CHECK(lines[0].gpus == 1);
    CHECK(lines[1].policy == "contiguous");
    CHECK(lines[2].policy == "packed");
    CHECK(lines[3].policy == "replicated");
    CHECK(lines[1].excess == Approx(2 / lines[1].chance->imbalance));
    REQUIRE(lines[1].cost);
    CHECK(lines[1].cost->slotBytes == 2e6);
}

TEST_CASE("costs are told only where the size of an expert is known") {
    const ParallelForecast without = forecastOf(4, {});
    CHECK_FALSE(parallelLines(without).front().cost);
    CHECK(parallelColumns(without).size() + 5 == parallelColumns(forecastOf(4)).size());
    CHECK_THAT(parallelSentences(without).back(), Contains("does not say how large an expert is"));
    CHECK_THAT(parallelSentences(forecastOf(4)).back(), Contains("Times are those of a model"));
    CHECK(parallelJson(without).at("placements").at(0).at("cost").is_null());
}

TEST_CASE("words beside placements say what was drawn, judged and gained") {
    std::string all;
    for (const std::string& sentence : parallelSentences(forecastOf(4))) all += sentence + ' ';
    CHECK_THAT(all, Contains("12 tokens in 4 texts: 4 sequences decoded side by side; placements "
                             "decided on one half of the texts and judged on the other"));
    CHECK_THAT(all, Contains("On 2 GPUs the busiest has 2.00 times its share"));
    CHECK_THAT(all, Contains("placed by load 1.00, with copies 1.00. With copies it would be"));
    CHECK_THAT(all, Contains("Fastest of these by the model of times is 1 GPU, contiguous"));
    CHECK_THAT(all, Contains("drawn from 2 texts, fewer than the sequences of a step"));
}

TEST_CASE("copies that were asked for and are of no use are told of") {
    ParallelForecast forecast = forecastOf(4);
    const auto said = [&] {
        std::string all;
        for (const std::string& sentence : parallelSentences(forecast)) all += sentence + ' ';
        return all;
    };
    CHECK(said().find("further copies asked for") == std::string::npos);
    forecast.of.options.redundant = 4;  // one more of each of the four, on the other GPU
    CHECK(said().find("further copies asked for") == std::string::npos);
    forecast.of.options.redundant = 500;
    CHECK_THAT(said(), Contains("Fewer than the 500 further copies asked for are made, since no "
                                "GPU holds an expert twice: on 2 GPUs 4."));
}

TEST_CASE("what one decides by comes before what explains it") {
    std::vector<std::string> titles;
    for (const ParallelColumn& column : parallelColumns(forecastOf(4)))
        titles.emplace_back(column.title);
    titles.resize(9);
    CHECK(titles == std::vector<std::string>{"GPUs", "placement", "imbalance", "by chance",
                                             "excess", "tokens/s, at most", "experts take",
                                             "exchange takes", "waiting"});
}

TEST_CASE("one text has contiguous lines and the reason why there are no others") {
    const ParallelForecast one = forecastOf(1);
    CHECK(parallelLines(one).size() == 2);
    CHECK(parallelJson(one).at("reason").get<std::string>().find("one text") != std::string::npos);
    std::string all;
    for (const std::string& sentence : parallelSentences(one)) all += sentence + ' ';
    CHECK_THAT(all, Contains("The run has one text"));
    CHECK_THAT(all, Contains("On 2 GPUs the busiest has 2.00 times its share"));
}

TEST_CASE("every format shows the placements, and none where routing is not by token") {
    const ReportRun run = runOf(forecastOf(4));
    const std::string page = content(run, "html", "report.html");
    CHECK_THAT(page, Contains("Placements of the experts"));
    CHECK_THAT(page, Contains("2 GPUs, replicated"));
    CHECK(rowsOf(content(run, "csv", "placement.csv")) == 4);
    CHECK_THAT(content(run, "md", "report.md"), Contains("| 2 | packed |"));
    const auto json = nlohmann::json::parse(content(run, "json", "report.json"));
    CHECK(json.at("runs").at(0).at("placement").at("placements").size() == 4);

    ParallelForecast none;
    none.of.reason = "This run does <not> hold the experts.";
    const ReportRun bare = runOf(none);
    CHECK_THAT(content(bare, "html", "report.html"), Contains("does &lt;not&gt; hold"));
    CHECK(rowsOf(content(bare, "csv", "placement.csv")) == 0);
    CHECK(nlohmann::json::parse(content(bare, "json", "report.json"))
              .at("runs")
              .at(0)
              .at("placement")
              .contains("reason"));
}
