// SPDX-License-Identifier: Apache-2.0
// Matrix instructions beyond the bf16 mma of simt.h: half precision, for attention, and Hopper's
// warpgroup instruction, for prefill.
#pragma once

#include <cstddef>

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

/// Registers written so far may be read by the products that follow.
__device__ __forceinline__ void warpgroupFence() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void warpgroupCommit() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::commitProducts();
#endif
}
/// Waits until at most `kPending` committed groups of products are under way.
template <int kPending>
__device__ __forceinline__ void warpgroupWait() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::waitForProducts(kPending);
#endif
}

/// Rows of 128 bytes in shared memory with 128-byte swizzle, an operand B: 8 rows are 1024 bytes,
/// which the first row's address is a multiple of (plus 32 bytes for every 16 columns). On a GPU
/// the matrix descriptor.
class SwizzledRows {
public:
    __device__ explicit SwizzledRows(const void* shared)
#ifdef MOESCOPE_SIMT_EMULATED
        : at_(static_cast<const std::byte*>(shared)){}
#else
        : at_((static_cast<std::uint64_t>(__cvta_generic_to_shared(shared)) & 0x3FFFFU) >> 4U |
              std::uint64_t{1} << 16U | std::uint64_t{1024 >> 4} << 32U | std::uint64_t{1} << 62U) {
    }
#endif

          /// These rows from `bytes` bytes on, a multiple of 16; within shared memory, so that
          /// nothing is carried into the descriptor's other fields.
          __device__ SwizzledRows from(int bytes) const {
        SwizzledRows rows = *this;
#ifdef MOESCOPE_SIMT_EMULATED
        rows.at_ += bytes;
#else
        rows.at_ += static_cast<std::uint32_t>(bytes) >> 4U;
#endif
        return rows;
    }

#ifdef MOESCOPE_SIMT_EMULATED
    const std::byte* at() const {
        return at_;
    }
#else
    __device__ std::uint64_t at() const {
        return at_;
    }
#endif

private:
#ifdef MOESCOPE_SIMT_EMULATED
    const std::byte* at_;
#else
    std::uint64_t at_;
#endif
};

// The operands of these instructions are many: one number after another of c, then a, then b.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define MOESCOPE_SUMS(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define MOESCOPE_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define MOESCOPE_SUMS_16 MOESCOPE_SUMS(0), MOESCOPE_SUMS(1)
#define MOESCOPE_NAMES_32 MOESCOPE_NAMES_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define MOESCOPE_SUMS_32 MOESCOPE_SUMS_16, MOESCOPE_SUMS(2), MOESCOPE_SUMS(3)
#define MOESCOPE_NAMES_64 \
    MOESCOPE_NAMES_32     \
    ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define MOESCOPE_SUMS_64 \
    MOESCOPE_SUMS_32, MOESCOPE_SUMS(4), MOESCOPE_SUMS(5), MOESCOPE_SUMS(6), MOESCOPE_SUMS(7)
#define MOESCOPE_NAMES_96 \
    MOESCOPE_NAMES_64     \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define MOESCOPE_SUMS_96 \
    MOESCOPE_SUMS_64, MOESCOPE_SUMS(8), MOESCOPE_SUMS(9), MOESCOPE_SUMS(10), MOESCOPE_SUMS(11)
#define MOESCOPE_NAMES_128 \
    MOESCOPE_NAMES_96      \
    ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define MOESCOPE_SUMS_128 \
    MOESCOPE_SUMS_96, MOESCOPE_SUMS(12), MOESCOPE_SUMS(13), MOESCOPE_SUMS(14), MOESCOPE_SUMS(15)
#define MOESCOPE_NAMES_144 \
    MOESCOPE_NAMES_128     \
    ", %64, %65, %66, %67, %68, %69, %70, %71"
#define MOESCOPE_SUMS_144 MOESCOPE_SUMS_128, MOESCOPE_SUMS(16), MOESCOPE_SUMS(17)
#define MOESCOPE_NAMES_160 \
    MOESCOPE_NAMES_144     \
    ", %72, %73, %74, %75, %76, %77, %78, %79"
#define MOESCOPE_SUMS_160 MOESCOPE_SUMS_144, MOESCOPE_SUMS(18), MOESCOPE_SUMS(19)
#define MOESCOPE_PRODUCT(n, a0, a1, a2, a3, descriptor)                                            \
    asm volatile(                                                                                  \
        "{.reg .pred p; setp.ne.b32 p, 1, 0; "                                                     \
        "wgmma.mma_async.sync.aligned.m64n" #n                                                     \
        "k16.f32.bf16.bf16 "                                                                       \
        "{" MOESCOPE_NAMES_##n "}, {" a0 ", " a1 ", " a2 ", " a3 "}, " descriptor ", p, 1, 1, 0;}" \
        : MOESCOPE_SUMS_##n                                                                        \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.at()))
#endif

/// c += a b: a (64 x 16), this warp's 16 rows in registers; b (16 x 8 kColumns8), its columns being
/// rows in shared memory. c: this warp's 16 rows, c[j] as mma.m16n8k16's for columns 8 j to 8 j
/// + 7.
template <int kColumns8>
__device__ __forceinline__ void multiplyWarpgroup(float (&c)[kColumns8][4],
                                                  const std::uint32_t (&a)[4],
                                                  const SwizzledRows& b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    if constexpr (kColumns8 == 2) {
        MOESCOPE_PRODUCT(16, "%8", "%9", "%10", "%11", "%12");
    } else if constexpr (kColumns8 == 4) {
        MOESCOPE_PRODUCT(32, "%16", "%17", "%18", "%19", "%20");
    } else if constexpr (kColumns8 == 8) {
        MOESCOPE_PRODUCT(64, "%32", "%33", "%34", "%35", "%36");
    } else if constexpr (kColumns8 == 12) {
        MOESCOPE_PRODUCT(96, "%48", "%49", "%50", "%51", "%52");
    } else if constexpr (kColumns8 == 16) {
        MOESCOPE_PRODUCT(128, "%64", "%65", "%66", "%67", "%68");
    } else if constexpr (kColumns8 == 18) {
        MOESCOPE_PRODUCT(144, "%72", "%73", "%74", "%75", "%76");
    } else if constexpr (kColumns8 == 20) {
        MOESCOPE_PRODUCT(160, "%80", "%81", "%82", "%83", "%84");
    } else {
        static_assert(kColumns8 == 8, "no instruction of this width is written down");
    }
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::multiplyWarpgroup(c, 8 * kColumns8, a, b.at());
#endif
}

}  // namespace moescope::cuda
