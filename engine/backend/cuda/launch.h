// SPDX-License-Identifier: Apache-2.0
// Kernel launches and the check of every call of the CUDA runtime.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "engine/backend/cuda/simt.h"
#include "engine/core/error.h"

namespace moescope::cuda {

/// Throws Error "<what>: <the runtime's words>".
inline void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw Error(std::string(what) + ": " + cudaGetErrorString(status));
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
