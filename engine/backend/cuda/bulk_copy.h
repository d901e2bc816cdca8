// SPDX-License-Identifier: Apache-2.0
// Copies of large pieces from global to shared memory that need no registers and hardly an
// instruction: by the bulk copy engine on sm_90 and newer, by every thread's asynchronous copies
// elsewhere. Device code.
#pragma once

#include <cstdint>

#include "engine/backend/cuda/simt.h"

namespace moescope::cuda {

#if (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900) || defined(MOESCOPE_SIMT_EMULATED)
#define MOESCOPE_BULK_COPY 1
#else
#define MOESCOPE_BULK_COPY 0
#endif

/// One in shared memory for each buffer that a warp copies to.
#ifdef MOESCOPE_SIMT_EMULATED
using CopyBarrier = simt::PhaseBarrier;
#else
struct CopyBarrier {
    std::uint64_t state;
};
#endif

/// Whether this lane is one that calls expectCopies and beginCopy: the first one where the copy
/// engine does the rest, every one elsewhere.
__device__ __forceinline__ bool laneCopies([[maybe_unused]] int lane) {
#if MOESCOPE_BULK_COPY
    return lane == 0;
#else
    return true;
#endif
}

/// By one warp, for barriers of its own.
__device__ __forceinline__ void prepareBarriers([[maybe_unused]] CopyBarrier* barriers,
                                                [[maybe_unused]] int count) {
#ifdef MOESCOPE_SIMT_EMULATED
    if (threadIdx.x % kWarp == 0) {
        for (int i = 0; i < count; ++i) simt::beginPhases(barriers + i, 1);
    }
    __syncwarp();
#elif MOESCOPE_BULK_COPY
    if (threadIdx.x % kWarp == 0) {
        for (int i = 0; i < count; ++i) {
            const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(barriers + i));
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(at) : "memory");
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncwarp();
#endif
}

/// By the lanes that copy (laneCopies): the copies that follow, until waitForCopies, are of `bytes`
/// bytes in all.
__device__ __forceinline__ void expectCopies([[maybe_unused]] CopyBarrier* barrier,
                                             [[maybe_unused]] std::uint32_t bytes) {
#ifdef MOESCOPE_SIMT_EMULATED
    simt::arriveAt(barrier, bytes);
#elif MOESCOPE_BULK_COPY
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(barrier));
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes)
                 : "memory");
#endif
}

/// By the lanes that copy. Both ends are aligned to 16 bytes, and so is their number.
__device__ __forceinline__ void beginCopy([[maybe_unused]] CopyBarrier* barrier, void* to,
                                          const void* from, std::uint32_t bytes) {
#ifdef MOESCOPE_SIMT_EMULATED
    simt::copyInBulk({{to, from, bytes}}, barrier);
#elif MOESCOPE_BULK_COPY
    const auto target = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(barrier));
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
            "r"(target),
        "l"(from), "r"(bytes), "r"(at)
        : "memory");
#else
    for (std::uint32_t i = 16 * (threadIdx.x % kWarp); i < bytes; i += 16 * kWarp)
        copyAsync16(static_cast<char*>(to) + i, static_cast<const char*>(from) + i);
#endif
}

/// By a warp: returns when the copies of the barrier's phase `phase` (0, 1, 0, ...) are there. On
/// older GPUs it waits for all of the warp's copies.
__device__ __forceinline__ void waitForCopies([[maybe_unused]] CopyBarrier* barrier,
                                              [[maybe_unused]] std::uint32_t phase) {
#ifdef MOESCOPE_SIMT_EMULATED
    simt::waitForPhase(barrier, phase);
    __syncwarp();
#elif MOESCOPE_BULK_COPY
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(barrier));
    std::uint32_t done = 0;
    while (done == 0) {
        asm volatile(
            "{\n.reg .pred p;\n"
            "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
            "selp.u32 %0, 1, 0, p;\n}\n"
            : "=r"(done)
            : "r"(at), "r"(phase)
            : "memory");
    }
    __syncwarp();  // lanes leave the loop one by one
#else
    copyCommit();
    copyWait<0>();
    __syncwarp();
#endif
}

}  // namespace moescope::cuda
