// SPDX-License-Identifier: Apache-2.0
// What the run file says of a run on a device whose records are not all of the run, or not all
// there.
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <thread>

#include "tests/profiler/device_run.h"

using namespace moescope;
using namespace moescope::cupti;
using namespace moescope::test;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;  // ns: longer than any of these runs

DeviceProfilerOptions withSamples() {
    DeviceProfilerOptions options;
    options.collector.sampleEnvironment = true;
    return options;
}

}  // namespace

TEST_CASE("clocks and power sampled while the model was loaded are not the run's") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            fake.sample(1, 345, 0, kThrottlePowerCap, kSecond);
            fake.sample(2, 99, 0, 0, kSecond);
            fake.sample(3, 700'000, 700'000, 0, kSecond);
            eagerStep(profiler, fake, 0);
            fake.sample(1, 1980);
            fake.sample(3, 120'000, 700'000);
        },
        withSamples());
    const auto device = RunReader(path).metaJson("device");
    CHECK(device.at("sm_mhz") == nlohmann::json{{"slowest", 1980}, {"fastest", 1980}});
    CHECK(device.at("watts").at("most") == 120.0);
    CHECK(device.count("celsius") == 0);
    CHECK(qualityOf(path).at("throttled_samples").ok);
    CHECK(qualityOf(path).at("throttled_samples").value == 0);
}

TEST_CASE("without a sample in the run it is not known whether the clocks were slowed") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            fake.sample(1, 1980, 0, 0, kSecond);
            eagerStep(profiler, fake, 0);
        },
        withSamples());
    const QualityRow row = qualityOf(path).at("throttled_samples");
    CHECK(std::isnan(row.value));
    CHECK_FALSE(row.ok);
    CHECK(row.note.find("Not known") == 0);
    CHECK(RunReader(path).metaJson("device").count("sm_mhz") == 0);
}

TEST_CASE("clocks are slowed by power and heat, not by idling or by a user's limit") {
    const auto slowed = [](std::initializer_list<std::uint32_t> reasons) {
        const TempDir dir;
        FakeCupti fake;
        const auto path = record(
            dir, fake,
            [&](DeviceProfiler& profiler) {
                eagerStep(profiler, fake, 0);
                for (const std::uint32_t reason : reasons) fake.sample(1, 1980, 0, reason);
            },
            withSamples());
        return qualityOf(path).at("throttled_samples");
    };
    CHECK(slowed({0, kThrottleIdle, kThrottleUserClocks}).ok);
    const QualityRow some =
        slowed({kThrottlePowerCap, kThrottleHardware | kThrottleUnknown, kThrottleIdle});
    CHECK(some.value == 2);
    CHECK_FALSE(some.ok);
    CHECK(std::isnan(slowed({kThrottleUnsupported, kThrottleUnsupported}).value));
    const QualityRow unclear = slowed({0, kThrottleUnknown});
    CHECK(unclear.value == 0);
    CHECK_FALSE(unclear.ok);
}

TEST_CASE("overhead is what tracing took in the run, without loading of kernels") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        fake.overhead(3U << 16, 2 * kSecond, kSecond);  // while the model was loaded
        eagerStep(profiler, fake, 0);
        fake.overhead(kOverheadModuleLoading, 0, 3 * kSecond);
        fake.overhead(kOverheadLazyLoading, 0, 3 * kSecond);
        fake.overhead(1U << 16, 0, 3);
        fake.overhead(1U << 16, 0, ~std::uint64_t{0});                      // ends before it begins
        fake.overhead(2U << 16, std::uint64_t(0) - 10 * kSecond, kSecond);  // after the run
    });
    const QualityRow row = qualityOf(path).at("cupti_overhead");
    CHECK(row.ok);
    CHECK(row.value > 0);
    CHECK(row.note.find("Not in it: 0 ns") == std::string::npos);
}

TEST_CASE("a lost kernel is missing though a foreign one came in another operation") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        eagerStep(profiler, fake, 0);
        profiler.stepBegin({0, StepKind::Decode, 1, 1});
        profiler.opBegin(Op::Attention, 0);
        fake.loseKernels = true;
        fake.launch();
        fake.loseKernels = false;
        profiler.launched({1, 0, 0});
        profiler.opEnd({});
        profiler.opBegin(Op::Experts, 0);
        fake.launch();
        fake.launch("_Z7foreignPf");
        profiler.launched({1, 0, 0});
        profiler.opEnd({});
        profiler.stepEnd();
    });
    const QualityRow row = qualityOf(path).at("missing_device_records");
    CHECK(row.value == 2);
    CHECK_FALSE(row.ok);
    CHECK(row.note.find("1 are missing and 1 are of no counted launch") != std::string::npos);
}

TEST_CASE("a record whose operation is not known proves nothing of one that is missing") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        profiler.stepBegin({0, StepKind::Decode, 0, 1});
        profiler.opBegin(Op::Attention, 0);
        fake.loseKernels = true;
        fake.launch();
        fake.loseKernels = false;
        profiler.launched({1, 0, 0});
        std::thread([&] { fake.launch("_Z7foreignPf"); }).join();  // with no scope
        profiler.opEnd({});
        profiler.stepEnd();
    });
    const QualityRow row = qualityOf(path).at("missing_device_records");
    CHECK(row.value == 0);
    CHECK_FALSE(row.ok);
    CHECK(row.note.find("1 whose operation is not known") != std::string::npos);
}

TEST_CASE("a replay that brought fewer nodes is not made up for by another that brought more") {
    for (const TraceLevel level : {TraceLevel::Node, TraceLevel::Graph}) {
        const TempDir dir;
        FakeCupti fake;
        DeviceProfilerOptions options;
        options.collector.level = level;
        const auto path = record(
            dir, fake,
            [&](DeviceProfiler& profiler) {
                const auto nodes = fake.instantiate(captureGraph(profiler, fake));
                for (int i = 0; i < 4; ++i) {
                    profiler.stepBegin({0, StepKind::Decode, i, 1});
                    profiler.replay(1);
                    if (i != 1) fake.replay(nodes);
                    if (i == 2) fake.replay(nodes);
                    profiler.stepEnd();
                }
            },
            options);
        const QualityRow row = qualityOf(path).at("missing_device_records");
        CHECK(row.value == (level == TraceLevel::Node ? 2 * 4 * kLayers : 2));
        CHECK_FALSE(row.ok);
    }
}

TEST_CASE("steps without any launch, counted or recorded, are not complete") {
    const TempDir dir;
    FakeCupti fake;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        profiler.stepBegin({0, StepKind::Decode, 0, 1});
        profiler.stepEnd();
    });
    CHECK_FALSE(qualityOf(path).at("missing_device_records").ok);
}

TEST_CASE("device work is in the file a second later, and the file says that it has not ended") {
    const TempDir dir;
    FakeCupti fake;
    fake.bufferRecords = 1'000'000;  // never full
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        const auto begun = std::chrono::steady_clock::now();
        const auto seconds = [&] {
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        };
        const auto file = dir / "r.moescope";
        int steps = 0;
        for (; seconds() < 30 && RunReader(file).deviceEventCount() == 0; ++steps) {
            eagerStep(profiler, fake, steps);
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        CHECK(RunReader(file).deviceEventCount() > 0);
        CHECK(fake.flushes >= 1);
        CHECK(fake.flushes <= 1 + int(seconds()));
        const QualityRow row = qualityOf(file).at("device_trace");
        CHECK_FALSE(row.ok);
        CHECK(row.note.find("has not ended") != std::string::npos);
    });
    CHECK(qualityOf(path).at("device_trace").ok);
}

TEST_CASE("the first device time of an operation that comes late is all of its time") {
    const TempDir dir;
    FakeCupti fake;
    fake.bufferRecords = 16;
    const auto path = record(dir, fake, [&](DeviceProfiler& profiler) {
        const auto nodes = fake.instantiate(captureGraph(profiler, fake));
        fake.loseKernels = true;
        profiler.stepBegin({0, StepKind::Prefill, 0, 1});
        profiler.opBegin(Op::Head, -1);
        const std::uint32_t launch = fake.launch();
        profiler.launched({1, 0, 0});
        profiler.opEnd({});
        profiler.replay(1);
        const std::uint32_t replay = fake.replay(nodes);
        profiler.stepEnd();
        fake.loseKernels = false;
        // Until rows of later steps are written, with their times.
        for (int i = 1; i < 1000; ++i) eagerStep(profiler, fake, i);
        fake.lateKernel(launch);
        for (const std::uint64_t node : nodes) fake.lateKernel(replay, node);
        for (int i = 1000; i < 1100; ++i) eagerStep(profiler, fake, i);
    });
    CHECK(qualityOf(path).at("missing_device_records").ok);
    std::int64_t replayed = 0;
    RunReader(path).operations([&](const OperationRow& row) {
        if (row.step != 0) return true;
        if (row.op == "head") CHECK(row.endNs - row.startNs == 2000);
        replayed += row.id >= kFirstGraphOperation;
        CHECK(row.endNs > row.startNs);
        return true;
    });
    CHECK(replayed == 2 * kLayers);
}

TEST_CASE("operations keep the host's times while the system's clock is set elsewhere") {
    const TempDir dir;
    FakeCupti fake;
    fake.bufferRecords = 16;
    DeviceProfilerOptions options;
    options.system = []() noexcept { return std::int64_t(realtime()); };
    constexpr int kSteps = 20;  // of each of three parts
    const auto path = record(
        dir, fake,
        [&](DeviceProfiler& profiler) {
            for (int i = 0; i < 3 * kSteps; ++i) {
                // There, and back: at the end all seems well.
                if (i % kSteps == 0) BufferExchange::instance().waitUntilDrained();
                clockShift = i / kSteps == 1 ? -60 * std::int64_t(kSecond) : 0;
                eagerStep(profiler, fake, i);
            }
        },
        options);
    const auto quality = qualityOf(path);
    CHECK_FALSE(quality.at("clock_step").ok);
    CHECK(quality.at("clock_step").value > 59e9);
    CHECK_FALSE(quality.at("bad_device_stamps").ok);
    CHECK(quality.at("missing_device_records").ok);
    const RunReader run(path);
    std::map<std::int64_t, StepRow> steps;
    for (const StepRow& step : run.steps()) steps[step.id] = step;
    std::int64_t operations = 0;
    run.operations([&](const OperationRow& row) {
        ++operations;
        CHECK(row.startNs >= steps.at(row.step).startNs);
        return true;
    });
    CHECK(operations == 3 * kSteps * (2 * kLayers + 1));
    int good = 0;
    for (const DeviceEventRow& event : deviceEvents(path)) {
        if (event.step / kSteps == 1) CHECK_FALSE(event.valid);
        good += event.valid ? 1 : 0;
    }
    CHECK(good > kSteps);  // of the first part and of the last
}
