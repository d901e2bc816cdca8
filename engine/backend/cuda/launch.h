// SPDX-License-Identifier: Apache-2.0
// Kernel launches and the check of every call of the CUDA runtime.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/backend/cuda/simt.h"
#include "engine/core/error.h"
#include "engine/launch_sink.h"

namespace moescope::cuda {

/// Throws Error "<what>: <the runtime's words>".
inline void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw Error(std::string(what) + ": " + cudaGetErrorString(status));
}

/// Work that this thread has handed to devices, as a LaunchSink wants to know.
inline LaunchCounts& tally() noexcept {
    thread_local LaunchCounts counts;
    return counts;
}

/// An asynchronous copy, counted. Throws Error "<what>: ...".
inline void copyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                      cudaStream_t stream, const char* what) {
    ++tally().copies;
    check(cudaMemcpyAsync(to, from, bytes, kind, stream), what);
}

struct Launch {
    dim3 grid;
    dim3 block;
    std::size_t sharedBytes = 0;
    cudaStream_t stream = nullptr;
    /// The kernel waits by itself (waitForPreviousKernel) and may be started before the one in
    /// front of it has ended.
    bool overlap = false;
};

#ifndef MOESCOPE_SIMT_EMULATED
/// Lets the kernel have all shared memory of the current device, once. Returns whether it was
/// compiled for sm_90 or newer, and so waits for the kernel in front of it by itself. Throws Error
/// when `sharedBytes` are more than a block of this device may have.
inline bool prepareKernel(const void* kernel, std::size_t sharedBytes) {
    struct Facts {
        std::size_t most;
        bool waits;
    };
    static std::mutex mutex;
    static std::map<std::pair<const void*, int>, Facts> known;
    int device = 0;
    check(cudaGetDevice(&device), "asking for the device");
    const std::lock_guard lock(mutex);
    const auto [entry, isNew] = known.try_emplace({kernel, device});
    if (isNew) {
        cudaFuncAttributes attributes{};
        int most = 0;
        check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel's attributes");
        check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
              "asking for the device's shared memory");
        entry->second = {static_cast<std::size_t>(most) - attributes.sharedSizeBytes,
                         attributes.ptxVersion >= 90};
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(entry->second.most)),
              "asking for shared memory");
    }
    if (sharedBytes > entry->second.most) {
        throw Error("this GPU's blocks may have " + std::to_string(entry->second.most >> 10U) +
                        " KiB of shared memory, a kernel needs " +
                        std::to_string((sharedBytes + 1023) >> 10U) + " for this model",
                    "use --backend cpu, or a GPU of compute capability 9.0");
    }
    return entry->second.waits;
}
#endif

/// Converts the arguments to the kernel's parameter types. Throws Error when the launch is refused.
template <typename... Parameters, typename... Arguments>
void launch(const Launch& l, void (*kernel)(Parameters...), Arguments&&... arguments) {
    ++tally().kernels;
#ifdef MOESCOPE_SIMT_EMULATED
    check(simt::launch(l.grid, l.block, l.sharedBytes, l.stream, l.overlap, kernel,
                       Parameters(std::forward<Arguments>(arguments))...),
          "launching a kernel");
#else
    const bool mayOverlap = prepareKernel(reinterpret_cast<const void*>(kernel), l.sharedBytes);
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = l.grid;
    config.blockDim = l.block;
    config.dynamicSmemBytes = l.sharedBytes;
    config.stream = l.stream;
    config.attrs = &attribute;
    config.numAttrs = l.overlap && mayOverlap ? 1 : 0;
    check(cudaLaunchKernelEx(&config, kernel, Parameters(std::forward<Arguments>(arguments))...),
          "launching a kernel");
#endif
}

}  // namespace moescope::cuda
