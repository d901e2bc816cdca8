// SPDX-License-Identifier: Apache-2.0
// Several runs over relative depth, as the page, JSON and the window show them.
#include <catch2/catch.hpp>
#include <cmath>

#include "reports/depth_curves.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
using Catch::Matchers::Contains;

namespace {

DepthRun runOf(const char* title, std::vector<double> excess) {
    DepthRun run{title, title, {}};
    run.profile.layers = int(excess.size());
    for (std::size_t l = 0; l < excess.size(); ++l) {
        DepthLayer layer;
        layer.layer = int(l);
        layer.depth = (double(l) + 0.5) / double(excess.size());
        layer.excess = excess[l];
        run.profile.of.push_back(layer);
    }
    if (excess.empty()) run.profile.reason = "It recorded nothing.";
    return run;
}

const DepthFigure& figureOf(std::string_view key) {
    for (const DepthFigure& figure : depthFigures())
        if (key == figure.key) return figure;
    throw std::runtime_error("no such figure");
}

std::string content(std::span<const ReportRun> runs, const char* format) {
    return renderReport(runs, format).front().content;
}

}  // namespace

TEST_CASE("a shallow and a deep run share the axis and each has its own points") {
    const std::vector<DepthRun> runs = {runOf("wide", {1.5, 2}), runOf("deep", {1, 1.25, 1.5, 3})};
    const CurveSet set = depthCurves(runs, figureOf("excess"));
    CHECK(set.x == std::vector<double>{0, 0.125, 0.25, 0.375, 0.625, 0.75, 0.875, 1});
    REQUIRE(set.curves.size() == 3);
    CHECK(set.curves[0].values[2] == 1.5);  // the wide one's layers lie at 0.25 and 0.75
    CHECK(set.curves[0].values[5] == 2);
    CHECK(std::isnan(set.curves[0].values[1]));
    CHECK(set.curves[1].values[6] == 3);
    CHECK(set.curves[2].title == "chance");
    CHECK(set.curves[2].values.front() == 1);
    CHECK(set.low < 1);
    CHECK(set.high > 3);
    CHECK(curveStyle(set, 2) == kChanceStyle);
    CHECK(curveStyle(set, 1) != curveStyle(set, 0));
}

TEST_CASE("a run without routing has no line and is told of") {
    const std::vector<DepthRun> runs = {runOf("wide", {1.5, 2}), runOf("dense", {})};
    CHECK(depthCurves(runs, figureOf("excess")).curves.size() == 2);  // the other and chance
    CHECK(depthSentences(runs) ==
          std::vector<std::string>{"dense has no line. It recorded nothing."});
    // Nobody timed anything: no axis is drawn for nothing.
    CHECK(depthCurves(runs, figureOf("ns_per_token")).curves.empty());
    CHECK(depthCurves({}, figureOf("excess")).curves.empty());
}

TEST_CASE("lines that are level or lie on each other still have an axis") {
    const std::vector<DepthRun> runs = {runOf("a", {1, 1}), runOf("b", {1, 1})};
    const CurveSet set = depthCurves(runs, figureOf("excess"));
    CHECK(set.low < set.high);
    const std::vector<DepthRun> still = {runOf("a", {0})};
    CHECK(depthCurves(still, {"excess", "", "", std::nan(""), "", figureOf("excess").value,
                              figureOf("excess").text})
              .high > 0);
}

TEST_CASE("labels at the ends of lines do not touch and stay within the picture") {
    // Three ends at one height, 10 pixels a text: the first keeps its place.
    const auto close = spreadLabels({{0, 50}, {1, 50}, {2, 50}}, 10, 0, 100);
    CHECK(close[0].y == 50);
    CHECK(close[1].y == 60);
    CHECK(close[2].y == 70);
    const auto low = spreadLabels({{0, 99}, {1, 98}}, 10, 0, 100);
    CHECK(low[0].curve == 1);
    CHECK(low[0].y == 85);
    CHECK(low[1].y == 95);
    const auto high = spreadLabels({{0, 0}}, 10, 0, 100);
    CHECK(high[0].y == 5);
}

TEST_CASE("the page of several runs draws the figures by depth beside a table, that of one not") {
    const std::vector<ReportRun> runs = {testing::smallRun(), testing::smallRun()};
    const std::string page = content(runs, "html");
    CHECK_THAT(page, Contains("<h3 id=\"depth\">By depth</h3>"));
    for (const DepthFigure& figure : depthFigures())
        CHECK_THAT(page, Contains("id=\"depth-" + std::string(figure.key) + "-t\""));
    CHECK_THAT(page, Contains("Table: each layer of the runs"));
    CHECK(content(std::span(runs).first(1), "html").find("By depth") == std::string::npos);

    std::vector<ReportRun> dense = runs;
    dense[1].summary.routing.clear();
    CHECK_THAT(content(dense, "html"), Contains("has no line. It recorded no expert routing"));
    CHECK(content(dense, "html").find("depth-excess-t") == std::string::npos);  // one alone
    dense.push_back(runs[0]);
    CHECK_THAT(content(dense, "html"), Contains("has no line.") && Contains("depth-excess-t"));
    dense.pop_back();
    dense[0].summary.routing.clear();
    CHECK(content(dense, "html").find("By depth") == std::string::npos);
}

TEST_CASE("JSON of several runs has their layers by depth") {
    const std::vector<ReportRun> runs = {testing::smallRun(), testing::smallRun()};
    const auto json = nlohmann::json::parse(content(runs, "json")).at("depth");
    REQUIRE(json.size() == 2);
    CHECK(json.at(0).at("layers") == 2);
    CHECK(json.at(0).at("reason").is_null());
    const auto& second = json.at(1).at("rows").at(1);
    CHECK(second.at("depth") == 0.75);
    CHECK(second.at("excess").get<double>() == Approx(2.0 / 1.5));
    CHECK(second.at("ns_per_token").get<double>() == Approx(9e8 / 1244));
    CHECK(nlohmann::json::parse(content(std::span(runs).first(1), "json")).at("depth").is_null());
}
