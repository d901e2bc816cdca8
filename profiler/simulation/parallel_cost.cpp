// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/parallel_cost.h"

#include <algorithm>
#include <array>
#include <string>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr double kStateBytes = 2;  // bf16, both ways
constexpr double kFlopsOfWeight = 2;
constexpr double kMatrices = 3;  // gate, up, down

constexpr std::array<GpuHardware, 3> kHardware{{
    {"h100",
     "H100 SXM: read bandwidth as measured here (reports/gpu), 800 TFLOP/s of bf16, 80 % of "
     "NVLink 4, NDR InfiniBand",
     3.07e12, 800e12, 360e9, 50e9, 8, 80e9},
    {"h200",
     "H200: read bandwidth as measured here (reports/gpu), 800 TFLOP/s of bf16, 80 % of NVLink 4, "
     "NDR InfiniBand",
     4.58e12, 800e12, 360e9, 50e9, 8, 141e9},
    {"b200",
     "B200: 92 % of the nominal read bandwidth and 80 % of bf16 and NVLink 5, as H100s reach of "
     "theirs; NDR InfiniBand",
     7.36e12, 1800e12, 720e9, 50e9, 8, 180e9},
}};

std::int64_t number(const nlohmann::json& object, const char* key) {
    if (!object.is_object() || !object.contains(key) || !object[key].is_number_integer()) return 0;
    return std::max<std::int64_t>(0, object[key].get<std::int64_t>());
}

}  // namespace

std::span<const GpuHardware> gpuHardware() noexcept {
    return kHardware;
}

const GpuHardware& findGpuHardware(std::string_view name) {
    std::string known;
    for (const GpuHardware& hardware : kHardware) {
        if (hardware.name == name) return hardware;
        known += (known.empty() ? "" : ", ") + std::string(hardware.name);
    }
    throw UsageError("no GPU '" + std::string(name) + "' is known: " + known);
}

double exchangeNs(const GpuHardware& hardware, int gpus, double bytes, double latencyNs) noexcept {
    if (gpus < 2) return 0;
    const double others = gpus - 1;
    const double away = std::max(0, gpus - hardware.gpusPerNode);
    const double offNode = bytes * away / others;
    const double seconds = std::max(offNode / hardware.network, (bytes - offNode) / hardware.link);
    return latencyNs + seconds * 1e9;
}

ExpertShape expertShapeOf(const RunReader& run, int layers) {
    const nlohmann::json model = run.metaJson("model");
    return {double(number(model, "expert_bytes")), number(model, "d_model"), number(model, "ffn"),
            layers};
}

ParallelCost parallelCost(const PlacementFigures& figures, int topK, int tokens,
                          const ExpertShape& shape, const GpuHardware& hardware) noexcept {
    const auto secondsOf = [&](double assignments, double experts) {
        const double flops =
            assignments * kMatrices * kFlopsOfWeight * double(shape.width) * double(shape.ffn);
        return std::pair{experts * shape.bytes / hardware.memory, flops / hardware.compute};
    };
    const auto [reading, computing] = secondsOf(figures.busiestTokens, figures.busiestExperts);
    const auto [evenReading, evenComputing] =
        secondsOf(double(tokens) * topK / figures.gpus, figures.activeExperts / figures.gpus);
    ParallelCost cost;
    cost.readingBound = reading >= computing;
    cost.expertNs = shape.layers * 1e9 * std::max(reading, computing);
    cost.evenNs = shape.layers * 1e9 * std::max(evenReading, evenComputing);
    const double bytes = figures.arrivals * double(shape.width) * kStateBytes;
    cost.exchangeNs =
        shape.layers * (exchangeNs(hardware, figures.gpus, bytes, kDispatchLatencyNs) +
                        exchangeNs(hardware, figures.gpus, bytes, kCombineLatencyNs));
    cost.slotBytes = double(figures.expertsPerGpu) * shape.layers * shape.bytes;
    return cost;
}

}  // namespace moescope
