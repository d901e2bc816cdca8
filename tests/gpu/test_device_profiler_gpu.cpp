// SPDX-License-Identifier: Apache-2.0
// The profiler on a real GPU, with a program whose every launch is known. The numbers are those of
// the checks listed in docs/gpu-profiling.md. Without a GPU each is skipped, and says so.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <map>

#include "engine/core/error.h"
#include "profiler/cupti/device_profiler.h"
#include "profiler/record/run_recorder.h"
#include "profiler/runfile/run_reader.h"
#include "tests/gpu/cuda_program.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using namespace moescope::cupti;
using test::CudaProgram;
using test::GpuReport;
using test::TempDir;

namespace {

void check(const std::function<void(GpuReport&)>& body) {
    const GpuReport report = test::inGpuProcess(body);
    for (const std::string& line : report.remarks) WARN(line);
    if (!report.skipped.empty()) {
        WARN("skipped: " << report.skipped);
        return;
    }
    for (const std::string& failure : report.failures) FAIL_CHECK(failure);
    SUCCEED();
}

/// A recorded run: profiler first, then CUDA, then the steps.
struct Recorded {
    TempDir dir;
    std::filesystem::path path = dir / "r.moescope";
    std::vector<DeviceEventRow> events;
    std::map<std::string, QualityRow> quality;

    using Start = std::function<std::unique_ptr<DeviceProfiler>(const DeviceProfilerOptions&)>;

    template <typename Body>
    Recorded(GpuReport& report, DeviceProfilerOptions options, Body body,
             const Start& start = DeviceProfiler::start) {
        // MOESCOPE_CAPTURES=DIR keeps raw captures, to become test data.
        if (const char* folder = std::getenv("MOESCOPE_CAPTURES");
            folder != nullptr && options.capture.empty())
            options.capture =
                std::filesystem::path(folder) / ("gpu-" + std::to_string(::getpid()) + ".cupticap");
        const auto profiler = start(options);
        report.expect(profiler->recording(), "not recording: " + profiler->reason());
        CudaProgram cuda;
        cuda.tiny();  // loading, before the run
        cuda.synchronize();
        RunFacts facts;
        facts.kind = "profile";
        RunRecorder recorder(path, facts);
        recorder.setDevice(*profiler);
        recorder.record([&] { body(*profiler, cuda); });
        const RunReader run(path);
        run.deviceEvents([&](const DeviceEventRow& row) {
            events.push_back(row);
            return true;
        });
        for (const QualityRow& row : run.quality()) quality[row.name] = row;
        report.say(run.meta("device"));
    }

    void expectGood(GpuReport& report) {
        for (const auto& [name, row] : quality) {
            // The host's operations are too short here for these two to mean anything.
            if (name == "op_time_share" || name == "timer_overhead" || name == "cupti_overhead") {
                report.say(name + " = " + std::to_string(row.value));
                continue;
            }
            report.expect(row.ok, name + " = " + std::to_string(row.value) + ": " + row.note);
        }
    }
    std::map<std::string, std::int64_t> countByName() const {
        std::map<std::string, std::int64_t> counts;
        for (const DeviceEventRow& event : events) ++counts[event.kind + " " + event.name];
        return counts;
    }
};

/// CUPTI asks the program for buffers, and drops records when it gets none: so that can be had at
/// will.
class Starvation {
public:
    static std::atomic<bool> on;

    /// `api`, which asks here first.
    static CuptiApi between(CuptiApi api) {
        real_ = api.registerCallbacks;
        api.registerCallbacks = [](BufferRequested requested, BufferCompleted completed) {
            requested_ = requested;
            return real_(&Starvation::request, completed);
        };
        return api;
    }

private:
    static void request(std::uint8_t** buffer, std::size_t* size, std::size_t* maxRecords) {
        *buffer = nullptr;
        *size = *maxRecords = 0;
        if (on) return;
        requested_(buffer, size, maxRecords);
        *size = std::min(*size, kBufferBytes);  // so that it asks often
    }
    static constexpr std::size_t kBufferBytes = 64 << 10;
    static inline decltype(CuptiApi::registerCallbacks) real_ = nullptr;
    static inline BufferRequested requested_ = nullptr;
};
std::atomic<bool> Starvation::on{false};

void operation(DeviceProfiler& profiler, Op op, int layer, const LaunchCounts& counts,
               const std::function<void()>& work) {
    profiler.opBegin(op, layer);
    work();
    profiler.launched(counts);
    profiler.opEnd({});
}

}  // namespace

TEST_CASE("gpu checks 1 3 4 5 7: eager launches are recorded exactly, attributed, in time",
          "[gpu]") {
    check([](GpuReport& report) {
        constexpr int kSteps = 50, kLayers = 8;
        Recorded run(report, {}, [&](DeviceProfiler& profiler, CudaProgram& cuda) {
            for (int step = 0; step < kSteps; ++step) {
                profiler.stepBegin({0, StepKind::Decode, step, 1});
                for (int layer = 0; layer < kLayers; ++layer) {
                    operation(profiler, Op::Attention, layer, {2, 0, 0}, [&] {
                        cuda.tiny();
                        cuda.spin(2000);
                    });
                    operation(profiler, Op::Experts, layer, {1, 0, 1}, [&] {
                        cuda.set(4096);
                        cuda.tiny();
                    });
                }
                operation(profiler, Op::Head, -1, {1, 1, 0}, [&] {
                    cuda.tiny();
                    cuda.copyToHost(65536);
                    cuda.synchronize();
                });
                profiler.stepEnd();
            }
        });
        run.expectGood(report);
        auto counts = run.countByName();
        report.expectEqual(counts["kernel tiny"], kSteps * (kLayers * 2 + 1), "records of tiny");
        report.expectEqual(counts["kernel spin"], kSteps * kLayers, "records of spin");
        report.expectEqual(counts["set "], kSteps * kLayers, "records of sets");
        report.expectEqual(counts["copy device to host"], kSteps, "records of copies");
        std::map<int, std::int64_t> byLayer;
        std::map<std::string, std::int64_t> byOp;
        std::int64_t total = 0, early = 0;
        const auto steps = RunReader(run.path).steps();
        for (const DeviceEventRow& event : run.events) {
            const std::int64_t ns = event.endNs - event.startNs;
            byLayer[event.layer] += ns;
            byOp[event.op] += ns;
            total += ns;
            const StepRow& step = steps.at(std::size_t(event.step));
            early += event.startNs + 5000 < *event.launchStartNs ||
                     event.startNs + 5000 < step.startNs || event.endNs > step.endNs + 5000;
        }
        report.expectEqual(early, 0, "events outside the host's bracket (5 us)");
        std::int64_t layers = 0, ops = 0;
        for (const auto& [layer, ns] : byLayer) layers += ns;
        for (const auto& [op, ns] : byOp) ops += ns;
        report.expect(layers == total && ops == total, "sums over layers, operations, kernels");
        report.expectEqual(byLayer.size(), std::size_t(kLayers + 1), "layers");
    });
}

TEST_CASE("gpu check 2: replayed graphs are recorded node by node, each for its operation",
          "[gpu]") {
    check([](GpuReport& report) {
        constexpr int kReplays = 100, kLayers = 6;
        Recorded run(report, {}, [&](DeviceProfiler& profiler, CudaProgram& cuda) {
            profiler.stepBegin({0, StepKind::Decode, 0, 1});
            profiler.captureBegin(1);
            cuda.beginCapture();
            for (int layer = 0; layer < kLayers; ++layer) {
                profiler.captureOp(Op::Attention, layer);
                cuda.tiny();
                cuda.spin(3000);
                profiler.launched({2, 0, 0});
                profiler.captureOp(Op::Experts, layer);
                cuda.tiny();
                cuda.set(1024);
                profiler.launched({1, 0, 1});
            }
            void* graph = cuda.endCapture();
            profiler.captureEnd();
            profiler.stepEnd();
            // Two instances; the graph and then the first instance end while the rest goes on.
            void* first = cuda.instantiate(graph);
            void* second = cuda.instantiate(graph);
            cuda.destroyGraph(graph);
            for (int i = 1; i <= kReplays; ++i) {
                profiler.stepBegin({0, StepKind::Decode, i, 1});
                profiler.opBegin(Op::Head, -1);
                profiler.replay(1);
                cuda.launch(i <= kReplays / 2 ? first : second);
                cuda.synchronize();
                profiler.opEnd({});
                profiler.stepEnd();
                if (i == kReplays / 2) cuda.destroyInstance(first);
            }
        });
        run.expectGood(report);
        std::map<std::int64_t, int> perNode;
        std::map<std::string, int> perOp;
        for (const DeviceEventRow& event : run.events) {
            report.expect(event.node != 0, "an event outside the graph: " + event.name);
            ++perNode[event.node];
            ++perOp[event.op + " " + std::to_string(event.layer) + " " + event.kind + " " +
                    event.name];
        }
        report.expectEqual(run.events.size(), std::size_t(kReplays * kLayers * 4), "records");
        report.expectEqual(perOp.size(), std::size_t(kLayers * 4), "kinds of nodes");
        for (const auto& [op, count] : perOp) report.expectEqual(count, kReplays, op);
        // With ids of each instance's own there are twice as many nodes, seen half as often.
        report.say("nodes with ids of their own: " + std::to_string(perNode.size()));
        for (const auto& [node, count] : perNode)
            report.expect(count == kReplays || count == kReplays / 2,
                          "node " + std::to_string(node) + " seen " + std::to_string(count));
    });
}

TEST_CASE("gpu: graphs recorded as a whole bring one record a launch", "[gpu]") {
    check([](GpuReport& report) {
        DeviceProfilerOptions options;
        options.collector.level = TraceLevel::Graph;
        Recorded run(report, options, [&](DeviceProfiler& profiler, CudaProgram& cuda) {
            profiler.stepBegin({0, StepKind::Decode, 0, 1});
            profiler.captureBegin(1);
            cuda.beginCapture();
            profiler.captureOp(Op::Mlp, 0);
            cuda.tiny();
            cuda.spin(2000);
            profiler.launched({2, 0, 0});
            void* graph = cuda.endCapture();
            profiler.captureEnd();
            void* instance = cuda.instantiate(graph);
            for (int i = 0; i < 20; ++i) {
                profiler.replay(1);
                cuda.launch(instance);
            }
            cuda.synchronize();
            profiler.stepEnd();
        });
        run.expectGood(report);
        report.expectEqual(run.events.size(), std::size_t(20), "graph launches");
    });
}

TEST_CASE("gpu: records that CUPTI had no room for are counted, and the run says so", "[gpu]") {
    check([](GpuReport& report) {
        constexpr int kSteps = 30, kStarved = 10, kLaunches = 400;
        std::string reason;
        const auto library = loadCupti(reason);
        report.expect(library != nullptr, reason);
        if (!library) return;
        const CuptiApi api = Starvation::between(library->api);
        CudaProgram* program = nullptr;
        Recorded run(
            report, {},
            [&](DeviceProfiler& profiler, CudaProgram& cuda) {
                program = &cuda;
                for (int step = 0; step < kSteps; ++step) {
                    Starvation::on = step >= kStarved && step < 2 * kStarved;
                    profiler.stepBegin({0, StepKind::Decode, step, 1});
                    operation(profiler, Op::Mlp, 0, {kLaunches, 0, 0}, [&] {
                        for (int i = 0; i < kLaunches; ++i) cuda.tiny();
                        cuda.synchronize();
                    });
                    profiler.stepEnd();
                }
                Starvation::on = false;
            },
            [&](const DeviceProfilerOptions& options) {
                const auto wait = [&] {
                    if (program != nullptr) program->synchronize();
                };
                return std::make_unique<DeviceProfiler>(api, wait, options);
            });
        const double dropped = run.quality.at("dropped_device_records").value;
        const double missing = run.quality.at("missing_device_records").value;
        report.say("dropped " + std::to_string(dropped) + ", missing " + std::to_string(missing));
        report.expect(missing > 0, "no record is missing");
        report.expect(!run.quality.at("missing_device_records").ok, "missing records are fine");
        report.expect(dropped > 0, "CUPTI counts no dropped record");
        report.expect(!run.quality.at("dropped_device_records").ok, "dropped records are fine");
        report.expectEqual(std::int64_t(run.events.size()) + std::int64_t(missing),
                           std::int64_t(kSteps) * kLaunches, "recorded and missing");
    });
}

TEST_CASE("gpu checks 6 18: durations are those of the clock and of CUDA events", "[gpu]") {
    check([](GpuReport& report) {
        constexpr std::uint64_t kSpin = 200'000;
        constexpr int kKernels = 100;
        double events = 0;
        Recorded run(report, {}, [&](DeviceProfiler& profiler, CudaProgram& cuda) {
            profiler.stepBegin({0, StepKind::Decode, 0, 1});
            void *from = nullptr, *to = nullptr;
            operation(profiler, Op::Experts, 0, {kKernels, 0, 0}, [&] {
                from = cuda.recordEvent();
                for (int i = 0; i < kKernels; ++i) cuda.spin(kSpin);
                to = cuda.recordEvent();
                cuda.synchronize();
            });
            events = cuda.milliseconds(from, to) * 1e6;
            profiler.stepEnd();
        });
        run.expectGood(report);
        double sum = 0, worst = 0;
        for (const DeviceEventRow& event : run.events) {
            const double ns = double(event.endNs - event.startNs);
            sum += ns;
            worst = std::max(worst, std::abs(ns - double(kSpin)));
        }
        report.say("kernels of 200 us: farthest from it by " + std::to_string(worst) + " ns; sum " +
                   std::to_string(sum * 1e-6) + " ms, by CUDA events " +
                   std::to_string(events * 1e-6) + " ms");
        report.expect(worst <= 0.02 * double(kSpin) + 2000, "a kernel's duration is off");
        report.expect(std::abs(sum - events) <= 0.05 * events, "the sum is not CUDA's");
    });
}

TEST_CASE("gpu check 15: a process that never finishes its run still ends well", "[gpu]") {
    check([](GpuReport& report) {
        // Deliberately never destroyed: what a program does that calls exit in the middle.
        auto* profiler = DeviceProfiler::start({}).release();
        report.expect(profiler->recording(), profiler->reason());
        auto* cuda = new CudaProgram;
        for (int i = 0; i < 1000; ++i) cuda->tiny();
    });
}

TEST_CASE("gpu check 16: CUPTI held by another is a reason, and the run goes on", "[gpu]") {
    check([](GpuReport& report) {
        std::string reason;
        const auto library = loadCupti(reason);
        report.expect(library != nullptr, reason);
        if (!library) return;
        void* subscriber = nullptr;
        SubscriberParams params{sizeof(SubscriberParams), "Another tool", nullptr, 0};
        report.expectEqual(library->api.subscribe(
                               &subscriber, [](void*, std::uint32_t, std::uint32_t, const void*) {},
                               nullptr, &params),
                           0u, "subscribing first");
        const auto profiler = DeviceProfiler::start({});
        report.expect(!profiler->recording(), "it records although another holds CUPTI");
        report.say(profiler->reason());
        CudaProgram cuda;
        cuda.tiny();
        cuda.synchronize();
    });
}

TEST_CASE("gpu check 17: counters that may not be used are a sentence; activity works", "[gpu]") {
    check([](GpuReport& report) {
        const Availability found = probeAvailability();
        report.say(found.toJson().dump());
        report.expect(found.activity.empty(), found.activity);
    });
}
