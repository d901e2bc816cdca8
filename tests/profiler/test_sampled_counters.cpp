// SPDX-License-Identifier: Apache-2.0
// Samples of a run file by phase, against values worked by hand.
#include <catch2/catch.hpp>
#include <cmath>

#include "profiler/analysis/sampled_counters.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

TEST_CASE("samples belong to the phase of the step in which their middle lies") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(StepRow{0, 0, "prefill", 0, 4, 0, 1000});
    writer.add(StepRow{1, 0, "decode", 4, 1, 1000, 2000});
    writer.add(StepRow{2, 0, "decode", 5, 1, 3000, 4000});
    const auto add = [&](std::int64_t start, std::int64_t end, double value) {
        writer.add(SampleRow{start, end, "m", value});
    };
    add(-300, -100, 9);             // before the run
    add(0, 400, 10);                // prefill
    add(400, 600, 40);              // prefill, half as long
    add(900, 1300, 3);              // its middle is in decode
    add(2000, 2900, 80);            // between two steps
    add(3100, 3500, -1);            // decode
    add(3500, 3500, 99);            // takes no time
    add(3600, 3500, 99);            // ends before it begins
    add(3600, 3700, std::nan(""));  // was not counted
    writer.add(SampleRow{100, 200, "n", 1});
    writer.finish(RunStatus::Done);
    const RunReader run(path);
    const std::vector<SampledMetric> found = sampledCounters(run, run.steps());
    REQUIRE(found.size() == 2);
    CHECK(found[0].metric == "m");
    REQUIRE(found[0].phases.size() == 2);
    CHECK(found[0].phases[0].phase == "prefill");
    CHECK(found[0].phases[0].samples == 2);
    CHECK(found[0].phases[0].mean == Approx(20));
    CHECK(found[0].phases[0].peak == 40);
    CHECK(found[0].phases[1].phase == "decode");
    CHECK(found[0].phases[1].samples == 2);
    CHECK(found[0].phases[1].mean == Approx(1));
    CHECK(found[0].phases[1].peak == 3);
    CHECK(found[1].metric == "n");
    CHECK(found[1].phases.size() == 1);
}

TEST_CASE("a run without samples has no sampled counters") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter(path, RunWriter::Mode::Create).finish(RunStatus::Done);
    const RunReader run(path);
    CHECK(sampledCounters(run, run.steps()).empty());
}
