// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/export/lanes.h"
#include "profiler/export/utc_time.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxBytes = 1'000'000'000;
constexpr std::int64_t kBytesPerOperation = 260;  ///< measured: 200 to 260 by name lengths
constexpr int kStepThread = 1, kFirstOperationThread = 2;

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
    void name(const char* what, int thread, const std::string& name) {
        const std::string tid = thread > 0 ? ",\"tid\":" + std::to_string(thread) : "";
        add("\"name\":\"" + std::string(what) + "\",\"ph\":\"M\",\"pid\":1" + tid +
            ",\"args\":{\"name\":" + quoted(name) + "}");
    }

private:
    ExportFile& out_;
    bool first_ = true;
};

std::string spanFields(const std::string& name, const char* category, int thread,
                       std::int64_t startNs, std::int64_t endNs, const std::string& args) {
    return "\"name\":" + quoted(name) + ",\"cat\":\"" + category +
           "\",\"ph\":\"X\",\"pid\":1,\"tid\":" + std::to_string(thread) +
           ",\"ts\":" + microseconds(startNs) + ",\"dur\":" + microseconds(endNs - startNs) +
           ",\"args\":{" + args + "}";
}

std::string stepFields(const StepRow& step, int thread) {
    const std::string args = "\"step\":" + std::to_string(step.id) +
                             ",\"sequence\":" + std::to_string(step.sequence) +
                             ",\"first_position\":" + std::to_string(step.firstPosition) +
                             ",\"tokens\":" + std::to_string(step.tokens);
    return spanFields(step.kind, "step", thread, step.startNs, step.endNs, args);
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
    return spanFields(row.op, "operation", thread, row.startNs, row.endNs, args);
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
    Lanes lanes;
    run.operations([&](const OperationRow& row) {
        placed.lanes.push_back(std::uint16_t(lanes.place(row.startNs, row.endNs)));
        return true;
    });
    placed.count = lanes.size();
    return placed;
}

}  // namespace

void writeChromeTrace(const RunReader& run, const std::filesystem::path& path) {
    if (run.operationCount() > kMaxBytes / kBytesPerOperation)
        throw Error(run.path().string() + ": its " + std::to_string(run.operationCount()) +
                        " operations make more than 1 GB of JSON, which no viewer opens",
                    "--format perfetto is a fraction of it");
    ExportFile out(path);
    out.put(header(run));
    Events events(out);
    events.name("process_name", 0, "moescope " + run.path().filename().string());
    events.name("thread_name", kStepThread, "steps");
    const Placed placed = placeOperations(run);
    for (std::size_t lane = 0; lane < placed.count; ++lane)
        events.name("thread_name", kFirstOperationThread + int(lane),
                    lane == 0 ? "operations" : "operations (" + std::to_string(lane + 1) + ")");
    for (const StepRow& step : run.steps()) events.add(stepFields(step, kStepThread));
    std::size_t i = 0;
    run.operations([&](const OperationRow& row) {
        // A run that is still being written may have grown since the first pass.
        if (i >= placed.lanes.size()) return false;
        events.add(operationFields(row, kFirstOperationThread + placed.lanes[i++]));
        return true;
    });
    out.put("\n]}\n");
    out.close();
}

}  // namespace moescope
