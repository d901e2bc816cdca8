// SPDX-License-Identifier: Apache-2.0
// What a producer and the consumers of a pipeline in shared memory tell each other with: barriers
// that count arrivals and bytes, copies of boxes that complete on them, and a division of
// registers. Hopper's (sm_90a), and the emulator's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/tensor_core.h"
#include "engine/backend/cuda/tensor_map.h"

namespace moescope::cuda {

#ifdef MOESCOPE_SIMT_EMULATED
using Barrier = simt::PhaseBarrier;
#else
struct alignas(8) Barrier {
    std::uint64_t state;
};

__device__ __forceinline__ std::uint32_t sharedAddress(const void* at) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}
#endif

/// One thread, before a barrier of the block: a phase ends after `count` arrivals.
__device__ __forceinline__ void initialize(Barrier* barrier, int count) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(barrier)), "r"(count)
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::beginPhases(barrier, count);
#endif
}
/// Initialized barriers become visible to the copy engine.
__device__ __forceinline__ void showBarriers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

__device__ __forceinline__ void arrive(Barrier* barrier) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(barrier))
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::arriveAt(barrier);
#endif
}
/// Arrives; the phase does not end before `bytes` bytes of boxes have come as well.
__device__ __forceinline__ void arriveAndExpect(Barrier* barrier, std::uint32_t bytes) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(sharedAddress(barrier)),
        "r"(bytes)
        : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::arriveAt(barrier, bytes);
#endif
}
/// Waits for the end of the barrier's phases of this parity. All lanes of a warp together.
__device__ __forceinline__ void waitFor(const Barrier* barrier, std::uint32_t parity) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
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

/// By one thread: the box of `map` whose first element is (row y, column x), with zeros for what
/// lies past the array. All its bytes count for `barrier`. `shared` is aligned to 128 bytes, with
/// swizzle to 1024; `map` is a parameter of the kernel.
__device__ __forceinline__ void copyBox(void* shared, const TensorMap& map, int x, int y,
                                        Barrier* barrier) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
        "[%1, {%2, %3}], [%4];" ::"r"(sharedAddress(shared)),
        "l"(&map), "r"(x), "r"(y), "r"(sharedAddress(barrier))
        : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::copyInBulk(piecesOfBox(shared, map.view, x, y), barrier);
#endif
}
/// Fetches a map that copyBox will want.
__device__ __forceinline__ void prefetchMap(const TensorMap& map) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#else
    (void)map;
#endif
}

/// All threads of a warpgroup give up registers down to kRegisters, or get as many.
template <int kRegisters>
__device__ __forceinline__ void giveRegisters() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters>
__device__ __forceinline__ void takeRegisters() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}

}  // namespace moescope::cuda
