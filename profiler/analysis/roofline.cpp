// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/roofline.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/file.h"

namespace moescope {
namespace {

nlohmann::json jsonOf(const std::map<std::string, std::string>& meta, const char* key) {
    const auto found = meta.find(key);
    if (found == meta.end()) return nullptr;
    nlohmann::json value = looseJson(found->second);
    return value.is_object() ? value : nlohmann::json();
}

/// Then neither ceilings nor caches of the host bound it.
bool ranOnDevice(const std::map<std::string, std::string>& meta) {
    const nlohmann::json settings = jsonOf(meta, "settings");
    return settings.is_object() && settings.contains("backend") && settings["backend"] == "cuda";
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

const char* boundName(bool memory) noexcept {
    return memory ? "memory" : "compute";
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

std::string_view arithmeticOf(std::string_view kernel) noexcept {
    if (kernel == "attention_f32") return "fp32";
    std::size_t at = kernel.find("_gemm_");
    if (at == std::string_view::npos) at = kernel.find("_gemv_");
    if (at == std::string_view::npos) return {};
    const std::string_view format = kernel.substr(0, at), target = kernel.substr(at + 6);
    if (format == "f32" || format == "f16") return "fp32";
    if (format == "bf16") return target == "avx512_bf16" ? "bf16" : "fp32";
    if (target.ends_with("_int8")) return "int8";
    return target == "avx512_vnni" || target == "avx512_bf16" ? "int16" : "fp32";
}

const std::pair<std::string, double>* Ceilings::peakOf(std::string_view kernel) const noexcept {
    const std::string_view kind = arithmeticOf(kernel);
    for (const auto& peak : peaks)
        if (peak.first == kind) return &peak;
    return nullptr;
}

double Ceilings::roof(double operationsPerByte, std::string_view kernel) const noexcept {
    const auto* peak = peakOf(kernel);
    return std::fmin(peak != nullptr ? peak->second : operationsPerSecond,
                     bytesPerSecond * operationsPerByte);
}

double Ceilings::ridge(std::string_view kernel) const noexcept {
    const auto* peak = peakOf(kernel);
    return (peak != nullptr ? peak->second : operationsPerSecond) / bytesPerSecond;
}

bool Ceilings::memoryBound(double operationsPerByte, std::string_view kernel) const noexcept {
    const double at = ridge(kernel);
    return std::isnan(at) ? !std::isnan(bytesPerSecond) : operationsPerByte < at;
}

Ceilings ceilingsOf(const std::map<std::string, std::string>& meta) {
    Ceilings out;
    const nlohmann::json machine = jsonOf(meta, "machine");
    const nlohmann::json settings = jsonOf(meta, "settings");
    if (!machine.is_object()) return out;
    if (ranOnDevice(meta)) return out;
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

bool cacheResident(std::uint64_t modelBytes, std::uint64_t cacheBytes) noexcept {
    return modelBytes > 0 && modelBytes < cacheBytes;
}

bool cacheResident(const std::map<std::string, std::string>& meta) {
    if (ranOnDevice(meta)) return false;
    const auto bytes = [&](const char* key, const char* member) -> std::uint64_t {
        const nlohmann::json object = jsonOf(meta, key);
        const auto found = object.find(member);
        return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>()
                                                                    : 0;
    };
    return cacheResident(bytes("model", "file_bytes"), bytes("machine", "last_level_cache_bytes"));
}

RoofShare shareOfRoof(const OperationGroup& group, const Ceilings& ceilings) noexcept {
    RoofShare out;
    if (group.totalNs <= 0 || (group.flops <= 0 && group.bytes <= 0)) return out;
    bool memory = true;
    if (group.flops <= 0) {
        out.share = group.bytesPerSecond() / ceilings.bytesPerSecond;
    } else {
        // Without bytes memory is no bound.
        const double intensity = group.bytes > 0 ? double(group.flops) / double(group.bytes)
                                                 : std::numeric_limits<double>::infinity();
        out.share = group.flopsPerSecond() / ceilings.roof(intensity, group.kernel);
        memory = ceilings.memoryBound(intensity, group.kernel);
    }
    if (!std::isnan(out.share)) out.bound = boundName(memory);
    return out;
}

const char* RooflinePoint::origin() const noexcept {
    if (bytesMeasured) return operationsMeasured ? "measured" : "bytes measured";
    return operationsMeasured ? "operations measured" : "modelled";
}

const char* RooflinePoint::bound() const noexcept {
    if (std::isnan(roof)) return nullptr;
    return boundName(memoryBound);
}

bool Roofline::anyModelled() const noexcept {
    return std::any_of(points.begin(), points.end(),
                       [](const RooflinePoint& point) { return point.modelled(); });
}

bool Roofline::bounds(std::string_view operationKind) const noexcept {
    return std::any_of(points.begin(), points.end(), [&](const RooflinePoint& point) {
        return point.operationKind == operationKind;
    });
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
        point.roof = out.ceilings.roof(point.intensity, group.kernel);
        const auto* peak = out.ceilings.peakOf(group.kernel);
        point.operationKind = peak != nullptr ? peak->first : out.ceilings.operationKind;
        point.share = point.operationsPerSecond / point.roof;
        point.memoryBound = out.ceilings.memoryBound(point.intensity, group.kernel);
        point.timeShare = group.share;
        out.points.push_back(std::move(point));
    }
    return out;
}

}  // namespace moescope
