// SPDX-License-Identifier: Apache-2.0
// The one-pass summary against values worked by hand.
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>

#include "engine/core/error.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

TEST_CASE("the share of operations is unknown, not 0, where none was timed") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(SequenceRow{0, "s", "", 4, 0});
    writer.add(StepRow{0, 0, "prefill", 0, 4, 100, 1100});
    writer.finish(RunStatus::Done);
    const RunSummary s = summarize(RunReader(path));
    CHECK(std::isnan(s.prefill.operationShare));
    CHECK(std::isnan(s.decode.operationShare));
}

TEST_CASE("a summary adds up operations by kernel and phase") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(SequenceRow{0, "s", "", 4, 2});
    writer.add(StepRow{0, 0, "prefill", 0, 4, 100, 1100});
    writer.add(StepRow{1, 0, "decode", 4, 1, 1200, 1700});
    writer.add(StepRow{2, 0, "decode", 5, 1, 1700, 2000});
    writer.add(OperationRow{0, 0, -1, "embed", "copy", 100, 200, 10, 0, 1});
    writer.add(OperationRow{1, 0, 0, "experts", "gemm", 200, 1000, 800, 1600, 2});
    writer.add(OperationRow{2, 1, 0, "experts", "gemv", 1200, 1600, 400, 800, 2});
    writer.add(OperationRow{3, 2, 0, "experts", "gemv", 1700, 1900, 400, 800, 2});
    writer.add(OperationRow{4, 9, 0, "experts", "gemv", 1900, 1950, 400, 800, 2});  // no such step
    writer.add(OperationRow{5, 2, -1, "sample", "", 2000, 2100, 0, 0, 1});  // after its step
    writer.finish(RunStatus::Done);

    const RunSummary s = summarize(RunReader(path));
    CHECK(s.prefill.steps == 1);
    CHECK(s.prefill.tokens == 4);
    CHECK(s.prefill.wallNs == 1000);
    CHECK(s.prefill.operationNs == 900);
    CHECK(s.prefill.operationShare == Approx(0.9));
    CHECK(s.prefill.tokensPerSecond == Approx(4e6));
    CHECK(s.decode.forwardNs == 800);
    CHECK(s.decode.forwardTokensPerSecond == Approx(2.5e6));
    CHECK(s.decode.forwardMedianNs == 400);  // the mean of 300 and 500
    CHECK(s.decode.forwardP95Ns == 500);
    CHECK(s.decode.operationShare == Approx(0.75));
    CHECK(s.decode.operationNs == 600);
    CHECK(s.decode.bytes == 800);
    // The tokens are known at 1100, 1700 and 2100 (sampled), so the user waits 600 and 400.
    CHECK(s.decode.wallNs == 1000);
    CHECK(s.decode.tokensPerSecond == Approx(2e6));
    CHECK(s.decode.bytesPerSecond() == Approx(0.8e9));  // over the time of the tokens
    CHECK(std::isnan(PhaseSummary().bytesPerSecond()));
    CHECK(s.decode.medianStepNs == 500);
    CHECK(s.decode.p95StepNs == 600);
    CHECK(s.ttftNs == 1000);
    REQUIRE(s.operations.size() == 4);
    CHECK(s.operations[0].kernel == "gemm");
    CHECK(s.operations[0].share == Approx(800.0 / 1600));
    CHECK(s.operations[0].bytesPerSecond() == Approx(1e9));
    CHECK(s.operations[0].flopsPerSecond() == Approx(2e9));
    CHECK(s.operations[1].kernel == "gemv");
    CHECK(s.operations[1].calls == 2);
    CHECK(s.operations[1].minNs == 200);
    CHECK(s.operations[1].maxNs == 400);
    CHECK(s.operations[1].medianNs == 300);
    CHECK(s.operations[1].p95Ns == 400);
    CHECK(s.layerNs.at(-1) == 200);
    CHECK(s.layerNs.at(0) == 1400);
    CHECK(s.routing.empty());
}

TEST_CASE("a summary knows experts that no token chose") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.setMeta("routing", nlohmann::json{{"experts", 4}, {"top_k", 2}, {"layers", 3}});
    writer.add(RoutingCountRow{0, "prefill", 2, 0, 5});
    writer.add(RoutingCountRow{0, "decode", 2, 0, 3});
    writer.add(RoutingCountRow{1, "decode", 2, 1, 8});
    writer.finish(RunStatus::Done);
    const RunSummary s = summarize(RunReader(path));
    REQUIRE(s.routing.size() == 1);
    CHECK(s.routing[0].layer == 2);
    CHECK(s.routing[0].counts == std::vector<std::int64_t>{8, 8, 0, 0});
    CHECK(s.routing[0].balance.tokens == 8);
    CHECK(s.routing[0].balance.deadExperts == 2);
    CHECK(s.routing[0].balance.gini == Approx(0.5));
    CHECK(s.routing[0].excess == Approx(2 / s.routing[0].null.maxOverMean));
    CHECK(s.topK == 2);
}

TEST_CASE("an excess that cannot be told is not the worst, nor none at all") {
    std::vector<LayerRouting> layers(3);
    layers[0].excess = 1.2;
    layers[1].excess = std::nan("");
    layers[2].excess = 1.1;
    CHECK(worstExcess(layers) == 1.2);
    CHECK(std::isnan(worstExcess(std::span(layers).subspan(1, 1))));
    CHECK(std::isnan(worstExcess({})));
}

TEST_CASE("top-k follows from the tokens when the run does not state it") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(StepRow{0, 0, "prefill", 0, 4, 0, 10});
    writer.add(RoutingCountRow{0, "prefill", 0, 0, 4});
    writer.add(RoutingCountRow{0, "prefill", 0, 7, 4});
    writer.finish(RunStatus::Done);
    const RunSummary s = summarize(RunReader(path));
    CHECK(s.topK == 2);
    CHECK(s.experts == 8);
}

TEST_CASE("a sequence that generates nothing has no time to first token") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(StepRow{0, 0, "prefill", 0, 4, 0, 700});
    writer.add(StepRow{1, 1, "prefill", 0, 4, 1000, 1100});
    writer.add(StepRow{2, 1, "prefill", 4, 4, 1100, 1300});
    writer.add(StepRow{3, 1, "decode", 8, 1, 1300, 1400});
    writer.finish(RunStatus::Done);
    CHECK(summarize(RunReader(path)).ttftNs == 300);
}

TEST_CASE("decode speed is what a user waits for with sampling and gaps counted per sequence") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    const auto sampled = [&](std::int64_t step, std::int64_t end) {
        writer.add(OperationRow{step * 10, step, -1, "sample", "", end - 50, end, 0, 0, 1});
    };
    writer.add(StepRow{0, 7, "prefill", 0, 4, 0, 1000});
    sampled(0, 1100);
    writer.add(StepRow{1, 7, "decode", 4, 1, 1150, 1400});
    sampled(1, 1500);
    writer.add(StepRow{2, 7, "decode", 5, 1, 1500, 1800});
    sampled(2, 1900);
    // A pause between two sequences belongs to neither.
    writer.add(StepRow{3, 8, "prefill", 0, 4, 90000, 91000});
    sampled(3, 91100);
    writer.add(StepRow{4, 8, "decode", 4, 1, 91100, 91300});
    sampled(4, 91400);
    writer.finish(RunStatus::Done);
    const RunSummary s = summarize(RunReader(path));
    CHECK(s.ttftNs == 1100);  // the first token is chosen after the forward pass
    CHECK(s.decode.wallNs == 400 + 400 + 300);
    CHECK(s.decode.tokensPerSecond == Approx(3e9 / 1100));
    CHECK(s.decode.forwardNs == 250 + 300 + 200);
    CHECK(s.decode.medianStepNs == 400);
    CHECK(s.prefill.wallNs == 2000);
    CHECK(s.prefill.tokensPerSecond == Approx(8e9 / 2000));
}

TEST_CASE("an evaluation has neither a time to first token nor a decode speed") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.setMeta("kind", "eval");
    writer.add(StepRow{0, 0, "prefill", 0, 4, 0, 700});
    writer.add(StepRow{1, 0, "decode", 4, 1, 700, 800});  // one scored token
    writer.add(OperationRow{0, 1, 0, "experts", "gemv", 700, 800, 400, 800, 2});
    writer.finish(RunStatus::Done);
    const RunSummary s = summarize(RunReader(path));
    CHECK(std::isnan(s.ttftNs));
    CHECK(s.decode.steps == 0);
    CHECK(std::isnan(s.decode.tokensPerSecond));
    CHECK(std::isnan(s.decode.medianStepNs));
    CHECK(s.prefill.tokens == 5);
    REQUIRE(s.operations.size() == 1);
    CHECK(s.operations[0].phase == "prefill");
}

TEST_CASE("made-up sizes of a run are bounded in memory and time") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.setMeta("routing", nlohmann::json{{"experts", 32767}, {"top_k", 16000}, {"layers", 40}});
    for (int layer = 0; layer < 40; ++layer)
        writer.add(RoutingCountRow{0, "prefill", layer, 0, 16000 * 8000});
    writer.finish(RunStatus::Done);
    CHECK_THROWS_AS(summarize(RunReader(path)), Error);  // 40 x 32767 experts
    const auto start = std::chrono::steady_clock::now();
    CHECK(balanceNull(8000, 32767, 16000).maxOverMean > 1);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("counts and times near the end of 64 bits are damage") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(RoutingCountRow{0, "prefill", 0, 0, INT64_MAX});
    writer.finish(RunStatus::Done);
    CHECK_THROWS_AS(summarize(RunReader(path)), Error);
    const auto other = dir / "s.moescope";
    RunWriter steps(other, RunWriter::Mode::Create);
    steps.add(StepRow{0, 0, "prefill", 0, 4, INT64_MIN, INT64_MAX});
    steps.finish(RunStatus::Done);
    CHECK_THROWS_AS(summarize(RunReader(other)), Error);
    CHECK_THROWS_AS(balance(std::vector<std::int64_t>{INT64_MAX, 1}, 1), Error);
}
