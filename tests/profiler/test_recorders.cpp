// SPDX-License-Identifier: Apache-2.0
// The span tracer, the routing recorder and the whole recorded run.
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "engine/core/cpu_features.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/export/exporters.h"
#include "profiler/record/machine.h"
#include "profiler/record/run_recorder.h"
#include "profiler/runfile/run_reader.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;
using test::thrownBy;

namespace {

void spin(std::chrono::microseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
    }
}

void operation(TraceSink& trace, Op op, int layer, std::uint64_t bytes = 1000) {
    trace.opBegin(op, layer);
    spin(std::chrono::microseconds(200));
    trace.opEnd({bytes, 2 * bytes, 3, "fake_kernel"});
}

/// What the engine does for one step: embed, two layers, head.
void step(TraceSink& trace, const StepInfo& info) {
    trace.stepBegin(info);
    operation(trace, Op::Embed, -1);
    for (int layer = 0; layer < 2; ++layer) {
        operation(trace, Op::AttentionInput, layer);
        operation(trace, Op::Experts, layer);
    }
    operation(trace, Op::Head, -1);
    trace.stepEnd();
}

std::map<std::string, QualityRow> qualityOf(const RunReader& run) {
    std::map<std::string, QualityRow> rows;
    for (const QualityRow& row : run.quality()) rows[row.name] = row;
    return rows;
}

RunFacts facts() {
    RunFacts facts;
    facts.kind = "profile";
    facts.command = {"moescope", "profile"};
    facts.model = {{"name", "fake"}};
    facts.settings = {{"threads", 3}};
    facts.routing = RoutingOptions{8, 2, 2, 1, true, true};
    return facts;
}

}  // namespace

TEST_CASE("the tracer accounts for the time of its steps") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    SpanTracer tracer(writer, RunClock{});
    step(tracer, {4, StepKind::Prefill, 0, 5});
    operation(tracer, Op::Sample, -1);
    step(tracer, {4, StepKind::Decode, 5, 1});
    tracer.finish();
    writer.finish(RunStatus::Done);

    const RunReader run(path);
    const auto steps = run.steps();
    REQUIRE(steps.size() == 2);
    CHECK(steps[0].kind == "prefill");
    CHECK(steps[0].tokens == 5);
    CHECK(steps[1].kind == "decode");
    CHECK(steps[1].firstPosition == 5);
    CHECK(run.operationCount() == 13);
    std::int64_t previous = -1;
    run.operations([&](const OperationRow& row) {
        CHECK(row.startNs >= previous);
        previous = row.endNs;
        const StepRow& owner = steps.at(std::size_t(row.step));
        CHECK(row.startNs >= owner.startNs);
        if (row.op != "sample") CHECK(row.endNs <= owner.endNs);
        CHECK(row.kernel == "fake_kernel");
        CHECK(row.threads == 3);
        return true;
    });
    const auto quality = qualityOf(run);
    CHECK(quality.at("op_time_share").value >= 0.95);
    CHECK(quality.at("op_time_share").value <= 1.0);
    CHECK(quality.at("dropped_records").value == 0);
    CHECK(quality.at("unattributed_operations").ok);
    CHECK(quality.at("timer_resolution").value > 0);
    CHECK(quality.at("timer_overhead").value < 0.02);
}

TEST_CASE("a step with time outside its operations is reported as incomplete") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    SpanTracer tracer(writer, RunClock{});
    operation(tracer, Op::Embed, -1);  // before any step: belongs to nothing
    tracer.stepBegin({0, StepKind::Prefill, 0, 1});
    operation(tracer, Op::Embed, -1);
    spin(std::chrono::microseconds(800));
    tracer.opBegin(Op::Head, -1);  // cut short by an exception
    tracer.finish();
    writer.finish(RunStatus::Failed);
    const auto quality = qualityOf(RunReader(path));
    CHECK_FALSE(quality.at("op_time_share").ok);
    CHECK(quality.at("unattributed_operations").value == 1);
    CHECK(quality.at("unbalanced_scopes").value == 1);
    CHECK(RunReader(path).operationCount() == 1);
}

TEST_CASE("a long prefill does not hide what is missing of decoding") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    SpanTracer tracer(writer, RunClock{});
    tracer.stepBegin({0, StepKind::Prefill, 0, 100});
    tracer.opBegin(Op::Head, -1);
    spin(std::chrono::milliseconds(40));
    tracer.opEnd({});
    tracer.stepEnd();
    tracer.stepBegin({0, StepKind::Decode, 100, 1});
    operation(tracer, Op::Embed, -1);
    spin(std::chrono::microseconds(300));
    tracer.stepEnd();
    tracer.finish();
    writer.finish(RunStatus::Done);
    const QualityRow share = qualityOf(RunReader(path)).at("op_time_share");
    CHECK_FALSE(share.ok);
    CHECK(share.note.find("of decode") != std::string::npos);
}

TEST_CASE("operations beyond the bound of a step are counted as dropped") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    SpanTracer tracer(writer, RunClock{});
    tracer.stepBegin({0, StepKind::Prefill, 0, 1});
    for (std::int64_t i = 0; i < SpanTracer::kOperationsPerStep + 5; ++i) {
        tracer.opBegin(Op::Router, 0);
        tracer.opEnd({});
    }
    tracer.stepEnd();
    tracer.finish();
    writer.finish(RunStatus::Done);
    CHECK(qualityOf(RunReader(path)).at("dropped_records").value == 5);
    CHECK(RunReader(path).operationCount() == SpanTracer::kOperationsPerStep);
}

TEST_CASE("routing counts always add up to tokens times top-k times layers") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    RoutingRecorder recorder(writer, {16, 4, 3, 2, true, true});
    std::mt19937 random(1);
    std::int64_t tokens = 0;
    for (std::int64_t sequence = 0; sequence < 4; ++sequence) {
        for (std::int32_t position = 0; position < 700;) {
            const std::int32_t n = position == 0 ? 37 : 1;
            const StepInfo info{sequence, n > 1 ? StepKind::Prefill : StepKind::Decode, position,
                                n};
            for (const int layer : {0, 2}) {  // layer 1 is dense
                std::vector<std::int32_t> ids;
                for (std::int32_t t = 0; t < n; ++t) {
                    const auto first = std::int32_t(random() % 13);
                    for (std::int32_t i = 0; i < 4; ++i) ids.push_back(first + i);
                }
                recorder.onRouting(info, layer, 4, ids, std::vector<float>(ids.size(), 0.25F));
            }
            position += n;
            tokens += n;
        }
    }
    recorder.finish();
    writer.finish(RunStatus::Done);

    const RunReader run(path);
    std::int64_t sum = 0;
    std::map<std::tuple<std::int64_t, int, int>, std::int64_t> counted, listed;
    for (const RoutingCountRow& row : run.routingCounts()) {
        sum += row.count;
        counted[{row.sequence, row.layer, row.expert}] += row.count;
    }
    CHECK(sum == tokens * 4 * 2);
    CHECK(recorder.rejected() == 0);
    for (std::int64_t sequence = 0; sequence < 4; ++sequence) {
        std::map<int, std::int64_t> next;
        for (const RoutingTokensRow& row : run.routingTokens(sequence)) {
            CHECK(row.firstPosition == next[row.layer]);
            next[row.layer] = row.firstPosition + row.tokens;
            CHECK(row.weights.size() == row.experts.size());
            for (const std::int16_t id : row.experts) ++listed[{sequence, row.layer, id}];
        }
        CHECK(next[0] == 700);
        CHECK(next[2] == 700);
    }
    CHECK(counted == listed);
}

TEST_CASE("the routing recorder reports what cannot be right") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    CHECK_THROWS_AS(RoutingRecorder(writer, {0, 4, 1, 1, false, false}), Error);
    RoutingRecorder recorder(writer, {4, 2, 1, 1, false, false});
    const StepInfo one{0, StepKind::Decode, 0, 1};
    const std::vector<std::int32_t> outside{1, 9}, good{1, 2};
    recorder.onRouting(one, 0, 2, outside, {});
    CHECK_THROWS_AS(recorder.onRouting(one, 1, 2, good, {}), Error);
    CHECK_THROWS_AS(recorder.onRouting({0, StepKind::Decode, 1, 2}, 0, 2, good, {}), Error);
    CHECK(recorder.drain(7).empty());
    CHECK(recorder.drain(0).size() == 1);
    CHECK_THROWS_AS(recorder.onRouting(one, 0, 2, good, {}), Error);  // the sequence has ended
    recorder.finish();
    writer.finish(RunStatus::Done);
    CHECK(recorder.rejected() == 1);
}

TEST_CASE("sequences that are routed at the same time keep their own counts") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    RoutingRecorder recorder(writer, {4, 2, 2, 2, true, false, true});
    const std::vector<std::int32_t> low{0, 1}, high{2, 3};
    for (int layer = 0; layer < 2; ++layer) {
        for (const int position : {0, 1}) {
            recorder.onRouting({1, StepKind::Prefill, position, 1}, layer, 2, low, {});
            recorder.onRouting({2, StepKind::Prefill, position, 1}, layer, 2, high, {});
        }
    }
    const auto countsOf = [](const std::vector<AnyRow>& rows) {
        std::vector<std::int64_t> counts;
        for (const AnyRow& row : rows) {
            if (const auto* count = std::get_if<RoutingCountRow>(&row)) {
                counts.push_back(count->expert);
                CHECK(count->count == 2);
            }
        }
        return counts;
    };
    CHECK(countsOf(recorder.drain(2)) == std::vector<std::int64_t>{2, 3, 2, 3});
    CHECK(countsOf(recorder.drain(1)) == std::vector<std::int64_t>{0, 1, 0, 1});
    CHECK_THROWS_AS(recorder.onRouting({1, StepKind::Prefill, 2, 1}, 0, 2, low, {}), Error);
    recorder.finish();
    writer.finish(RunStatus::Done);
}

TEST_CASE("a recorded run holds its facts and its ending") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunRecorder recorder(path, facts());
    recorder.record([&] { step(*recorder.trace(), {0, StepKind::Prefill, 0, 3}); });
    const RunReader run(path);
    CHECK(run.status() == RunStatus::Done);
    CHECK(run.meta("degradation") == "cpu spans");
    CHECK(run.metaJson("command") == nlohmann::json{"moescope", "profile"});
    CHECK(run.metaJson("routing")["experts"] == 8);
    CHECK(run.metaJson("machine")["logical_cpus"].get<int>() >= 1);
    CHECK(run.metaJson("machine")["last_level_cache_bytes"] == lastLevelCacheBytes());
    CHECK(run.metaJson("build").contains("git_revision"));
    CHECK(run.meta("started_utc").size() == 20);
    REQUIRE(run.memory().size() == 1);
    CHECK(run.memory()[0].bytes > 1 << 20);
}

TEST_CASE("failures and interruptions end the run under their name and pass on") {
    const TempDir dir;
    const auto endedBy = [&](auto exception, bool overwrite) {
        RunRecorder recorder(dir / "r.moescope", facts(), RunWriter::Mode::Create, overwrite);
        using Exception = decltype(exception);
        CHECK_THROWS_AS(recorder.record([&] { throw exception; }), Exception);
        return RunReader(dir / "r.moescope").status();
    };
    CHECK(endedBy(Error("x.gguf: truncated"), false) == RunStatus::Failed);
    CHECK(RunReader(dir / "r.moescope").meta("error") == "x.gguf: truncated");
    CHECK(endedBy(Interrupted("interrupted"), true) == RunStatus::Interrupted);
    { const RunRecorder abandoned(dir / "a.moescope", facts()); }
    CHECK(RunReader(dir / "a.moescope").status() == RunStatus::Failed);
}

TEST_CASE("a resumed run continues steps and time") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    {
        RunRecorder first(path, facts());
        first.record([&] { step(*first.trace(), {0, StepKind::Prefill, 0, 3}); });
    }
    RunRecorder second(path, facts(), RunWriter::Mode::Resume);
    second.record([&] { step(*second.trace(), {1, StepKind::Prefill, 0, 3}); });
    const RunReader run(path);
    REQUIRE(run.steps().size() == 2);
    CHECK(run.steps()[1].startNs >= run.steps()[0].endNs);
    CHECK(run.operationCount() == 12);
    RunFacts other = facts();
    other.kind = "eval";
    const std::string what =
        thrownBy<Error>([&] { RunRecorder(path, other, RunWriter::Mode::Resume); });
    CHECK(what.find("cannot be resumed") != std::string::npos);
}

TEST_CASE("read bandwidth is measured and plausible") {
    const double rate = streamBandwidth(1, std::size_t{32} << 20U);
    CHECK(rate > 1e8);
    CHECK(rate < 1e13);
}

TEST_CASE("a Chrome trace nests every operation inside its step") {
    const TempDir dir;
    RunRecorder recorder(dir / "r.moescope", facts());
    recorder.record([&] {
        step(*recorder.trace(), {0, StepKind::Prefill, 0, 3});
        step(*recorder.trace(), {0, StepKind::Decode, 3, 1});
    });
    const auto path = dir / "trace.json";
    writeChromeTrace(RunReader(dir / "r.moescope"), path);
    const nlohmann::json trace = parseJson(readFile(path), path.string());
    std::map<std::int64_t, std::pair<double, double>> steps;
    int operations = 0;
    for (const auto& event : trace.at("traceEvents")) {
        if (event.at("ph") == "M") {
            CHECK(event.at("args").contains("name"));
            continue;
        }
        REQUIRE(event.at("ph") == "X");
        const double start = event.at("ts"), end = start + event.at("dur").get<double>();
        if (event.at("cat") == "step") {
            steps[event.at("args").at("step")] = {start, end};
            continue;
        }
        ++operations;
        const auto& owner = steps.at(event.at("args").at("step"));
        CHECK(start >= owner.first - 1e-3);
        CHECK(end <= owner.second + 1e-3);
        CHECK(event.at("dur").get<double>() >= 200);  // microseconds, as the fake kernels spin
        // 1000 bytes in 200 us or more are at most 0.005 GB/s.
        CHECK(event.at("args").at("GB/s").get<double>() <= 0.005);
        CHECK(event.at("args").at("flops") == 2000);
    }
    CHECK(steps.size() == 2);
    CHECK(operations == 12);
    CHECK_FALSE(std::filesystem::exists(path.string() + ".part"));
    // A folder that is not there is made; one that is a file cannot be.
    writeChromeTrace(RunReader(dir / "r.moescope"), dir / "new/a/trace.json");
    CHECK(std::filesystem::exists(dir / "new/a/trace.json"));
    CHECK_THROWS_AS(writeChromeTrace(RunReader(dir / "r.moescope"), path / "trace.json"), Error);
}

TEST_CASE("a run without a traced step claims no quality of timing") {
    const TempDir dir;
    RunRecorder recorder(dir / "r.moescope", facts());
    recorder.record([] {});
    const RunReader run(dir / "r.moescope");
    CHECK(run.meta("degradation") == "not traced");
    CHECK(qualityOf(run).count("op_time_share") == 0);
    CHECK(qualityOf(run).count("timer_overhead") == 0);
}

TEST_CASE("routing that misses a step of the run is reported") {
    const TempDir dir;
    RunRecorder recorder(dir / "r.moescope", facts());
    const std::vector<std::int32_t> ids{0, 1};
    const std::vector<float> weights{0.5F, 0.5F};
    recorder.record([&] {
        step(*recorder.trace(), {0, StepKind::Prefill, 0, 1});
        recorder.routing()->onRouting({0, StepKind::Prefill, 0, 1}, 0, 2, ids, weights);
        step(*recorder.trace(), {0, StepKind::Decode, 1, 1});  // its routing never comes
    });
    CHECK(qualityOf(RunReader(dir / "r.moescope")).at("routing_sum").value == -2);
}

TEST_CASE("routing that never comes, of all layers or of one, is reported") {
    const std::vector<std::int32_t> ids{0, 1};
    const std::vector<float> weights{0.5F, 0.5F};
    for (const int heard : {0, 1}) {
        const TempDir dir;
        RunFacts twoLayers = facts();
        twoLayers.routing->expertLayers = 2;
        RunRecorder recorder(dir / "r.moescope", twoLayers);
        recorder.record([&] {
            const StepInfo one{0, StepKind::Prefill, 0, 1};
            step(*recorder.trace(), one);
            for (int layer = 0; layer < heard; ++layer)
                recorder.routing()->onRouting(one, layer, 2, ids, weights);
        });
        const QualityRow sum = qualityOf(RunReader(dir / "r.moescope")).at("routing_sum");
        CHECK_FALSE(sum.ok);
        CHECK(sum.note.ends_with("; 0 ids were outside the model's experts."));
        CHECK(sum.value == 2 * heard - 4);
    }
}

TEST_CASE("a run that is resumed after a kill says that something is missing") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    {
        RunWriter killed(path, RunWriter::Mode::Create);
        killed.setMeta("kind", "profile");
    }  // no ending
    RunRecorder again(path, facts(), RunWriter::Mode::Resume);
    again.record([&] { step(*again.trace(), {0, StepKind::Prefill, 0, 1}); });
    const auto quality = qualityOf(RunReader(path));
    REQUIRE(quality.count("killed_processes") == 1);
    CHECK_FALSE(quality.at("killed_processes").ok);
}

TEST_CASE("resuming a run keeps its first facts and its worst quality") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    const std::vector<std::int32_t> ids{0, 1};
    const std::vector<float> weights{0.5F, 0.5F};
    {
        RunRecorder first(path, facts());
        first.record([&] {
            operation(*first.trace(), Op::Embed, -1);  // unattributed
            step(*first.trace(), {0, StepKind::Prefill, 0, 1});
            first.routing()->onRouting({0, StepKind::Prefill, 0, 1}, 0, 2, ids, weights);
        });
    }
    RunFacts later = facts();
    later.command = {"moescope", "profile", "--resume"};
    for (const bool works : {true, false}) {
        RunRecorder again(path, later, RunWriter::Mode::Resume);
        again.record([&] {
            if (works) step(*again.trace(), {1, StepKind::Prefill, 0, 1});
            if (works) again.routing()->onRouting({1, StepKind::Prefill, 0, 1}, 0, 2, ids, weights);
        });
        const RunReader run(path);
        CHECK(qualityOf(run).at("unattributed_operations").value == 1);
        CHECK_FALSE(qualityOf(run).at("unattributed_operations").ok);
        CHECK(qualityOf(run).at("routing_sum").ok);
        CHECK(qualityOf(run).at("routing_sum").note.find("add up to 4;") != std::string::npos);
        CHECK(run.metaJson("command") == nlohmann::json{"moescope", "profile"});
        CHECK(run.metaJson("resumptions").size() == (works ? 1U : 2U));
    }
}
