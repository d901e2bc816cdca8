// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/export/device_work.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/export/lanes.h"
#include "profiler/export/samples.h"
#include "profiler/export/utc_time.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxBytes = 1'000'000'000;
constexpr std::int64_t kBytesPerOperation = 260;  ///< measured: 200 to 260 by name lengths
/// The host's process; the processes of devices have the devices' numbers, as Kineto has them.
constexpr int kHost = 1000;
constexpr int kStepThread = 1, kLaunchThread = 2, kFirstOperationThread = 3;
/// Work of one stream that overlaps goes to further threads: nodes of a graph may.
constexpr int kLaneStride = 1000;

/// Nanoseconds as microseconds with three decimals: exact, and no locale can touch it.
std::string microseconds(std::int64_t ns) {
    char text[32];
    const auto n = std::snprintf(text, sizeof text, "%s%" PRIu64 ".%03u", ns < 0 ? "-" : "",
                                 std::uint64_t(ns < 0 ? -ns : ns) / 1000,
                                 unsigned(std::uint64_t(ns < 0 ? -ns : ns) % 1000));
    return {text, std::size_t(n)};
}

std::string fixed(double value) {
    char text[64];
    const auto result = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 3);
    return {text, result.ptr};
}

std::string quoted(const std::string& text) {
    return dumpJson(text);
}

class Events {
public:
    explicit Events(ExportFile& out) : out_(out) {}
    void add(const std::string& fields) {
        out_.put(first_ ? "\n{" : ",\n{");
        out_.put(fields);
        out_.put("}");
        first_ = false;
    }
    void processName(int process, const std::string& name) {
        add("\"name\":\"process_name\",\"ph\":\"M\",\"pid\":" + std::to_string(process) +
            ",\"args\":{\"name\":" + quoted(name) + "}");
    }
    void threadName(int process, std::int64_t thread, const std::string& name) {
        add("\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":" + std::to_string(process) +
            ",\"tid\":" + std::to_string(thread) + ",\"args\":{\"name\":" + quoted(name) + "}");
    }

private:
    ExportFile& out_;
    bool first_ = true;
};

std::string spanFields(const std::string& name, const char* category, int process,
                       std::int64_t thread, std::int64_t startNs, std::int64_t endNs,
                       const std::string& args) {
    return "\"name\":" + quoted(name) + ",\"cat\":\"" + category +
           "\",\"ph\":\"X\",\"pid\":" + std::to_string(process) +
           ",\"tid\":" + std::to_string(thread) + ",\"ts\":" + microseconds(startNs) +
           ",\"dur\":" + microseconds(endNs - startNs) + ",\"args\":{" + args + "}";
}

std::string stepFields(const StepRow& step, int thread) {
    const std::string args = "\"step\":" + std::to_string(step.id) +
                             ",\"sequence\":" + std::to_string(step.sequence) +
                             ",\"first_position\":" + std::to_string(step.firstPosition) +
                             ",\"tokens\":" + std::to_string(step.tokens);
    return spanFields(step.kind, "step", kHost, thread, step.startNs, step.endNs, args);
}

std::string operationFields(const OperationRow& row, int thread) {
    std::string args =
        "\"layer\":" + std::to_string(row.layer) + ",\"step\":" + std::to_string(row.step) +
        ",\"kernel\":" + quoted(row.kernel) + ",\"bytes\":" + std::to_string(row.bytes) +
        ",\"flops\":" + std::to_string(row.flops) + ",\"threads\":" + std::to_string(row.threads);
    if (row.endNs > row.startNs) {
        // Bytes per nanosecond are GB/s.
        args += ",\"GB/s\":" + fixed(double(row.bytes) / double(row.endNs - row.startNs));
    }
    return spanFields(row.op, "operation", kHost, thread, row.startNs, row.endNs, args);
}

/// Everything before the events. Times are relative to baseTimeNanoseconds because doubles, which
/// viewers read them into, do not hold a time of day to the nanosecond.
std::string header(const RunReader& run) {
    nlohmann::ordered_json quality = nlohmann::ordered_json::array();
    for (const QualityLine& line : qualityBlock(run.meta(), run.status(), run.quality()))
        quality.push_back({{"label", line.label},
                           {"value", line.value},
                           {"known", line.known},
                           {"ok", line.ok},
                           {"note", line.note}});
    nlohmann::ordered_json head{{"schemaVersion", 1},
                                {"moescope_quality", std::move(quality)},
                                {"deviceProperties", nlohmann::json::array()},
                                {"displayTimeUnit", "ms"},
                                {"baseTimeNanoseconds", utcNanoseconds(run.meta("started_utc"))},
                                {"traceName", run.path().filename().string()}};
    std::string text = head.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    text.pop_back();
    return text + ",\"traceEvents\":[";
}

/// Threads are named before their first event: how many lanes the operations need is told by the
/// first of two passes.
struct Placed {
    std::vector<std::uint16_t> lanes;
    std::size_t count = 0;
};
Placed placeOperations(const RunReader& run) {
    Placed placed;
    Lanes lanes(run.path().string());
    run.operations([&](const OperationRow& row) {
        placed.lanes.push_back(std::uint16_t(lanes.place(row.startNs, row.endNs)));
        return true;
    });
    placed.count = lanes.size();
    return placed;
}

struct PlacedWork {
    std::vector<DeviceEventRow> events;
    std::vector<std::int64_t> threads;                 ///< (n_events)
    std::map<std::pair<int, int>, std::size_t> lanes;  ///< by device, stream
};

std::int64_t threadOf(int stream, std::size_t lane) {
    return stream + kLaneStride * std::int64_t(lane);
}

PlacedWork placeDeviceWork(const RunReader& run) {
    PlacedWork placed;
    placed.events = deviceWork(run);
    std::map<std::pair<int, int>, Lanes> lanes;
    for (const DeviceEventRow& event : placed.events) {
        Lanes& of =
            lanes.try_emplace({event.device, event.stream}, run.path().string()).first->second;
        placed.threads.push_back(threadOf(event.stream, of.place(event.startNs, event.endNs)));
        placed.lanes[{event.device, event.stream}] = of.size();
    }
    return placed;
}

void nameStreams(Events& events, const PlacedWork& placed) {
    if (!placed.events.empty()) events.threadName(kHost, kLaunchThread, "launches");
    int device = -1;
    for (const auto& [key, lanes] : placed.lanes) {
        if (key.first != device) events.processName(key.first, "GPU " + std::to_string(key.first));
        device = key.first;
        for (std::size_t lane = 0; lane < lanes; ++lane)
            events.threadName(key.first, threadOf(key.second, lane),
                              "stream " + std::to_string(key.second) +
                                  (lane == 0 ? "" : " (" + std::to_string(lane + 1) + ")"));
    }
}

std::string array(const std::array<std::int32_t, 3>& d) {
    return "[" + std::to_string(d[0]) + "," + std::to_string(d[1]) + "," + std::to_string(d[2]) +
           "]";
}

std::string deviceFields(const DeviceEventRow& event, std::int64_t thread) {
    const bool copy = event.kind == "copy", set = event.kind == "set";
    const bool graph = event.kind == "graph";
    std::string args = "\"layer\":" + std::to_string(event.layer) +
                       ",\"step\":" + std::to_string(event.step) + ",\"op\":" + quoted(event.op) +
                       ",\"device\":" + std::to_string(event.device) +
                       ",\"stream\":" + std::to_string(event.stream) +
                       ",\"correlation\":" + std::to_string(event.correlation);
    if (copy || set) {
        args += ",\"bytes\":" + std::to_string(event.bytes);
    } else if (!graph) {
        const LaunchShapeRow& shape = event.shape;
        args += ",\"grid\":" + array(shape.grid) + ",\"block\":" + array(shape.block) +
                ",\"registers per thread\":" + std::to_string(shape.registers) +
                ",\"shared memory\":" + std::to_string(shape.staticShared + shape.dynamicShared);
    }
    if (launchedByGraph(event)) args += ",\"graph id\":" + std::to_string(event.graph);
    if (event.node != 0) args += ",\"graph node id\":" + std::to_string(event.node);
    return spanFields(sliceName(event),
                      copy    ? "gpu_memcpy"
                      : set   ? "gpu_memset"
                      : graph ? "gpu_graph"
                              : "kernel",
                      event.device, thread, event.startNs, event.endNs, args);
}

std::string flowFields(const char* phase, std::size_t id, int process, std::int64_t thread,
                       std::int64_t ns) {
    return "\"name\":\"ac2g\",\"cat\":\"ac2g\",\"ph\":\"" + std::string(phase) +
           "\",\"id\":" + std::to_string(id) + ",\"pid\":" + std::to_string(process) +
           ",\"tid\":" + std::to_string(thread) + ",\"ts\":" + microseconds(ns) +
           (*phase == 'f' ? ",\"bp\":\"e\"" : "");
}

/// Device work, the host's launches (one of a graph launches all its nodes) and an arrow from each
/// launch to what it launched.
void addDeviceWork(Events& events, const PlacedWork& placed) {
    std::set<std::int64_t> launches;
    for (std::size_t i = 0; i < placed.events.size(); ++i) {
        const DeviceEventRow& event = placed.events[i];
        events.add(deviceFields(event, placed.threads[i]));
        if (!event.launchStartNs || !event.launchEndNs || *event.launchStartNs < 0 ||
            *event.launchEndNs < *event.launchStartNs)
            continue;
        if (launches.insert(event.correlation).second)
            events.add(spanFields(launchedByGraph(event) ? "cudaGraphLaunch" : "launch",
                                  "cuda_runtime", kHost, kLaunchThread, *event.launchStartNs,
                                  *event.launchEndNs,
                                  "\"correlation\":" + std::to_string(event.correlation)));
        events.add(flowFields("s", i + 1, kHost, kLaunchThread, *event.launchStartNs));
        events.add(flowFields("f", i + 1, event.device, placed.threads[i], event.startNs));
    }
}

std::string sampleFields(const SampleRow& row) {
    return "\"name\":" + quoted(row.metric) +
           ",\"cat\":\"counter\",\"ph\":\"C\",\"pid\":" + std::to_string(kHost) +
           ",\"ts\":" + microseconds(row.startNs) + ",\"args\":{\"value\":" + dumpJson(row.value) +
           "}";
}

}  // namespace

void writeChromeTrace(const RunReader& run, const std::filesystem::path& path) {
    const std::int64_t rows = run.operationCount() + 3 * run.deviceEventCount() + run.sampleCount();
    if (rows > kMaxBytes / kBytesPerOperation)
        throw Error(run.path().string() + ": its " + std::to_string(rows) +
                        " events make more than 1 GB of JSON, which no viewer opens",
                    "--format perfetto is a fraction of it");
    ExportFile out(path);
    out.put(header(run));
    Events events(out);
    events.processName(kHost, "moescope " + run.path().filename().string());
    events.threadName(kHost, kStepThread, "steps");
    const Placed placed = placeOperations(run);
    for (std::size_t lane = 0; lane < placed.count; ++lane)
        events.threadName(
            kHost, kFirstOperationThread + int(lane),
            lane == 0 ? "operations" : "operations (" + std::to_string(lane + 1) + ")");
    const PlacedWork placedWork = placeDeviceWork(run);
    nameStreams(events, placedWork);
    for (const StepRow& step : run.steps()) events.add(stepFields(step, kStepThread));
    std::size_t i = 0;
    run.operations([&](const OperationRow& row) {
        // A run that is still being written may have grown since the first pass.
        if (i >= placed.lanes.size()) return false;
        events.add(operationFields(row, kFirstOperationThread + placed.lanes[i++]));
        return true;
    });
    addDeviceWork(events, placedWork);
    usableSamples(run, [&](const SampleRow& row) { events.add(sampleFields(row)); });
    out.put("\n]}\n");
    out.close();
}

}  // namespace moescope
