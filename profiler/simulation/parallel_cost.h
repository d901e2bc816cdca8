// SPDX-License-Identifier: Apache-2.0
// What the experts of a step take on one GPU or several: a model, not a measurement.
// Definitions, sources and the error against published figures: docs/metrics.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "profiler/simulation/expert_parallel.h"

namespace moescope {

/// Rates that are reached, not those of data sheets. Bytes and operations a second of one GPU.
struct GpuHardware {
    std::string_view name;         ///< "h100"
    std::string_view description;  ///< where the rates come from
    double memory = 0;             ///< read bandwidth
    double compute = 0;            ///< bf16 multiply-adds, each two operations
    double link = 0;               ///< to GPUs of the same node, each way
    double network = 0;            ///< to other nodes, each way
    int gpusPerNode = 8;
    double capacity = 0;  ///< bytes of memory, by the data sheet
};
std::span<const GpuHardware> gpuHardware() noexcept;
/// Throws UsageError naming those that are known.
const GpuHardware& findGpuHardware(std::string_view name);

/// Latency of one exchange beside the time of its bytes: fitted to the low-latency kernels of
/// DeepEP (github.com/deepseek-ai/DeepEP, commit dd758caf: 128 tokens a GPU, H800, 8 to 256 GPUs),
/// whose dispatch and combine the model then gives within -13 and +6 %.
inline constexpr double kDispatchLatencyNs = 40e3;
inline constexpr double kCombineLatencyNs = 45e3;

/// Of `bytes` that the busiest GPU of `gpus` exchanges with all others alike.
double exchangeNs(const GpuHardware& hardware, int gpus, double bytes, double latencyNs) noexcept;

/// One expert of the model.
struct ExpertShape {
    double bytes = 0;        ///< as read from memory
    std::int64_t width = 0;  ///< d_model: a token's state is that many bf16 when it travels
    std::int64_t ffn = 0;    ///< intermediate width
    int layers = 0;          ///< layers with experts
    bool known() const noexcept { return bytes > 0 && width > 0 && ffn > 0; }
};
/// From the run's "model"; what it does not say is 0.
ExpertShape expertShapeOf(const RunReader& run, int layers);

/// Of all layers of a step. Computing and exchanging do not overlap; attention and all else that is
/// not experts is not in it.
struct ParallelCost {
    double expertNs = 0;    ///< the busiest GPU's, the larger of reading and computing
    double exchangeNs = 0;  ///< dispatch and combine; 0 on one GPU
    double evenNs = 0;      ///< expertNs if every GPU had the mean of all
    bool readingBound = true;
    double slotBytes = 0;  ///< memory of the experts on each GPU

    double stepNs() const noexcept { return expertNs + exchangeNs; }
    double tokensPerSecond(int tokens) const noexcept { return tokens * 1e9 / stepNs(); }
    /// Share of the step that is waiting for the busiest GPU.
    double lostShare() const noexcept { return (expertNs - evenNs) / stepNs(); }
};
/// `tokens` of a step, over all GPUs. shape.known() must hold.
ParallelCost parallelCost(const PlacementFigures& figures, int topK, int tokens,
                          const ExpertShape& shape, const GpuHardware& hardware) noexcept;

}  // namespace moescope
