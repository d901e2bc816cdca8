// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/core/file.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/export/device_work.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"

namespace moescope {
namespace {

/// Quoted where RFC 4180 asks for it. Names come from the run, which may come from anywhere: what a
/// spreadsheet would take for a formula gets an apostrophe.
std::string cell(std::string_view bytes) {
    std::string text = toValidUtf8(bytes);
    if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos)
        text.insert(0, 1, '\'');
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

std::string oneLine(std::string_view bytes) {
    std::string text = toValidUtf8(bytes);
    for (char& c : text) c = c == '\n' || c == '\r' ? ' ' : c;
    return text;
}

std::string perSecond(std::int64_t amount, std::int64_t ns) {
    if (ns <= 0) return {};
    char text[64];
    const auto end = std::to_chars(text, text + sizeof text, double(amount) / double(ns),
                                   std::chars_format::fixed, 3);
    return {text, end.ptr};
}

void putOperations(ExportFile& out, const RunReader& run) {
    out.put(
        "start_ns,end_ns,duration_ns,step,sequence,phase,first_position,tokens,layer,op,kernel,"
        "bytes,flops,threads,gb_per_second,gflop_per_second\r\n");
    std::unordered_map<std::int64_t, std::string> steps;
    for (const StepRow& step : run.steps())
        steps[step.id] = std::to_string(step.sequence) + "," + cell(step.kind) + "," +
                         std::to_string(step.firstPosition) + "," + std::to_string(step.tokens);
    run.operations([&](const OperationRow& row) {
        const std::int64_t ns = row.endNs - row.startNs;
        const auto step = steps.find(row.step);
        out.put(std::to_string(row.startNs) + "," + std::to_string(row.endNs) + "," +
                std::to_string(ns) + "," + std::to_string(row.step) + "," +
                (step == steps.end() ? ",,," : step->second) + "," + std::to_string(row.layer) +
                "," + cell(row.op) + "," + cell(row.kernel) + "," + std::to_string(row.bytes) +
                "," + std::to_string(row.flops) + "," + std::to_string(row.threads) + "," +
                perSecond(row.bytes, ns) + "," + perSecond(row.flops, ns) + "\r\n");
        return true;
    });
}

/// Empty where the host's launch was not seen.
std::string optional(const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : std::string();
}

void putDeviceWork(ExportFile& out, const RunReader& run) {
    out.put(
        "start_ns,end_ns,duration_ns,launch_start_ns,launch_end_ns,step,layer,op,kind,name,device,"
        "stream,correlation,graph,node,grid,block,registers,shared_bytes,bytes\r\n");
    for (const DeviceEventRow& event : deviceWork(run))
        out.put(std::to_string(event.startNs) + "," + std::to_string(event.endNs) + "," +
                std::to_string(event.endNs - event.startNs) + "," + optional(event.launchStartNs) +
                "," + optional(event.launchEndNs) + "," + std::to_string(event.step) + "," +
                std::to_string(event.layer) + "," + cell(event.op) + "," + cell(event.kind) + "," +
                cell(event.name) + "," + std::to_string(event.device) + "," +
                std::to_string(event.stream) + "," + std::to_string(event.correlation) + "," +
                std::to_string(event.graph) + "," + std::to_string(event.node) + "," +
                dimensions(event.shape.grid) + "," + dimensions(event.shape.block) + "," +
                std::to_string(event.shape.registers) + "," +
                std::to_string(event.shape.staticShared + event.shape.dynamicShared) + "," +
                std::to_string(event.bytes) + "\r\n");
}

}  // namespace

void writeOperationsCsv(const RunReader& run, const std::filesystem::path& path) {
    ExportFile out(path);
    for (const QualityLine& line : qualityBlock(run.meta(), run.status(), run.quality()))
        out.put("# " + oneLine(line.label) + ": " + (line.ok ? "" : "! ") + oneLine(line.value) +
                (line.note.empty() ? "" : " (" + oneLine(line.note) + ")") + "\r\n");
    if (run.deviceEventCount() > 0)
        putDeviceWork(out, run);
    else
        putOperations(out, run);
    out.close();
}

}  // namespace moescope
