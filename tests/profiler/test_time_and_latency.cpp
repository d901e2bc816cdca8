// SPDX-License-Identifier: Apache-2.0
// Where time went and what each token waited for, against values worked by hand.
#include <catch2/catch.hpp>
#include <numeric>

#include "profiler/analysis/run_analysis.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

namespace {

const std::vector<StepRow> kSteps{{0, 0, "prefill", 0, 4, 100, 200},
                                  {1, 0, "decode", 4, 1, 220, 300},
                                  {2, 1, "prefill", 0, 4, 400, 500}};
const std::vector<OperationRow> kOperations{
    {0, 0, 0, "router", "", 100, 140, 0, 0, 1},      {1, 0, 0, "experts", "", 150, 200, 0, 0, 1},
    {2, 0, -1, "sample", "", 205, 215, 0, 0, 1},     {3, 1, 0, "experts", "", 220, 260, 0, 0, 1},
    {4, 1, 0, "memcpy_dtoh", "", 250, 290, 0, 0, 1}, {5, 2, 0, "experts", "", 400, 500, 0, 0, 1}};

OperationColumns columns() {
    OperationCollector collector(kSteps);
    for (const OperationRow& row : kOperations) collector.add(row);
    return collector.take();
}

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

TEST_CASE("wall time is computing, copying or idle for a cause, and nothing is left over") {
    const std::vector<PhaseTime> time = timeBreakdown(kSteps, columns());
    REQUIRE(time.size() == 3);
    const TimeParts& all = time[0].parts;
    CHECK(all.wallNs == 400);
    CHECK(all.computeNs == 240);   // 40 + 50 + 10 + 40 + 100
    CHECK(all.copyNs == 30);       // 260 to 290: before it a computation ran
    CHECK(all.launchGapNs == 20);  // 140 to 150, 290 to 300
    CHECK(all.hostWaitNs == 10);   // 200 to 205, 215 to 220
    CHECK(all.otherNs == 100);     // between the sequences
    CHECK(all.computeNs + all.copyNs + all.idleNs() == all.wallNs);
    CHECK(time[1].phase == "prefill");
    CHECK(time[1].parts.wallNs == 200);
    CHECK(time[1].parts.computeNs == 190);
    CHECK(time[1].parts.launchGapNs == 10);
    CHECK(time[2].phase == "decode");
    CHECK(time[2].parts.wallNs == 100);
    CHECK(time[2].parts.computeNs == 50);
    CHECK(time[2].parts.copyNs == 30);
    CHECK(time[2].parts.hostWaitNs == 10);
    CHECK(time[2].parts.launchGapNs == 10);
    CHECK(timeBreakdown({}, OperationColumns{}).empty());
}

TEST_CASE("a range cuts the wall time and keeps the causes") {
    const auto in = [](std::int64_t begin, std::int64_t end) {
        return timeBreakdown(kSteps, columns(), TimeRange{begin, end});
    };
    const std::vector<PhaseTime> time = in(130, 230);
    REQUIRE(time.size() == 3);
    CHECK(time[0].parts.wallNs == 100);
    CHECK(time[0].parts.computeNs == 10 + 50 + 10 + 10);
    CHECK(time[0].parts.launchGapNs == 10);  // 140 to 150
    CHECK(time[0].parts.hostWaitNs == 10);   // 200 to 205, 215 to 220
    CHECK(time[1].phase == "prefill");
    CHECK(time[1].parts.wallNs == 70);
    CHECK(time[2].parts.wallNs == 30);
    // Cuts that meet add up to the whole.
    const TimeParts left = in(0, 255)[0].parts, right = in(255, 1000)[0].parts;
    CHECK(left.wallNs + right.wallNs == 400);
    CHECK(left.computeNs + right.computeNs == 240);
    CHECK(left.copyNs + right.copyNs == 30);
    CHECK(left.otherNs + right.otherNs == 100);
    CHECK(in(310, 390)[0].parts.otherNs == 80);
    CHECK(in(310, 390).size() == 1);
    CHECK(in(600, 700).empty());
}

TEST_CASE("an operation that goes on past its step is split between the stretches") {
    const std::vector<StepRow> steps{{0, 0, "decode", 0, 1, 0, 10}, {1, 0, "decode", 1, 1, 20, 30}};
    OperationCollector collector(steps);
    collector.add({0, 0, 0, "experts", "", 5, 25, 0, 0, 1});
    const std::vector<PhaseTime> time = timeBreakdown(steps, collector.columns());
    CHECK(time[0].parts.wallNs == 30);
    CHECK(time[0].parts.computeNs == 20);
    CHECK(time[0].parts.launchGapNs == 10);
    CHECK(time[0].parts.hostWaitNs == 0);
}

TEST_CASE("a token's time is its operations, the gaps in its steps and the time between steps") {
    const std::vector<SequenceRow> sequences{{0, "a", "", 4, 2}, {1, "b", "", 4, 0}};
    const TokenLatency latency = tokenLatency(kSteps, columns(), sequences, "profile");
    REQUIRE(latency.tokens.size() == 2);  // the second sequence generates nothing
    CHECK(latency.tokens[0].first);
    CHECK(latency.tokens[0].position == 3);
    CHECK(latency.tokens[0].ns() == 115);  // 100 to 215: the sampling included
    CHECK(latency.tokens[1].ns() == 85);   // 215 to 300
    CHECK(latency.ttft.median == 115);
    CHECK(latency.tpot.p99 == 85);
    CHECK(latency.tpotP90 == 85);
    REQUIRE(latency.parts.size() == 6);  // four operations and two kinds of gaps
    CHECK(latency.parts[0] == "experts");
    CHECK(latency.parts.back() == "between steps");
    REQUIRE(latency.stacks.size() == 2);
    const auto part = [&](const LatencyStack& stack, const std::string& name) {
        for (std::size_t i = 0; i < latency.parts.size(); ++i)
            if (latency.parts[i] == name) return stack.partsNs[i];
        return -1.0;
    };
    const LatencyStack& first = latency.stacks[0];
    CHECK(first.meanNs == 115);
    CHECK(part(first, "router") == 40);
    CHECK(part(first, "experts") == 50);
    CHECK(part(first, "sample") == 10);
    CHECK(part(first, "between operations") == 10);
    CHECK(part(first, "between steps") == 5);
    CHECK(sum(first.partsNs) == Approx(first.meanNs));
    const LatencyStack& output = latency.stacks[1];
    CHECK(part(output, "experts") == 40);
    CHECK(part(output, "memcpy_dtoh") == 40);
    CHECK(part(output, "between operations") == 0);
    CHECK(tokenLatency(kSteps, columns(), sequences, "eval").tokens.empty());
    // Each token has its own parts; the stacks are their means.
    CHECK(latency.tokens[0].partsNs == std::vector<std::int64_t>{50, 40, 0, 10, 10, 5});
}

TEST_CASE("many names of operations share a part, so that memory does not grow with both") {
    std::vector<StepRow> steps;
    for (int i = 0; i < 300; ++i)
        steps.push_back({i, 0, i == 0 ? "prefill" : "decode", i, 1, i * 100, i * 100 + 90});
    OperationCollector collector(steps);
    for (int i = 0; i < 300; ++i)
        collector.add({i, i, 0, "name " + std::to_string(i), "k", i * 100,
                       i * 100 + (i == 7 ? 80 : 20), 0, 0, 1});
    const std::vector<SequenceRow> sequences{{0, "a", "", 1, 300}};
    const TokenLatency latency = tokenLatency(steps, collector.take(), sequences, "profile");
    REQUIRE(latency.parts.size() == 64 + 2);
    CHECK(latency.parts[0] == "name 7");
    CHECK(latency.parts[63] == "other operations");
    for (const LatencyStack& stack : latency.stacks)
        CHECK(sum(stack.partsNs) == Approx(stack.meanNs));
}

TEST_CASE("tokens of a sequence or a range are chosen by when they were chosen") {
    const std::vector<SequenceRow> sequences{{0, "a", "", 4, 2}, {1, "b", "", 4, 1}};
    const auto with = [&](const TokenFilter& filter) {
        return tokenLatency(kSteps, columns(), sequences, "profile", filter);
    };
    CHECK(with({}).tokens.size() == 3);
    REQUIRE(with({.sequence = 1}).tokens.size() == 1);
    CHECK(with({.sequence = 1}).tokens[0].ns() == 100);
    const TokenLatency range = with({.range = TimeRange{215, 301}});
    CHECK(range.tokens.size() == 2);
    CHECK(range.ttft.count == 1);
    // Parts stay in the order of the whole run, so that colours and rows do.
    CHECK(range.parts == with({}).parts);
    CHECK(with({.sequence = 0, .range = TimeRange{400, 501}}).tokens.empty());
    CHECK(with({.sequence = 7}).parts.empty());
}

TEST_CASE("the analyses agree with the summary of the same file") {
    const TempDir dir;
    RunWriter writer(dir / "r.moescope", RunWriter::Mode::Create);
    writer.setMeta("kind", "profile");
    writer.add(SequenceRow{0, "a", "", 4, 2});
    writer.add(SequenceRow{1, "b", "", 4, 0});
    for (const StepRow& step : kSteps) writer.add(step);
    for (const OperationRow& row : kOperations) writer.add(row);
    writer.finish(RunStatus::Done);
    const AnalysedRun run = analyse(RunReader(dir / "r.moescope"));
    CHECK(run.operations.size() == kOperations.size());
    CHECK(run.summary.ttftNs == run.analysis.latency.ttft.median);
    CHECK(run.summary.decode.medianStepNs == run.analysis.latency.tpot.median);
    CHECK(run.summary.decode.p95StepNs == run.analysis.latency.tpot.p95);
    CHECK(run.analysis.time.front().parts.wallNs == 400);
    CHECK(run.analysis.expertLoad.phases.empty());
    CHECK(run.analysis.expertLoad.reason.find("--routing-tokens") != std::string::npos);
    CHECK(run.analysis.quality.front().label == "mode");
}

TEST_CASE("the quality block asks its questions in one order whatever the run recorded") {
    const std::vector<QualityLine> lines = qualityBlock(
        {{"degradation", "cpu spans"}, {"build", R"({"version":"0.1.0"})"}}, RunStatus::Interrupted,
        {{"dropped_records", 3, "records", false, "three were dropped"},
         {"routing_sum", 0, "assignments", true, ""}});
    std::vector<std::string> labels;
    for (const QualityLine& line : lines) labels.push_back(line.label);
    CHECK(labels == std::vector<std::string>{
                        "mode", "records against launches", "dropped", "zero or negative stamps",
                        "unattributed", "clock steps", "overhead", "throttling",
                        "time covered by operations", "routing sum", "versions"});
    CHECK(lines[0].value == "cpu spans");
    CHECK_FALSE(lines[0].ok);  // interrupted
    CHECK_FALSE(lines[1].known);
    CHECK(lines[2].value == "3 records");
    CHECK_FALSE(lines[2].ok);
    CHECK(lines.back().value == "moescope 0.1.0");
}

TEST_CASE("versions that are nested without end are none") {
    std::string deep;
    for (int i = 0; i < 200'000; ++i) deep += '[';
    for (int i = 0; i < 200'000; ++i) deep += ']';
    const std::vector<QualityLine> lines =
        qualityBlock({{"build", R"({"version":)" + deep + "}"}}, RunStatus::Done, {});
    CHECK(lines.back().value == "not recorded");
}

TEST_CASE("the quality block gives ratios in per cent and a CPU run no launches to compare") {
    const std::vector<QualityLine> lines =
        qualityBlock({{"degradation", "cpu spans"}}, RunStatus::Done,
                     {{"unbalanced_scopes", 0, "scopes", true, ""},
                      {"dropped_records", 1, "records", false, ""},
                      {"timer_overhead", 0.002571234, "ratio", true, ""},
                      {"op_time_share", 0.9921544, "ratio", true, ""},
                      {"timer_resolution", 1, "ns", true, ""}});
    const auto valueOf = [&](const std::string& label) {
        for (const QualityLine& line : lines)
            if (line.label == label) return line.value;
        return std::string("absent");
    };
    CHECK(valueOf("records against launches") == "absent");
    CHECK(valueOf("spans out of order") == "0 scopes");
    CHECK(valueOf("dropped") == "1 record");
    CHECK(valueOf("clock reading overhead") == "0.257 %");
    CHECK(valueOf("overhead") == "absent");  // the clock is only a part of what tracing costs
    CHECK(valueOf("time covered by operations") == "99.2 %");
    CHECK(valueOf("timer resolution") == "1 ns");
}
