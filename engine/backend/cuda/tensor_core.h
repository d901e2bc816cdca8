// SPDX-License-Identifier: Apache-2.0
// Matrix instructions beyond the bf16 mma of simt.h: half precision, for attention, and Hopper's
// warpgroup instruction, for prefill.
#pragma once

#include "engine/backend/cuda/simt.h"

#ifndef __CUDACC__
#include "engine/formats/half.h"
#endif

namespace moescope::cuda {

/// Two halves in one register, `first` in the low one.
__device__ __forceinline__ std::uint32_t packHalf(float first, float second) {
#ifdef __CUDA_ARCH__
    std::uint32_t packed;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    return packed;
#elif !defined(__CUDACC__)
    return static_cast<std::uint32_t>(floatToHalf(first)) |
           static_cast<std::uint32_t>(floatToHalf(second)) << 16U;
#else
    return 0;
#endif
}

__device__ __forceinline__ float2 unpackHalf(std::uint32_t pair) {
#ifdef __CUDA_ARCH__
    float2 v;
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}"
        : "=f"(v.x), "=f"(v.y)
        : "r"(pair));
    return v;
#else
    return make_float2(fromHalf(static_cast<std::uint16_t>(pair & 0xFFFFU)),
                       fromHalf(static_cast<std::uint16_t>(pair >> 16U)));
#endif
}

/// As multiplyAccumulate, for halves.
__device__ __forceinline__ void multiplyAccumulateHalf(float (&c)[4], const std::uint32_t (&a)[4],
                                                       std::uint32_t b0, std::uint32_t b1) {
#ifdef __CUDA_ARCH__
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::multiplyAccumulateHalf(c, a, b0, b1);
#endif
}

/// loadMatrices with every 8 x 8 matrix transposed: r[m] gets (rows 2t, 2t+1, column g).
__device__ __forceinline__ void loadMatricesTransposed(std::uint32_t (&r)[4], const void* shared) {
#ifdef __CUDA_ARCH__
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::loadMatricesTransposed(r, shared);
#endif
}

// ---- Warpgroup products (sm_90a) ---------------------------------------------------------------
//
// Four warps multiply 64 rows, 16 to each warp in the registers of mma.m16n8k16's operand A, with n
// columns in shared memory. The product runs on its own until warpgroupWait.

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(MOESCOPE_SIMT_EMULATED)
#define MOESCOPE_HAS_WARPGROUPS
#endif

/// What this thread wrote to shared memory becomes visible to warpgroup products.
__device__ __forceinline__ void showToWarpgroups() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
/// Registers written so far may be read by the products that follow.
__device__ __forceinline__ void warpgroupFence() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void warpgroupCommit() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
/// Waits until at most `kPending` committed groups of products are under way.
template <int kPending>
__device__ __forceinline__ void warpgroupWait() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#endif
}

/// Shared memory matrix descriptor of rows of 128 bytes with 128-byte swizzle: 8 rows are 1024
/// bytes, which the first row's address is a multiple of (plus 32 bytes for every 16 columns).
__device__ __forceinline__ std::uint64_t swizzledRows(const void* shared) {
#ifdef __CUDA_ARCH__
    const auto at = static_cast<std::uint64_t>(__cvta_generic_to_shared(shared));
#else
    const std::uint64_t at = 0 * reinterpret_cast<std::uintptr_t>(shared);
#endif
    return (at & 0x3FFFFU) >> 4U | std::uint64_t{1} << 16U | std::uint64_t{1024 >> 4} << 32U |
           std::uint64_t{1} << 62U;
}

/// c += a b: a (64 x 16), this warp's 16 rows in registers; b (16 x 8 kColumns8) at `b`, rows of it
/// being b's columns. c: this warp's 16 rows, c[j] as mma.m16n8k16's for columns 8 j to 8 j + 7.
template <int kColumns8>
__device__ __forceinline__ void multiplyWarpgroup(float (&c)[kColumns8][4],
                                                  const std::uint32_t (&a)[4], const void* b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    const std::uint64_t descriptor = swizzledRows(b);
    if constexpr (kColumns8 == 4) {
        asm volatile(
            "{.reg .pred p; setp.ne.b32 p, 1, 0; "
            "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
            "{%16, %17, %18, %19}, %20, p, 1, 1, 0;}"
            : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]),
              "+f"(c[1][1]), "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]),
              "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]),
              "+f"(c[3][3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor));
    } else if constexpr (kColumns8 == 8) {
        asm volatile(
            "{.reg .pred p; setp.ne.b32 p, 1, 0; "
            "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
            "{%32, %33, %34, %35}, %36, p, 1, 1, 0;}"
            : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]),
              "+f"(c[1][1]), "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]),
              "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]),
              "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]),
              "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]),
              "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
              "+f"(c[7][2]), "+f"(c[7][3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor));
    } else if constexpr (kColumns8 == 16) {
        asm volatile(
            "{.reg .pred p; setp.ne.b32 p, 1, 0; "
            "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
            "{%64, %65, %66, %67}, %68, p, 1, 1, 0;}"
            : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]),
              "+f"(c[1][1]), "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]),
              "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]),
              "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]),
              "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]),
              "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
              "+f"(c[7][2]), "+f"(c[7][3]), "+f"(c[8][0]), "+f"(c[8][1]), "+f"(c[8][2]),
              "+f"(c[8][3]), "+f"(c[9][0]), "+f"(c[9][1]), "+f"(c[9][2]), "+f"(c[9][3]),
              "+f"(c[10][0]), "+f"(c[10][1]), "+f"(c[10][2]), "+f"(c[10][3]), "+f"(c[11][0]),
              "+f"(c[11][1]), "+f"(c[11][2]), "+f"(c[11][3]), "+f"(c[12][0]), "+f"(c[12][1]),
              "+f"(c[12][2]), "+f"(c[12][3]), "+f"(c[13][0]), "+f"(c[13][1]), "+f"(c[13][2]),
              "+f"(c[13][3]), "+f"(c[14][0]), "+f"(c[14][1]), "+f"(c[14][2]), "+f"(c[14][3]),
              "+f"(c[15][0]), "+f"(c[15][1]), "+f"(c[15][2]), "+f"(c[15][3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor));
    } else {
        static_assert(kColumns8 == 4, "no instruction of this width is written down");
    }
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::multiplyWarpgroup(c, 8 * kColumns8, a, b);
#endif
}

}  // namespace moescope::cuda
