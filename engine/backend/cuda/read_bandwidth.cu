// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/read_bandwidth.h"

#include <algorithm>

#include "engine/backend/cuda/cuda_backend.h"

namespace moescope::cuda {
namespace {

constexpr int kRepeats = 5;
constexpr std::uint64_t kBytes = std::uint64_t{2} << 30;

/// units: whole passes of all threads.
__global__ void __launch_bounds__(kReadThreads)
    readKernel(const uint4* from, std::uint64_t units, std::uint32_t* sink) {
    std::uint32_t seen = 0;
    const std::uint64_t step = std::uint64_t{gridDim.x} * kReadThreads;
    std::uint64_t at = std::uint64_t{blockIdx.x} * kReadThreads + threadIdx.x;
    for (; at < units; at += kReadLoads * step) {
        uint4 v[kReadLoads];
        MOESCOPE_UNROLL
        for (int i = 0; i < kReadLoads; ++i) v[i] = loadStreaming(from + at + i * step);
        MOESCOPE_UNROLL
        for (int i = 0; i < kReadLoads; ++i) seen ^= v[i].x ^ v[i].y ^ v[i].z ^ v[i].w;
    }
    // Never true of what was set, but the compiler cannot know: the loads have to be made.
    if (seen == 0x12345678U) *sink = seen;
}

}  // namespace

double readBandwidthOf(const uint4* from, std::uint64_t bytes, int multiprocessors) {
    const ReadShape shape = readShape(bytes, multiprocessors);
    DeviceArena sinkArena(DeviceArena::spaceOf(sizeof(std::uint32_t)), "a bandwidth measurement");
    auto* sink = sinkArena.take<std::uint32_t>(1);
    Stream stream;
    Event begin;
    Event end;
    float best = 0;
    for (int i = 0; i < kRepeats; ++i) {
        begin.record(stream);
        launch({dim3(shape.blocks), dim3(kReadThreads), 0, stream}, readKernel, from, shape.units,
               sink);
        end.record(stream);
        stream.wait();
        const float milliseconds = end.since(begin);
        if (i == 1 || (i > 1 && milliseconds < best)) best = milliseconds;  // 0 warms up
    }
    return best > 0 ? static_cast<double>(shape.units * sizeof(uint4)) / best * 1e3 : 0;
}

/// The model's own weights where they are large enough, so that nothing more is allocated.
double CudaBackend::readBandwidth() const {
    return readBandwidthOf(model_->base(), std::min(model_->bytes(), kBytes), multiprocessors_);
}

}  // namespace moescope::cuda
