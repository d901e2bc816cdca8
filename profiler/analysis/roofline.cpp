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
    if (!machine.is_object()) return out;
    if (machine.contains("read_bandwidth_bytes_per_second"))
        out.bytesPerSecond = positive(machine["read_bandwidth_bytes_per_second"]);
    const auto peaks = machine.find("peak_operations_per_second");
    if (peaks == machine.end() || !peaks->is_object()) return out;
    const nlohmann::json settings = jsonOf(meta, "settings");
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

Roofline rooflineOf(const RunSummary& summary) {
    Roofline out;
    out.ceilings = ceilingsOf(summary.meta);
    for (const OperationGroup& group : summary.operations) {
        if (group.flops <= 0 || group.bytes <= 0 || group.totalNs <= 0) continue;
        RooflinePoint point{group.op, group.kernel, group.phase};
        point.intensity = double(group.flops) / double(group.bytes);
        point.operationsPerSecond = group.flopsPerSecond();
        point.roof = out.ceilings.roof(point.intensity);
        point.share = shareOfPeak(group, out.ceilings);
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
