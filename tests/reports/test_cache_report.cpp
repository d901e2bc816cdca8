// SPDX-License-Identifier: Apache-2.0
// What every format says of a cache of experts.
#include <algorithm>
#include <catch2/catch.hpp>

#include "reports/cache_json.h"
#include "reports/cache_text.h"
#include "reports/html/figures.h"
#include "tests/profiler/routing_traces.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
using Catch::Matchers::Contains;

namespace {

ReportRun runOf(ExpertCache cache, ExpertBytes bytes) {
    ReportRun run = testing::smallRun();
    run.cache = std::move(cache);
    run.expertBytes = std::move(bytes);
    return run;
}

ReportRun sample() {
    return runOf(expertCache(test::fixtureB()), {3e6});
}

std::string content(const ReportRun& run, const char* format, const std::string& name) {
    for (const ReportFile& file : renderReport(std::span(&run, 1), format))
        if (file.name == name) return file.content;
    return {};
}

}  // namespace

TEST_CASE("the page shows hits by policy as lines, points and tables, and what misses cost") {
    const std::string page = content(sample(), "html", "report.html");
    CHECK_THAT(page,
               Contains("With 2 of the 4 experts of each layer in fast memory LRU finds 33.3 % "
                        "of the experts that tokens need there, LFU 33.3 %"));
    for (const char* style : {"curve curve0", "curve curve1", "curve curve5"})
        CHECK_THAT(page, Contains(std::string("<polyline points=\"")) && Contains(style));
    CHECK_THAT(page, Contains("<title>LRU, 3: 58.3 %</title>"));
    CHECK_THAT(page, Contains(">2.50 MB</td>"));
    CHECK_THAT(page, Contains(">50.0 \xC2\xB5s</td>"));
    CHECK_THAT(page, Contains(">20,000 tok/s</td>"));
    CHECK_THAT(page, Contains("A model: every load is waited for"));
}

TEST_CASE("a run that does not hold each token's experts says so where the cache would be") {
    ExpertCache none;
    none.reason = "This run does not hold <them>.";
    const ReportRun run = runOf(none, {});
    CHECK_THAT(content(run, "html", "report.html"), Contains("does not hold &lt;them&gt;."));
    CHECK_THAT(content(run, "json", "report.json"), Contains("does not hold <them>."));
    CHECK(content(run, "md", "report.md").find("Expert cache") == std::string::npos);
    const std::string csv = content(run, "csv", "expert_cache.csv");
    CHECK(csv.find("\r\n") + 2 == csv.size());  // the header
}

TEST_CASE("without an expert's bytes no cost is told") {
    const ReportRun run = runOf(expertCache(test::fixtureB()), {});
    const std::string page = content(run, "html", "report.html");
    CHECK_THAT(page, Contains("What misses cost is not told") && Contains("--expert-bytes"));
    CHECK(page.find("tok/s</td>") == std::string::npos);
    CHECK(cacheJson(run.cache, {}, curveSizes(run.cache), usualLinks()).at("offload").is_null());
    const std::string csv = content(run, "csv", "offload.csv");
    CHECK(csv.find("\r\n") + 2 == csv.size());
}

TEST_CASE("tables and documents hold the figures of the expert cache") {
    const ReportRun run = sample();
    const auto json = cacheJson(run.cache, run.expertBytes, std::vector{2, 3}, usualLinks());
    CHECK(json.at("all").at("reuse").get<double>() == Approx(0.4));
    CHECK(json.at("all").at("hits").at("lru").at(1).get<double>() == Approx(7.0 / 12));
    CHECK(json.at("all").at("hits").at("lru_low").at(0).is_null());  // a single text
    CHECK(json.at("all").at("hits").at("static_held_out").at(0).is_null());
    CHECK(json.at("uniform").at("hits") == std::vector<double>{0.5, 0.75});
    CHECK(json.at("step_tokens") == std::vector<int>{1, 2, 4, 8, 16, 32, 64});
    CHECK(json.at("layers").at(0).at("distinct_experts").at(0).get<double>() == Approx(2));
    CHECK(json.at("layers").at(0).at("distinct_experts").at(1).is_null());
    CHECK(json.at("offload").at(1).at("loaded_bytes_per_token").at("lru").get<double>() ==
          Approx(2.5e6));
    CHECK_THAT(content(run, "csv", "expert_cache.csv"),
               Contains("\r\n1,all,4,") && Contains("\r\n1,0,2,"));
    CHECK_THAT(content(run, "csv", "expert_steps.csv"), Contains("\r\n1,0,0.4,0.5,2,,3\r\n"));
    CHECK_THAT(content(run, "csv", "offload.csv"),
               Contains("1,3,lru,9e+06,2500000,PCIe 5.0 x16,50000,20000\r\n"));
    CHECK_THAT(content(run, "md", "report.md"), Contains("| 3 | 0.583 | 0.583 | 0.583 | n/a | "));
}

TEST_CASE("sizes of tables are the least and eighths of all") {
    ExpertCache of;
    of.leastSize = 4;
    of.experts = 32;
    CHECK(shownSizes(of) == std::vector<int>{4, 8, 12, 16, 20, 24, 28, 32});
    CHECK(spokenSize(of) == 8);
    of.leastSize = 2;
    of.experts = 4;
    CHECK(shownSizes(of) == std::vector<int>{2, 3, 4});
    CHECK(spokenSize(of) == 2);
    CHECK(curveSizes(of) == std::vector<int>{2, 3, 4});
    of.experts = 30'000;
    const std::vector<int> many = curveSizes(of);
    CHECK(many.size() == 136);  // 128 evenly from the least on, and the other eight shown
    CHECK(many.front() == 2);
    CHECK(many.back() == 30'000);
    CHECK(std::is_sorted(many.begin(), many.end()));
    of.experts = 2;  // every expert is chosen: a cache has them all
    CHECK(shownSizes(of) == std::vector<int>{2});
}
