// SPDX-License-Identifier: Apache-2.0
// Kernel launches and the check of every call of the CUDA runtime.
#pragma once

#include <cstddef>
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

/// Converts the arguments to the kernel's parameter types. Throws Error when the launch is refused.
template <typename... Parameters, typename... Arguments>
void launch(const Launch& l, void (*kernel)(Parameters...), Arguments&&... arguments) {
    ++tally().kernels;
#ifdef MOESCOPE_SIMT_EMULATED
    simt::launch(l.grid, l.block, l.sharedBytes, l.stream, kernel,
                 Parameters(std::forward<Arguments>(arguments))...);
#else
    // A kernel may have 48 KiB without asking, its static shared memory counted in.
    constexpr std::size_t kWithoutAsking = 32 << 10;
    if (l.sharedBytes > kWithoutAsking) {
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(l.sharedBytes)),
              "asking for shared memory");
    }
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = l.grid;
    config.blockDim = l.block;
    config.dynamicSmemBytes = l.sharedBytes;
    config.stream = l.stream;
    config.attrs = &attribute;
    config.numAttrs = l.overlap ? 1 : 0;
    check(cudaLaunchKernelEx(&config, kernel, Parameters(std::forward<Arguments>(arguments))...),
          "launching a kernel");
#endif
}

}  // namespace moescope::cuda
