// SPDX-License-Identifier: Apache-2.0
// From the engine's calls to the run file, with a scripted CUPTI in place of a GPU.
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "tests/profiler/device_run.h"

using namespace moescope;
using namespace moescope::cupti;
using namespace moescope::test;

TEST_CASE("eager steps: every kernel with its step, layer and operation, and the proof") {
    const TempDir dir;
    FakeCupti fake;
    fake.bufferRecords = 64;
    constexpr int kSteps = 100;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        for (int i = 0; i < kSteps; ++i) eagerStep(profiler, fake, i);
    });
    const RunReader run(path);
    CHECK(run.meta("degradation") == "activity (graph nodes)");
    CHECK(run.metaJson("device").at("device") == "fake");
    const auto quality = qualityOf(path);
    for (const char* name :
         {"missing_device_records", "dropped_device_records", "bad_device_stamps",
          "unattributed_kernels", "early_device_starts", "undecoded_device_bytes", "cupti_errors",
          "clock_step", "device_trace", "cupti_overhead"}) {
        INFO(name);
        REQUIRE(quality.count(name) == 1);
        CHECK(quality.at(name).ok);
    }
    CHECK(quality.at("missing_device_records").value == 0);
    CHECK(quality.at("unattributed_kernels").note.find("1 before the run") != std::string::npos);

    const auto events = deviceEvents(path);
    REQUIRE(events.size() == std::size_t(kSteps) * (kLayers * 4 + 2));
    CHECK(run.deviceEventCount() == std::int64_t(events.size()));
    std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> spans;
    std::int64_t durations = 0;
    for (const DeviceEventRow& event : events) {
        CHECK(event.valid);
        CHECK(event.operation / 4096 == event.step);
        REQUIRE(event.launchStartNs);
        CHECK(*event.launchStartNs <= event.startNs);
        durations += event.endNs - event.startNs;
        auto& span = spans.try_emplace(event.operation, event.startNs, event.endNs).first->second;
        span.first = std::min(span.first, event.startNs);
        span.second = std::max(span.second, event.endNs);
    }
    CHECK(durations == kSteps * (kLayers * 4 * 2000 + 2000 + 1000));
    CHECK(events.front().name == "attention(float*)");
    CHECK(events.front().shape.grid[0] == 7);
    CHECK(events.back().kind == "copy");
    CHECK(events.back().bytes == 4096);

    // Operations carry the device's times, and the work that the host announced.
    std::size_t operations = 0;
    run.operations([&](const OperationRow& row) {
        ++operations;
        REQUIRE(spans.count(row.id) == 1);
        CHECK(row.startNs == spans[row.id].first);
        CHECK(row.endNs == spans[row.id].second);
        CHECK(row.bytes == (row.op == "head" ? 500 : 1000));
        return true;
    });
    CHECK(operations == std::size_t(kSteps) * (kLayers * 2 + 1));
}

TEST_CASE("graph replays inside one operation: nodes go to the operations they were captured for") {
    const TempDir dir;
    FakeCupti fake;
    constexpr int kSteps = 80;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        eagerStep(profiler, fake, 0);
        const auto nodes = captureGraph(profiler, fake);
        const auto first = fake.instantiate(nodes), second = fake.instantiate(nodes);
        fake.destroy(nodes);
        for (int i = 1; i <= kSteps; ++i) {
            profiler.stepBegin({0, StepKind::Decode, i, 1});
            // The session announces the operations; all of them run in the replay under `head`.
            // In odd steps it announces none but that.
            for (int layer = 0; layer < kLayers && i % 2 == 0; ++layer) {
                for (const Op op : {Op::Attention, Op::Experts}) {
                    profiler.opBegin(op, layer);
                    profiler.opEnd({1000, 2000, 1, "moe"});
                }
            }
            profiler.opBegin(Op::Head, -1);
            profiler.replay(1);
            fake.replay(i < 40 ? first : second);
            if (i == 40) fake.destroy(first);
            profiler.opEnd({});
            profiler.stepEnd();
        }
    });
    const auto quality = qualityOf(path);
    for (const char* name : {"missing_device_records", "unattributed_kernels",
                             "captured_graph_nodes", "dropped_device_records"}) {
        INFO(name << ": " << quality.at(name).note);
        CHECK(quality.at(name).ok);
    }
    std::map<std::string, int> perOp;
    std::map<std::int64_t, int> perNode;
    for (const DeviceEventRow& event : deviceEvents(path)) {
        if (event.node == 0) continue;
        ++perOp[event.op + std::to_string(event.layer)];
        ++perNode[event.node];
        CHECK(event.operation / 4096 == event.step);
        CHECK((event.operation % 4096 >= kFirstGraphOperation) == (event.step % 2 == 1));
    }
    CHECK(perOp.size() == kLayers * 2);
    for (const auto& [op, count] : perOp) CHECK(count == kSteps * 2);
    CHECK(perNode.size() == kLayers * 4 * 2);  // each node of both instances
    const RunReader run(path);
    std::int64_t announced = 0, found = 0;
    run.operations([&](const OperationRow& row) {
        if (row.step > 0 && row.op != "head") {
            ++found;
            announced += row.bytes == 1000;
            CHECK(row.endNs > row.startNs);
        }
        return true;
    });
    CHECK(found == kSteps * kLayers * 2);
    CHECK(announced == kSteps / 2 * kLayers * 2);
}

TEST_CASE("operations of a whole step by a graph have the device's times and the work they did") {
    const TempDir dir;
    FakeCupti fake;
    fake.bufferRecords = 16;
    DeviceProfilerOptions options;
    options.wholeSteps = true;
    constexpr int kSteps = 200;  // more than are kept back for late kernels
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            CHECK(profiler.takesWholeSteps());
            std::vector<std::uint64_t> nodes;
            for (int i = 0; i < kSteps; ++i) {
                profiler.stepBegin({0, StepKind::Decode, i, 1});
                profiler.opBegin(Op::Embed, -1);
                fake.copy(8);
                profiler.launched({0, 1, 0});
                profiler.replayed(Op::Embed, -1, {10, 0, 1, "embed"});
                profiler.opEnd({10, 0, 1, "embed"});
                if (i == 0) nodes = fake.instantiate(captureGraph(profiler, fake));
                profiler.replay(1);
                fake.replay(nodes);
                profiler.opBegin(Op::Head, -1);
                fake.copy(4096);
                profiler.launched({0, 1, 0});
                for (int layer = 0; layer < kLayers; ++layer) {
                    profiler.replayed(Op::Attention, layer, {100, 200, 1, "attend"});
                    profiler.replayed(Op::Experts, layer,
                                      {1000 + std::uint64_t(i), 2000, 1, "moe"});
                }
                profiler.replayed(Op::Head, -1, {500, 0, 1, "head"});
                profiler.opEnd({500, 0, 1, "head"});
                profiler.stepEnd();
            }
        },
        options);
    const auto quality = qualityOf(path);
    for (const char* name :
         {"missing_device_records", "unattributed_kernels", "captured_graph_nodes"}) {
        INFO(name << ": " << quality.at(name).note);
        CHECK(quality.at(name).ok);
    }
    std::map<std::string, int> perKernel;
    RunReader(path).operations([&](const OperationRow& row) {
        ++perKernel[row.kernel];
        CHECK(row.endNs > row.startNs);
        if (row.op == "experts") CHECK(row.bytes == 1000 + row.step);
        if (row.op == "embed") CHECK(row.bytes == 10);
        if (row.op == "head") CHECK(row.bytes == 500);
        return true;
    });
    CHECK(perKernel == std::map<std::string, int>{{"embed", kSteps},
                                                  {"head", kSteps},
                                                  {"attend", kSteps * kLayers},
                                                  {"moe", kSteps * kLayers}});
}

TEST_CASE("a graph recorded as a whole is one operation with the work of all that it ran") {
    const TempDir dir;
    FakeCupti fake;
    DeviceProfilerOptions options;
    options.collector.level = TraceLevel::Graph;
    options.wholeSteps = true;
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            const auto nodes = fake.instantiate(captureGraph(profiler, fake));
            for (int i = 0; i < 10; ++i) {
                profiler.stepBegin({0, StepKind::Decode, i, 1});
                profiler.opBegin(Op::Embed, -1);
                fake.copy(8);
                profiler.launched({0, 1, 0});
                profiler.replayed(Op::Embed, -1, {10, 0, 1, "embed"});
                profiler.opEnd({10, 0, 1, "embed"});
                profiler.replay(1);
                fake.replay(nodes);
                profiler.opBegin(Op::Head, -1);
                fake.copy(4096);
                profiler.launched({0, 1, 0});
                profiler.replayed(Op::Attention, 0, {100, 200, 1, "attend"});
                profiler.replayed(Op::Experts, 1, {1000, 2000, 1, "moe"});
                profiler.replayed(Op::Head, -1, {500, 50, 1, "head"});
                profiler.opEnd({500, 50, 1, "head"});
                profiler.opBegin(Op::Sample, -1);
                profiler.opEnd({7, 70, 1, "sample"});
                profiler.stepEnd();
            }
        },
        options);
    int graphs = 0;
    RunReader(path).operations([&](const OperationRow& row) {
        if (row.op == "sample") CHECK(row.bytes == 7);  // nothing of it was in the graph
        // Of these only the copies beside the graph were timed: their work is in the graph's row.
        if (row.op == "embed" || row.op == "head") {
            CHECK(row.bytes == 0);
            CHECK(row.flops == 0);
            CHECK(row.kernel.empty());
        }
        if (row.op != "graph") return true;
        ++graphs;
        CHECK(row.bytes == 1610);
        CHECK(row.flops == 2250);
        CHECK(row.layer == -1);
        CHECK(row.endNs > row.startNs);
        return true;
    });
    CHECK(graphs == 10);
}

TEST_CASE("whole graphs: replays are counted and the ladder says so") {
    const TempDir dir;
    FakeCupti fake;
    DeviceProfilerOptions options;
    options.collector.level = TraceLevel::Graph;
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            const auto nodes = fake.instantiate(captureGraph(profiler, fake));
            for (int i = 0; i < 10; ++i) {
                profiler.stepBegin({0, StepKind::Decode, i, 1});
                profiler.replay(1);
                fake.replay(nodes);
                profiler.stepEnd();
            }
        },
        options);
    CHECK(RunReader(path).meta("degradation") == "activity (graphs)");
    CHECK(qualityOf(path).at("missing_device_records").ok);
    CHECK(qualityOf(path).at("device_trace").value == 1);
    const auto events = deviceEvents(path);
    REQUIRE(events.size() == 10);
    CHECK(events[3].kind == "graph");
    CHECK(events[3].step == 3);
}

TEST_CASE("sampled clocks, temperature and power are kept with the device") {
    const TempDir dir;
    FakeCupti fake;
    DeviceProfilerOptions options;
    options.collector.sampleEnvironment = true;
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            for (const std::uint32_t step : {0U, 1U, 2U}) {
                fake.sample(1, 1980 - 300 * step);
                fake.sample(2, 41 + step);
                fake.sample(3, 120'000 + 1000 * step, 700'000);
                eagerStep(profiler, fake, int(step));
            }
        },
        options);
    const auto device = RunReader(path).metaJson("device");
    CHECK(device.at("sm_mhz") == nlohmann::json{{"slowest", 1380}, {"fastest", 1980}});
    CHECK(device.at("celsius") == nlohmann::json{{"least", 41}, {"most", 43}});
    CHECK(device.at("watts") ==
          nlohmann::json{{"least", 120.0}, {"most", 122.0}, {"limit", 700.0}});
}

TEST_CASE("what is wrong is reported and not repaired") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        eagerStep(profiler, fake, 0);
        fake.stampless = true;
        eagerStep(profiler, fake, 1);
        fake.stampless = false;
        fake.loseKernels = true;
        eagerStep(profiler, fake, 2);
        fake.loseKernels = false;
        fake.dropped = 13;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // still in the run, then
        fake.skew = std::uint64_t(0) - 1'000'000;  // the device's clock is a millisecond behind
        eagerStep(profiler, fake, 3);
        fake.skew = 0;
        profiler.stepBegin({0, StepKind::Decode, 4, 1});
        fake.launch("_Z8forgottenPf");  // in no operation
        profiler.launched({1, 0, 0});
        profiler.stepEnd();
        fake.launch("_Z7betweenPf");
        fake.announceError("trouble");
    });
    const auto quality = qualityOf(path);
    const int kernels = kLayers * 4 + 1;
    CHECK(quality.at("missing_device_records").value == kernels);
    CHECK(quality.at("bad_device_stamps").value == kernels);
    CHECK(quality.at("dropped_device_records").value == 13);
    CHECK(quality.at("early_device_starts").value == kernels);
    CHECK(quality.at("unattributed_kernels").value == 1);
    CHECK(quality.at("unattributed_kernels").note.find("Outside the steps: 1") !=
          std::string::npos);
    CHECK(quality.at("cupti_errors").note == "CUPTI: trouble");
    for (const char* name : {"missing_device_records", "bad_device_stamps",
                             "dropped_device_records", "unattributed_kernels", "cupti_errors"})
        CHECK_FALSE(quality.at(name).ok);
    int invalid = 0;
    for (const DeviceEventRow& event : deviceEvents(path)) invalid += event.valid ? 0 : 1;
    CHECK(invalid == kernels);
}

TEST_CASE("a back end that does not count its launches proves nothing") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        profiler.stepBegin({0, StepKind::Decode, 0, 1});
        profiler.opBegin(Op::Mlp, 0);
        fake.launch();
        profiler.opEnd({});
        profiler.stepEnd();
    });
    const QualityRow row = qualityOf(path).at("missing_device_records");
    CHECK_FALSE(row.ok);
    CHECK(row.note.find("does not count") != std::string::npos);
}

TEST_CASE("when CUPTI is held by another tool the run is the host's, and says why") {
    const TempDir dir;
    FakeCupti fake;
    fake.fail["subscribe"] = kMultipleSubscribers;
    fake.holder = "Nsight Compute";
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        CHECK_FALSE(profiler.recording());
        eagerStep(profiler, fake, 0);
    });
    const RunReader run(path);
    CHECK(run.meta("degradation") == "cpu spans");
    CHECK(run.meta("degradation_reason").find("Nsight Compute") != std::string::npos);
    CHECK(run.operationCount() == kLayers * 2 + 1);
    CHECK_FALSE(qualityOf(path).at("device_trace").ok);
}

TEST_CASE("an exception in the middle of an operation leaves the scopes straight") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        profiler.stepBegin({0, StepKind::Decode, 0, 1});
        profiler.opBegin(Op::Attention, 0);
        fake.launch();
        profiler.launched({1, 0, 0});
        // ... and the step is never ended.
        eagerStep(profiler, fake, 1);
    });
    const auto quality = qualityOf(path);
    CHECK(quality.at("unattributed_kernels").ok);
    CHECK(quality.at("missing_device_records").ok);
    CHECK(quality.at("cupti_errors").ok);
}

TEST_CASE("a capture replays to the same events on a machine without CUPTI") {
    const TempDir dir;
    FakeCupti fake;
    fake.bufferRecords = 50;
    DeviceProfilerOptions options;
    options.capture = dir / "synthetic.cupticap";
    options.syntheticCapture = true;
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            for (int i = 0; i < 20; ++i) eagerStep(profiler, fake, i);
            const auto nodes = fake.instantiate(captureGraph(profiler, fake));
            for (int i = 20; i < 40; ++i) {
                profiler.stepBegin({0, StepKind::Decode, i, 1});
                profiler.opBegin(Op::Head, -1);
                profiler.replay(1);
                fake.replay(nodes);
                profiler.opEnd({});
                profiler.stepEnd();
            }
        },
        options);

    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    const CaptureFacts capture = replayCapture(options.capture, pipeline);
    CHECK(capture.complete);
    CHECK(capture.head.at("synthetic") == true);
    CHECK(capture.tail.at("unattributed") == 0);
    const auto live = deviceEvents(path);
    std::erase_if(sink.events, [](const DeviceEvent& e) { return !e.scope.hasStep(); });
    REQUIRE(sink.events.size() == live.size());  // all but the one before the run
    std::size_t same = 0;
    for (std::size_t i = 0; i < sink.events.size(); ++i) {
        const DeviceEvent& event = sink.events[i];
        const DeviceEventRow& row = live[i];
        same += event.scope.operation() == row.operation && event.scope.step == row.step &&
                event.record.endNs - event.record.startNs == row.endNs - row.startNs &&
                (row.kind != "kernel" ||
                 demangled(pipeline.decoder().name(event.record.name)) == row.name);
    }
    CHECK(same == live.size());

    // Cut off anywhere it replays as far as it goes, and damage is an error, not a crash.
    // Plain streams: syncing each of these to the disk takes minutes on a busy machine.
    const std::string whole = readFile(options.capture);
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += bytes < 64 ? 5 : 397) {
        const auto cut = dir / "cut.cupticap";
        std::ofstream(cut, std::ios::binary) << whole.substr(0, bytes);
        CollectedEvents some;
        Pipeline partial(some, nullptr);
        bool complete = false, refused = false;
        try {
            complete = replayCapture(cut, partial).complete;
        } catch (const Error&) {
            refused = true;
        }
        CHECK_FALSE(complete);
        CHECK(refused == (bytes < 16));
        std::string damaged = whole;
        damaged[bytes] = char(damaged[bytes] ^ 0x55);
        std::ofstream(cut, std::ios::binary) << damaged;
        CollectedEvents other;
        Pipeline hurt(other, nullptr);
        try {
            replayCapture(cut, hurt);
        } catch (const Error&) {
        }
    }
}

TEST_CASE("a pipeline goes on without the names of a capture that turned out damaged") {
    const TempDir dir;
    const auto path = dir / "damaged.cupticap";
    test::BufferBuilder buffer;
    buffer.kernel(1, 1, 2);
    CaptureWriter(path, {}).writeBuffer(buffer.bytes(), defaultRecordSizes());
    std::ofstream(path, std::ios::binary | std::ios::app) << std::string(16, '\xFF');
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    CHECK_THROWS_AS(replayCapture(path, pipeline), Error);
    pipeline.onBuffer(buffer.bytes());
    pipeline.finish();
    REQUIRE(sink.events.size() == 2);
    CHECK(pipeline.decoder().name(sink.events[1].record.name) == "_Z3moePf");
}

TEST_CASE("a capture whose records are shorter than CUPTI's is refused") {
    const TempDir dir;
    RecordSizes sizes = defaultRecordSizes();
    sizes[kMemcpy] = 8;
    test::BufferBuilder buffer;
    buffer.api(1);
    CaptureWriter(dir / "short.cupticap", {}).writeBuffer(buffer.bytes(), sizes);
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    CHECK(thrownBy<Error>([&] {
              replayCapture(dir / "short.cupticap", pipeline);
          }).find("record sizes") != std::string::npos);
}

TEST_CASE("a capture names the operations of the step in which its buffer came") {
    const TempDir dir;
    CollectedEvents none;
    {
        Pipeline pipeline(none, nullptr);
        pipeline.setCapture(std::make_unique<CaptureWriter>(dir / "open.cupticap", nullptr));
        pipeline.nodes().beginCapture(1);
        pipeline.nodes().setOperation(2, Op::Experts);
        pipeline.nodes().nodeCreated(70, kNodeKernel);
        pipeline.nodes().endCapture();
        pipeline.stepBegan(9);
        pipeline.scopes().add({9, 5, 2, Op::Experts});
        test::BufferBuilder buffer;
        buffer.external(4, packScope({9, -1, -1, Op::Embed})).api(4).kernel(4, 10, 20, "a", 70, 1);
        pipeline.onBuffer(buffer.bytes());
        pipeline.capture()->finish(nullptr);
    }
    CollectedEvents replayed;
    Pipeline pipeline(replayed, nullptr);
    CHECK(replayCapture(dir / "open.cupticap", pipeline).complete);
    REQUIRE(none.events.size() == 1);
    CHECK(none.events[0].scope == Scope{9, 5, 2, Op::Experts});
    REQUIRE(replayed.events.size() == 1);
    CHECK(replayed.events[0].scope == none.events[0].scope);
}

TEST_CASE("a profiler that outlives a failed run does not touch its file") {
    const TempDir dir;
    FakeCupti fake;
    const CuptiApi api = fake.api();
    DeviceProfiler profiler(api, [] {}, {});
    {
        RunWriter writer(dir / "w.moescope", RunWriter::Mode::Create);
        const RunClock clock;
        SpanTracer tracer(writer, clock);
        profiler.attach(writer, tracer, clock);
        eagerStep(profiler, fake, 0);
        profiler.abandon();
    }
    fake.launch();
    CHECK(fake.finalized);
}
