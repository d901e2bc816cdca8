// SPDX-License-Identifier: Apache-2.0
// What a pipeline in shared memory is made of beside its barriers: copies of boxes that complete on
// them, and a division of registers. Hopper's (sm_90a), and the emulator's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/phase_barrier.h"
#include "engine/backend/cuda/tensor_map.h"

namespace moescope::cuda {

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
