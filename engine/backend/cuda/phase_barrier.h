// SPDX-License-Identifier: Apache-2.0
// Barriers in shared memory that count arrivals and bytes (mbarrier): what threads and the copy
// engine tell each other with. sm_90 and newer, and the emulator. Device code.
#pragma once

#include <cstdint>

#include "engine/backend/cuda/simt.h"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define MOESCOPE_HAS_PHASES
#endif

namespace moescope::cuda {

#ifdef MOESCOPE_SIMT_EMULATED
using Barrier = simt::PhaseBarrier;
#else
/// 8 bytes in shared memory.
struct alignas(8) Barrier {
    std::uint64_t state;
};

__device__ __forceinline__ std::uint32_t sharedAddress(const void* at) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}
#endif

/// One thread, before a barrier of the block: a phase ends after `count` arrivals.
__device__ __forceinline__ void initialize(Barrier* barrier, int count) {
#ifdef MOESCOPE_HAS_PHASES
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(barrier)), "r"(count)
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::beginPhases(barrier, count);
#endif
}
/// Initialized barriers become visible to the copy engine.
__device__ __forceinline__ void showBarriers() {
#ifdef MOESCOPE_HAS_PHASES
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
/// What this thread wrote to shared memory becomes visible to the copy engine and to warpgroup
/// products.
__device__ __forceinline__ void showToEngines() {
#ifdef MOESCOPE_HAS_PHASES
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

__device__ __forceinline__ void arrive(Barrier* barrier) {
#ifdef MOESCOPE_HAS_PHASES
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(barrier))
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::arriveAt(barrier);
#endif
}
/// Arrives; the phase does not end before `bytes` bytes of boxes have come as well.
__device__ __forceinline__ void arriveAndExpect(Barrier* barrier, std::uint32_t bytes) {
#ifdef MOESCOPE_HAS_PHASES
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(sharedAddress(barrier)),
        "r"(bytes)
        : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::arriveAt(barrier, bytes);
#endif
}
/// Whether a phase of this parity has ended, asked once; the hardware waits a little. GPUs only.
__device__ __forceinline__ bool hasEnded([[maybe_unused]] const Barrier* barrier,
                                         [[maybe_unused]] std::uint32_t parity) {
    std::uint32_t done = 1;
#ifdef MOESCOPE_HAS_PHASES
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}\n"
        : "=r"(done)
        : "r"(sharedAddress(barrier)), "r"(parity)
        : "memory");
#endif
    return done != 0;
}
/// Waits for the end of the barrier's phases of this parity. All lanes of a warp together.
__device__ __forceinline__ void waitFor(const Barrier* barrier, std::uint32_t parity) {
#ifdef MOESCOPE_HAS_PHASES
    asm volatile(
        "{.reg .pred done; waiting: "
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1; "
        "@!done bra waiting;}" ::"r"(sharedAddress(barrier)),
        "r"(parity)
        : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::waitForPhase(barrier, parity);
#endif
}

}  // namespace moescope::cuda
