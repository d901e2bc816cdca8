// SPDX-License-Identifier: Apache-2.0
// Copies of large pieces from global to shared memory that need no registers and hardly an
// instruction: by the bulk copy engine on sm_90 and newer, by every thread's asynchronous copies
// elsewhere. Device code.
#pragma once

#include <cstdint>

#include "engine/backend/cuda/phase_barrier.h"

namespace moescope::cuda {

/// Whether there is a copy engine; known when a GPU's code is compiled.
__device__ __forceinline__ bool copiesInBulk() {
#ifdef MOESCOPE_SIMT_EMULATED
    return simt::hasHopper();
#elif defined(MOESCOPE_HAS_PHASES)
    return true;
#else
    return false;
#endif
}

/// Whether this lane is one that calls expectCopies and beginCopy: the first one where the copy
/// engine does the rest, every one elsewhere.
__device__ __forceinline__ bool laneCopies(int lane) {
    return !copiesInBulk() || lane == 0;
}

/// One for each buffer that a warp copies to. By one warp, for barriers of its own.
__device__ __forceinline__ void prepareBarriers(Barrier* barriers, int count) {
    if (!copiesInBulk()) return;
    if (threadIdx.x % kWarp == 0) {
        for (int i = 0; i < count; ++i) initialize(barriers + i, 1);
        showBarriers();
        showToEngines();
    }
    __syncwarp();
}

/// By the lanes that copy (laneCopies): the copies that follow, until waitForCopies, are of `bytes`
/// bytes in all.
__device__ __forceinline__ void expectCopies(Barrier* barrier, std::uint32_t bytes) {
    if (copiesInBulk()) arriveAndExpect(barrier, bytes);
}

/// By the lanes that copy. Both ends are aligned to 16 bytes, and so is their number.
__device__ __forceinline__ void beginCopy([[maybe_unused]] Barrier* barrier, void* to,
                                          const void* from, std::uint32_t bytes) {
    if (!copiesInBulk()) {
        for (std::uint32_t i = 16 * (threadIdx.x % kWarp); i < bytes; i += 16 * kWarp)
            copyAsync16(static_cast<char*>(to) + i, static_cast<const char*>(from) + i);
        return;
    }
#ifdef MOESCOPE_HAS_PHASES
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
            "r"(sharedAddress(to)),
        "l"(from), "r"(bytes), "r"(sharedAddress(barrier))
        : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::copyInBulk({{to, from, bytes}}, barrier);
#endif
}

/// By a warp: returns when the copies of the barrier's phase `phase` (0, 1, 0, ...) are there. On
/// older GPUs it waits for all of the warp's copies.
__device__ __forceinline__ void waitForCopies(Barrier* barrier, std::uint32_t phase) {
    if (copiesInBulk()) {
        // The loop is the compiler's: with waitFor, whose loop it does not see, it unrolls products
        // otherwise than was measured.
#ifdef MOESCOPE_SIMT_EMULATED
        waitFor(barrier, phase);
#else
        while (!hasEnded(barrier, phase)) {
        }
#endif
    } else {
        copyCommit();
        copyWait<0>();
    }
    __syncwarp();  // lanes leave the wait one by one
}

/// By all threads of a block: the same for copies that warp `by` began. A barrier of the block lies
/// between prepareBarriers and this.
__device__ __forceinline__ void waitForCopiesOf(int by, Barrier* barrier, std::uint32_t phase) {
    if (copiesInBulk()) return waitForCopies(barrier, phase);
    if (static_cast<int>(threadIdx.x) / kWarp == by) waitForCopies(barrier, phase);
    __syncthreads();
}

}  // namespace moescope::cuda
