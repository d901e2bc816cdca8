// SPDX-License-Identifier: Apache-2.0
// The roofline in the page: what is drawn where, and what it says of where numbers come from.
#include <catch2/catch.hpp>
#include <cmath>
#include <regex>

#include "reports/axis_ticks.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/roofline_plane.h"
#include "tests/reports/sample_run.h"

using namespace moescope;

namespace {

Ceilings ceilings() {
    Ceilings c;
    c.bytesPerSecond = 1e10;
    c.operationsPerSecond = 1e11;
    c.operationKind = "bf16";
    c.peaks = {{"bf16", 1e11}, {"fp32", 9e10}, {"int8", 4e11}};
    return c;
}

RooflinePoint point(const char* op, double intensity, double perSecond, double timeShare) {
    RooflinePoint p;
    p.op = op;
    p.kernel = "k";
    p.phase = "decode";
    p.intensity = intensity;
    p.operationsPerSecond = perSecond;
    p.roof = ceilings().roof(intensity);
    p.operationKind = "bf16";
    p.share = perSecond / p.roof;
    p.memoryBound = intensity < 10;
    p.timeShare = timeShare;
    return p;
}

Roofline sample() {
    Roofline of{ceilings(),
                {point("experts", 4, 3e10, 0.6), point("attention <b>", 40, 5e10, 0.3),
                 point("router", 0.5, 4e9, 0.1)}};
    of.points[1].bytesMeasured = of.points[1].operationsMeasured = true;
    of.points[2].bytesMeasured = true;
    return of;
}

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        ++n;
    return n;
}

bool has(const std::string& text, const std::string& what) {
    return count(text, what) > 0;
}

}  // namespace

TEST_CASE("ticks of a logarithmic axis are powers of ten, or finer where they are few") {
    CHECK(decadeTicks(0.5, 2000) == std::vector<double>{1, 10, 100, 1000});
    CHECK(decadeTicks(3, 70) == std::vector<double>{5, 10, 20, 50});
    CHECK(axisTicks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
}

TEST_CASE("points say whether they are measured or modelled, by shape and in words") {
    const std::string svg = rooflineChart({"r", "Roofline", "text"}, sample());
    CHECK(count(svg, "class=\"modelled\"") == 2);  // the point and the legend
    CHECK(count(svg, "class=\"measured\"") == 2);
    CHECK(count(svg, "class=\"partly\"") == 2);
    CHECK(has(svg, "75.0 % of the roof, 60.0 % of the time, modelled"));
    CHECK(has(svg, "10.0 % of the time, bytes measured"));
    CHECK(has(svg, "attention &lt;b&gt;, decode"));
    CHECK_FALSE(has(svg, "<b>"));
    // A legend names only what is there.
    Roofline modelled = sample();
    for (RooflinePoint& p : modelled.points) p.bytesMeasured = p.operationsMeasured = false;
    CHECK_FALSE(has(rooflineChart({"r", "t", "d"}, modelled), "class=\"measured\""));
}

TEST_CASE("a style tells counters from the engine's count, a radius the share of the time") {
    const Roofline of = sample();
    CHECK(pointStyle(of.points[0]) == PointStyle::Modelled);
    CHECK(pointStyle(of.points[1]) == PointStyle::Measured);
    CHECK(pointStyle(of.points[2]) == PointStyle::Partly);
    CHECK(pointRadius(point("experts", 4, 3e10, 1)) == Approx(14));
    CHECK(pointRadius(point("experts", 4, 3e10, 0.25)) == Approx(9));
    CHECK(pointRadius(point("experts", 4, 3e10, std::nan(""))) == Approx(4));
}

TEST_CASE("shares above a roof are explained by which roof it is") {
    const Ceilings ceilings{4e10, 1e12, "bf16", {}, false};
    CHECK(aboveRoofNote(std::vector<RoofShare>{{0.9, "memory"}, {}}, ceilings).empty());
    const std::string memory = aboveRoofNote(std::vector<RoofShare>{{1.2, "memory"}}, ceilings);
    CHECK_THAT(memory, Catch::Contains("cache, which is faster than the 40.0 GB/s"));
    CHECK_THAT(memory, !Catch::Contains("compute"));
    CHECK_THAT(aboveRoofNote(std::vector<RoofShare>{{1.2, "compute"}}, ceilings),
               Catch::StartsWith("Above 100 % of a compute roof the machine was faster"));
}

TEST_CASE("the kernel is named where several share operation and phase") {
    Roofline of = sample();
    of.points[1] = point("experts", 40, 5e10, 0.3);
    of.points[1].kernel = "gemm";
    of.points.push_back(point("experts", 2, 1e10, 0.1));
    of.points.back().phase = "prefill";
    CHECK(pointNames(of.points) == std::vector<std::string>{"experts (k), decode",
                                                            "experts (gemm), decode",
                                                            "router, decode", "experts, prefill"});
    const auto title = [](std::string_view op) { return "the " + std::string(op); };
    CHECK(pointNames(of.points, title)[1] == "the experts (gemm), decode");
    CHECK(has(rooflineChart({"r", "t", "d"}, of), ">experts (gemm), decode<"));
}

TEST_CASE("the roofs that bound kernels of the run are solid, the others are dashed") {
    Roofline of = sample();
    of.points[1].operationKind = "fp32";
    const std::string svg = rooflineChart({"r", "Roofline", "text"}, of);
    CHECK(count(svg, "class=\"roof\"") == 3);  // memory, bf16 and fp32
    CHECK(count(svg, "class=\"roof-other\"") == 1);
    for (const char* name :
         {"memory 10.0 GB/s", "bf16 100 GOP/s", "fp32 90.0 GOP/s", "int8 400 GOP/s"})
        CHECK(has(svg, name));
}

TEST_CASE("whatever is known, every coordinate is a number") {
    Roofline one = sample();
    one.points.resize(1);
    one.points[0].timeShare = std::nan("");
    Roofline noPeak = sample();
    noPeak.ceilings.peaks.clear();
    noPeak.ceilings.operationsPerSecond = std::nan("");
    for (const Roofline& of : {sample(), one, noPeak}) {
        const std::string svg = rooflineChart({"r", "Roofline", "text"}, of);
        CHECK_FALSE(std::regex_search(svg, std::regex("=\"-?(nan|inf)")));
    }
}

TEST_CASE("the section has the chart, its table and where the ceilings come from") {
    ReportRun run = testing::smallRun();
    run.analysis.time = {{"", {}}};
    run.analysis.roofline = sample();
    const SectionContext at{"r1-", 2};
    std::string html = renderTime(run, at);
    CHECK(has(html, "<svg class=\"figure\""));
    CHECK(has(html, "id=\"r1-roofline-t\""));
    CHECK(has(html, "Table: roofline"));
    CHECK(has(html, "Ceilings measured before this run: memory 10.0 GB/s"));
    CHECK(has(html, "Modelled points:"));
    run.analysis.roofline.ceilings.counted = true;
    for (RooflinePoint& p : run.analysis.roofline.points) p.bytesMeasured = true;
    html = renderTime(run, at);
    CHECK(has(html, "by its counters: memory"));
    CHECK_FALSE(has(html, "Modelled points:"));
    run.analysis.roofline.ceilings = {};
    html = renderTime(run, at);
    CHECK_FALSE(has(html, "<svg"));
    CHECK(has(html, "--counters roofline"));
}
