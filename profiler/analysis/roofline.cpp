// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/roofline.h"

#include <algorithm>
#include <cmath>

namespace moescope {
namespace {

nlohmann::json jsonOf(const std::map<std::string, std::string>& meta, const char* key) {
    const auto found = meta.find(key);
    if (found == meta.end()) return nullptr;
    nlohmann::json value = nlohmann::json::parse(found->second, nullptr, false);
    return value.is_object() ? value : nlohmann::json();
}

double positive(const nlohmann::json& value) {
    const double number = value.is_number() ? value.get<double>() : 0;
    return number > 0 ? number : PhaseSummary::kUnknown;
}

/// Ceilings of the device instead of those of the host, as far as the counters tell.
void useCounted(Ceilings& ceilings, const CountedRun& counted) {
    ceilings = {};
    ceilings.counted = true;
    ceilings.bytesPerSecond = counted.bytesPerSecond;
    ceilings.operationsPerSecond = counted.operationsPerSecond;
    if (std::isnan(counted.operationsPerSecond)) return;
    ceilings.operationKind = "bf16 tensor";
    ceilings.peaks.emplace_back(ceilings.operationKind, counted.operationsPerSecond);
}

struct Work {
    double bytes = 0, operations = 0, ns = 0;
};

/// What counters saw of the group, and what the engine says of the same calls where they saw
/// nothing; marks in `point` which is which.
Work workOf(const OperationGroup& group, const CountedRun& counted, RooflinePoint& point) {
    const auto found =
        std::find_if(counted.groups.begin(), counted.groups.end(), [&](const CountedWork& work) {
            return work.op == group.op && work.kernel == group.kernel && work.phase == group.phase;
        });
    if (found == counted.groups.end())
        return {double(group.bytes), double(group.flops), double(group.totalNs)};
    point.bytesMeasured = found->bytes > 0;
    point.operationsMeasured = found->operations > 0;
    Work work;
    work.bytes = point.bytesMeasured ? found->bytes : double(found->modelledBytes);
    work.operations = point.operationsMeasured ? found->operations : double(found->modelledFlops);
    // Counting slows the host's clock of an operation down, not the device's of its kernels.
    work.ns = found->ns > 0 ? found->ns
                            : double(group.totalNs) * double(found->calls) / double(group.calls);
    return work;
}

}  // namespace

double Ceilings::roof(double operationsPerByte) const noexcept {
    return std::fmin(operationsPerSecond, bytesPerSecond * operationsPerByte);
}

double Ceilings::ridge() const noexcept {
    return operationsPerSecond / bytesPerSecond;
}

Ceilings ceilingsOf(const std::map<std::string, std::string>& meta) {
    Ceilings out;
    const nlohmann::json machine = jsonOf(meta, "machine");
    const nlohmann::json settings = jsonOf(meta, "settings");
    if (!machine.is_object()) return out;
    if (settings.is_object() && settings.contains("backend") && settings["backend"] == "cuda")
        return out;
    if (machine.contains("read_bandwidth_bytes_per_second"))
        out.bytesPerSecond = positive(machine["read_bandwidth_bytes_per_second"]);
    const auto peaks = machine.find("peak_operations_per_second");
    if (peaks == machine.end() || !peaks->is_object()) return out;
    const bool fast =
        settings.is_object() && settings.contains("numerics") && settings["numerics"] == "fast";
    for (const auto& [name, value] : peaks->items()) {
        const double peak = positive(value);
        if (std::isnan(peak)) continue;
        out.peaks.emplace_back(name, peak);
        if (name == "int8" && !fast) continue;
        if (std::isnan(out.operationsPerSecond) || peak > out.operationsPerSecond) {
            out.operationsPerSecond = peak;
            out.operationKind = name;
        }
    }
    return out;
}

double shareOfPeak(const OperationGroup& group, const Ceilings& ceilings) noexcept {
    if (group.totalNs <= 0) return PhaseSummary::kUnknown;
    if (group.flops <= 0)
        return group.bytes > 0 ? group.bytesPerSecond() / ceilings.bytesPerSecond
                               : PhaseSummary::kUnknown;
    if (group.bytes <= 0) return group.flopsPerSecond() / ceilings.operationsPerSecond;
    return group.flopsPerSecond() / ceilings.roof(double(group.flops) / double(group.bytes));
}

const char* RooflinePoint::origin() const noexcept {
    if (bytesMeasured) return operationsMeasured ? "measured" : "bytes measured";
    return operationsMeasured ? "operations measured" : "modelled";
}

const char* RooflinePoint::bound() const noexcept {
    if (std::isnan(roof)) return nullptr;
    return memoryBound ? "memory" : "compute";
}

bool Roofline::anyModelled() const noexcept {
    return std::any_of(points.begin(), points.end(),
                       [](const RooflinePoint& point) { return point.modelled(); });
}

Roofline rooflineOf(const RunSummary& summary, const CountedRun& counted) {
    Roofline out;
    out.ceilings = ceilingsOf(summary.meta);
    if (!counted.groups.empty()) useCounted(out.ceilings, counted);
    for (const OperationGroup& group : summary.operations) {
        RooflinePoint point{group.op, group.kernel, group.phase};
        const Work work = workOf(group, counted, point);
        if (!(work.operations > 0) || !(work.bytes > 0) || !(work.ns > 0)) continue;
        point.intensity = work.operations / work.bytes;
        point.operationsPerSecond = work.operations * 1e9 / work.ns;
        point.roof = out.ceilings.roof(point.intensity);
        point.share = point.operationsPerSecond / point.roof;
        // Without a compute peak what is left is the bandwidth, and the other way round.
        const double ridge = out.ceilings.ridge();
        point.memoryBound =
            std::isnan(ridge) ? !std::isnan(out.ceilings.bytesPerSecond) : point.intensity < ridge;
        point.timeShare = group.share;
        out.points.push_back(std::move(point));
    }
    return out;
}

}  // namespace moescope
