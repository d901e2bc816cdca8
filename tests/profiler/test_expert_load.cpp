// SPDX-License-Identifier: Apache-2.0
// Time against expert load: the regression by hand, and what is found in a run file.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "profiler/analysis/run_analysis.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

TEST_CASE("a slope with its error by leaving out clusters, worked by hand") {
    // Differences from the means: x -2 -1 0 1 2, y -2 0 -1 2 1; slope 8 / 10, residuals
    // -0.4 0.8 -1 1.2 -0.6, leverages 1/5 + x x / 10. Without one the slope changes by
    // x / 10 residual / (1 - leverage): 0.2 -0.8/7 0 1.2/7 -0.3.
    const std::vector<double> y{1, 3, 2, 5, 4};
    const std::vector<int> group(5, 7), cluster{0, 1, 2, 3, 4};
    const Regression fit = regress(y, {{0, 1, 2, 3, 4}}, {"x"}, group, cluster, kLeastSquares);
    REQUIRE(fit.coefficients.size() == 1);
    const Coefficient& c = fit.coefficients[0];
    CHECK(c.estimated);
    CHECK(c.value == Approx(0.8));
    CHECK(c.standardError == Approx(std::sqrt(0.8 * (0.04 + 0.64 / 49 + 1.44 / 49 + 0.09))));
    // B: -1/2 -1/7 0 1/7 1/2 to each other times 1 or 0 less 1/5 + x x' / 10; its trace is 8 / 35
    // and the sum of its squares 0.02 + 0.02 / 49 + 0.005 + 0.16 / 49 + 0.02 / 2401.
    const double squares = 0.025 + 0.18 / 49 + 0.02 / 2401;
    CHECK(c.degrees == Approx(64.0 / 1225 / squares));
    CHECK(std::isnan(c.low));  // below 3 degrees
    CHECK(fit.r2 == Approx(1 - 3.6 / 10));
    CHECK(fit.groups == 1);
    CHECK(fit.clusters == 5);
}

TEST_CASE("levels of groups do not pass for a slope, and collinear columns are left out") {
    const std::vector<int> group{0, 0, 0, 0, 1, 1, 1, 1}, cluster{0, 1, 2, 3, 4, 5, 6, 7};
    const std::vector<double> x{1, 2, 3, 4, 11, 12, 13, 14};
    std::vector<double> y, twice, constant(8, 5);
    for (std::size_t i = 0; i < x.size(); ++i) {
        y.push_back(3 * x[i] - 100 * group[i] + (i % 2 == 0 ? 0.5 : -0.5));
        twice.push_back(2 * x[i] + 9 * group[i]);
    }
    const Regression fit =
        regress(y, {constant, x, twice}, {"constant", "x", "twice"}, group, cluster, kLeastSquares);
    CHECK_FALSE(fit.coefficients[0].estimated);
    CHECK(fit.coefficients[1].value == Approx(3 - 0.2));  // the +-0.5 leans by -0.2 in each group
    CHECK_FALSE(fit.coefficients[2].estimated);
    CHECK(fit.groups == 2);
    CHECK_FALSE(regress({}, {{}}, {"x"}, {}, {}).estimated());
}

TEST_CASE("an observation far away pulls with the force of one at the clip") {
    std::vector<double> x, y, sizes;
    std::vector<int> group(21, 0), cluster;
    for (int i = 0; i < 21; ++i) {
        x.push_back(i - 10);
        y.push_back(x.back() + (i % 4 < 2 ? 0.1 : -0.1));
        cluster.push_back(i);
    }
    y[20] = 1000;
    const Regression least = regress(y, {x}, {"x"}, group, cluster, kLeastSquares);
    CHECK(least.coefficients[0].value > 10);
    CHECK(least.clippedAbove == 0);
    const Regression fit = regress(y, {x}, {"x"}, group, cluster);
    CHECK(fit.coefficients[0].value == Approx(1).margin(0.02));
    CHECK(fit.clippedAbove == 1);
    CHECK(fit.clippedBelow == 0);
    // Huber's equations: the same fit is that of least squares when the last is moved to the clip.
    for (const double r : fit.residuals) sizes.push_back(std::abs(r));
    std::sort(sizes.begin(), sizes.end());
    std::vector<double> moved = y;
    moved[20] += kHuberClip * sizes[10] / 0.6745 - fit.residuals[20];
    const Regression same = regress(moved, {x}, {"x"}, group, cluster, kLeastSquares);
    CHECK(same.coefficients[0].value == Approx(fit.coefficients[0].value).epsilon(1e-6));
    // However far it lies, the fit and its interval stay where they are.
    y[20] = 1e9;
    const Regression further = regress(y, {x}, {"x"}, group, cluster);
    CHECK(further.coefficients[0].value == Approx(fit.coefficients[0].value).epsilon(1e-6));
    CHECK(further.coefficients[0].standardError ==
          Approx(fit.coefficients[0].standardError).epsilon(1e-6));
}

TEST_CASE("where most observations lie on the fit, it is that of least squares") {
    std::vector<double> x, y;
    std::vector<int> group, cluster;
    for (int i = 0; i < 9; ++i) {
        x.push_back(i % 3);
        y.push_back(0);  // at x = 0, 1, 2 alike
        group.push_back(0);
        cluster.push_back(i);
    }
    y[8] = 9;
    const Regression fit = regress(y, {x}, {"x"}, group, cluster);
    const Regression least = regress(y, {x}, {"x"}, group, cluster, kLeastSquares);
    CHECK(least.coefficients[0].value == Approx(1.5));  // 9 x 1 / 6
    CHECK(std::isfinite(fit.coefficients[0].value));
    CHECK(std::isfinite(fit.coefficients[0].standardError));
}

TEST_CASE("the cost of a hot expert is found at equal tokens and equal active experts") {
    std::vector<StepRow> steps;
    std::vector<ExpertLaunch> launches;
    for (int s = 0; s < 12; ++s) {
        const int tokens = 10 + s * s % 7;
        steps.push_back({s, 0, "prefill", s * 100, tokens, s * 1000, s * 1000 + 900});
        for (int layer = 0; layer < 2; ++layer) {
            ExpertLaunch launch;
            launch.step = s;
            launch.layer = layer;
            launch.tokens = tokens;
            launch.assignments = 2 * tokens;
            launch.activeExperts = 4 + (s * 5 + layer) % 3;
            launch.hottestLoad = 5 + (s * 3 + 2 * layer) % 5;
            launch.ns = 1000 * layer + 30 * launch.tokens + 50 * launch.activeExperts +
                        70 * launch.hottestLoad + (s % 2 == 0 ? 1 : -1);
            launches.push_back(launch);
        }
    }
    const std::vector<ExpertLoadPhase> phases = expertLoadPhases(launches, steps, 8);
    REQUIRE(phases.size() == 1);
    const auto& c = phases[0].fit.coefficients;
    CHECK(c[0].value == Approx(30).margin(0.5));
    CHECK(c[1].value == Approx(50).margin(0.5));
    CHECK(c[2].value == Approx(70).margin(0.5));
    CHECK(c[2].low > 69);
    CHECK(c[2].high < 71);
    CHECK(phases[0].verdict.find("A hot expert costs time") == 0);
    CHECK(phases[0].verdict.find(" \xC2\xB5s") != std::string::npos);  // not "us": as elsewhere
    REQUIRE(phases[0].quarters.size() == 4);
    CHECK(phases[0].quarters[0].launches == 6);
    CHECK(phases[0].quarters[3].meanMaxOverMean > phases[0].quarters[0].meanMaxOverMean);
}

TEST_CASE("where two large steps decide, no hot expert is said to cost time") {
    std::vector<StepRow> steps;
    std::vector<ExpertLaunch> launches;
    std::mt19937 random(7);  // the same numbers everywhere
    const auto uniform = [&] { return double(random()) / 4294967296.0; };
    for (int s = 0; s < 40; ++s) {
        const int tokens = s < 38 ? 40 : 512;
        steps.push_back({s, 0, "prefill", 0, tokens, s * 1000, s * 1000 + 900});
        const double hot = uniform() - 0.5, slow = 3000 * (uniform() - 0.5);
        for (int layer = 0; layer < 24; ++layer) {
            ExpertLaunch launch;
            launch.step = s;
            launch.layer = layer;
            launch.tokens = tokens;
            launch.assignments = 4 * tokens;
            launch.activeExperts = 32 - static_cast<int>(3 * uniform());
            launch.hottestLoad = static_cast<int>(
                tokens * (0.3 + 0.004 * layer + 0.14 * hot + 0.1 * (uniform() - 0.5)));
            launch.ns = static_cast<int>(100000 + 1000 * tokens + slow + 2000 * uniform());
            launches.push_back(launch);
        }
    }
    const std::vector<ExpertLoadPhase> phases = expertLoadPhases(launches, steps, 32);
    REQUIRE(phases.size() == 1);
    const Coefficient& hottest = phases[0].fit.coefficients[2];
    CHECK(hottest.estimated);
    CHECK(hottest.degrees < 3);
    CHECK(std::isnan(hottest.low));
    CHECK(phases[0].verdict.find("Too few steps for an interval: what a hot expert costs rests on "
                                 "few of the 40") == 0);
}

TEST_CASE("a launch that stands alone among those of its size is in no quarter") {
    std::vector<StepRow> steps;
    std::vector<ExpertLaunch> launches;
    const auto add = [&](std::int64_t tokens, std::int64_t hottest) {
        const auto s = static_cast<std::int64_t>(steps.size());
        steps.push_back({s, 0, "prefill", 0, tokens, s * 100, s * 100 + 50});
        ExpertLaunch launch;
        launch.step = s;
        launch.tokens = tokens;
        launch.assignments = 2 * tokens;
        launch.activeExperts = 8;
        launch.hottestLoad = hottest;
        launch.ns = 1000 + 3 * tokens + 7 * hottest + s % 3;
        launches.push_back(launch);
    };
    for (const std::int64_t tokens : {4, 8, 16, 32, 64, 128}) add(tokens, tokens);
    for (const std::int64_t hottest : {300, 320, 340, 360}) add(1024, hottest);
    const std::vector<ExpertLoadPhase> phases = expertLoadPhases(launches, steps, 8);
    REQUIRE(phases.size() == 1);
    REQUIRE(phases[0].quarters.size() == 4);
    for (std::size_t q = 0; q < 4; ++q) {
        CHECK(phases[0].quarters[q].launches == 1);
        CHECK(phases[0].quarters[q].meanHottestLoad == 300.0 + 20.0 * double(q));
    }
}

TEST_CASE("load of a launch is counted from the experts of its own tokens") {
    const TempDir dir;
    RunWriter writer(dir / "r.moescope", RunWriter::Mode::Create);
    writer.setMeta("routing", nlohmann::json{{"experts", 4}, {"top_k", 2}, {"layers", 1}});
    writer.add(SequenceRow{3, "s", "", 3, 1});
    writer.add(StepRow{0, 3, "prefill", 0, 3, 0, 100});
    writer.add(StepRow{1, 3, "decode", 3, 1, 100, 200});
    writer.add(StepRow{2, 3, "decode", 4, 1, 200, 300});  // its routing was not recorded
    writer.add(OperationRow{0, 0, 0, "experts", "gate_up", 10, 30, 0, 0, 1});
    writer.add(OperationRow{1, 0, 0, "experts", "down", 30, 60, 0, 0, 1});
    writer.add(OperationRow{2, 1, 0, "experts", "down", 110, 120, 0, 0, 1});
    writer.add(OperationRow{3, 2, 0, "experts", "down", 210, 220, 0, 0, 1});
    writer.add(RoutingTokensRow{3, 0, 0, 2, 2, {0, 1, 0, 2}, {}});
    writer.add(RoutingTokensRow{3, 0, 2, 2, 2, {0, 1, 3, 2}, {}});
    writer.add(RoutingCountRow{3, "prefill", 0, 0, 3});
    writer.finish(RunStatus::Done);
    const AnalysedRun run = analyse(RunReader(dir / "r.moescope"));
    const ExpertLoad& load = run.analysis.expertLoad;
    REQUIRE(load.launches.size() == 2);
    CHECK(load.launches[0].tokens == 3);
    CHECK(load.launches[0].ns == 50);
    CHECK(load.launches[0].activeExperts == 3);
    CHECK(load.launches[0].hottestLoad == 3);
    CHECK(load.launches[0].hottestExpert == 0);
    CHECK(load.launches[0].maxOverMean(4) == Approx(3.0 * 4 / 6));
    CHECK(load.launches[1].hottestLoad == 1);
    CHECK(load.launches[1].activeExperts == 2);
    REQUIRE(load.phases.size() == 2);
    CHECK(load.phases[1].verdict.find("nothing to compare") != std::string::npos);
}
