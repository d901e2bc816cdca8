// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/read_bandwidth.h"

#include <algorithm>

#include "engine/backend/cuda/cuda_backend.h"

namespace moescope::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLoads = 8;  // of a thread, under way together
constexpr int kRepeats = 5;
constexpr std::uint64_t kBytes = std::uint64_t{2} << 30;

__global__ void __launch_bounds__(kThreads)
    readKernel(const uint4* from, std::uint64_t units, std::uint32_t* sink) {
    std::uint32_t seen = 0;
    const std::uint64_t step = std::uint64_t{gridDim.x} * kThreads;
    std::uint64_t at = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x;
    for (; at + (kLoads - 1) * step < units; at += kLoads * step) {
        uint4 v[kLoads];
        MOESCOPE_UNROLL
        for (int i = 0; i < kLoads; ++i) v[i] = loadStreaming(from + at + i * step);
        MOESCOPE_UNROLL
        for (int i = 0; i < kLoads; ++i) seen ^= v[i].x ^ v[i].y ^ v[i].z ^ v[i].w;
    }
    // Never true of what was set, but the compiler cannot know: the loads have to be made.
    if (seen == 0x12345678U) *sink = seen;
}

}  // namespace

double readBandwidthOf(const uint4* from, std::uint64_t bytes, int multiprocessors) {
    const auto units = bytes / sizeof(uint4);
    DeviceArena sinkArena(DeviceArena::spaceOf(sizeof(std::uint32_t)), "a bandwidth measurement");
    auto* sink = sinkArena.take<std::uint32_t>(1);
    Stream stream;
    Event begin;
    Event end;
    float best = 0;
    for (int i = 0; i < kRepeats; ++i) {
        begin.record(stream);
        launch({dim3(static_cast<unsigned>(16 * multiprocessors)), dim3(kThreads), 0, stream},
               readKernel, from, units, sink);
        end.record(stream);
        stream.wait();
        const float milliseconds = end.since(begin);
        if (i == 1 || (i > 1 && milliseconds < best)) best = milliseconds;  // 0 warms up
    }
    return best > 0 ? static_cast<double>(bytes) / best * 1e3 : 0;
}

/// The model's own weights where they are large enough, so that nothing more is allocated.
double CudaBackend::readBandwidth() const {
    return readBandwidthOf(model_->base(), std::min(model_->bytes(), kBytes), multiprocessors_);
}

}  // namespace moescope::cuda
