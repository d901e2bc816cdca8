// SPDX-License-Identifier: Apache-2.0
// The language that the kernels are written in: CUDA C++, with the few instructions that need
// inline assembly behind functions. The same sources compile twice: by nvcc for a GPU, and by the
// host compiler against a small SIMT emulator (emulation/emulation.h), so that every kernel is
// tested where there is no GPU.
#pragma once

#include <cstdint>

#include "engine/formats/half.h"

#ifdef MOESCOPE_SIMT_EMULATED
#include "engine/backend/cuda/emulation/emulation.h"
#else
#include <cuda_runtime.h>
#define MOESCOPE_UNROLL _Pragma("unroll")
#define MOESCOPE_NO_UNROLL _Pragma("unroll 1")
#endif

namespace moescope::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

// ---- What one thread computes ------------------------------------------------------------------

__host__ __device__ __forceinline__ float bitsToFloat(std::uint32_t bits) {
#ifdef __CUDA_ARCH__
    return __uint_as_float(bits);
#else
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

__host__ __device__ __forceinline__ std::uint32_t floatToBits(float value) {
#ifdef __CUDA_ARCH__
    return __float_as_uint(value);
#else
    std::uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

/// Nearest bf16, ties to even; not for NaN payloads (a NaN stays a NaN or becomes an infinity's
/// neighbour that is one too).
__host__ __device__ __forceinline__ std::uint16_t toBf16(float value) {
    const std::uint32_t bits = floatToBits(value);
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>(bits >> 16U | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

__host__ __device__ __forceinline__ float fromBf16(std::uint32_t low16) {
    return bitsToFloat(low16 << 16U);
}

/// Two bf16 numbers in one register, `first` in the low half.
__host__ __device__ __forceinline__ std::uint32_t packBf16(float first, float second) {
#ifdef __CUDA_ARCH__
    std::uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    return packed;
#else
    return static_cast<std::uint32_t>(toBf16(first)) | static_cast<std::uint32_t>(toBf16(second))
                                                           << 16U;
#endif
}

/// Halves multiplied; exact where one factor is a power of two and nothing leaves bf16's range.
__device__ __forceinline__ std::uint32_t multiplyBf16(std::uint32_t a, std::uint32_t b) {
#ifdef __CUDA_ARCH__
    // A fused multiply-add with -0 keeps subnormal inputs; there is no flushing variant of it.
    std::uint32_t product;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000U));
    return product;
#else
    return packBf16(fromBf16(a & 0xFFFFU) * fromBf16(b & 0xFFFFU),
                    fromBf16(a >> 16U) * fromBf16(b >> 16U));
#endif
}

__host__ __device__ __forceinline__ float fromHalf(std::uint16_t half) {
#ifdef __CUDA_ARCH__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
#else
    return halfToFloat(half);
#endif
}

/// Nearest half, ties to even. What is too large for one becomes the largest; a NaN stays one.
__host__ __device__ __forceinline__ std::uint16_t toHalf(float value) {
    constexpr float kLargest = 65504.0F;
    const float bounded = value > kLargest ? kLargest : value < -kLargest ? -kLargest : value;
#ifdef __CUDA_ARCH__
    std::uint16_t half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(bounded));
    return half;
#else
    return floatToHalf(bounded);
#endif
}

// ---- Memory ------------------------------------------------------------------------------------

/// 16 bytes that are read once: they pass by the first-level cache.
__device__ __forceinline__ uint4 loadStreaming(const uint4* at) {
#ifdef __CUDA_ARCH__
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(at));
    return v;
#else
    return *at;
#endif
}

/// The same of 4 bytes.
__device__ __forceinline__ std::uint32_t loadOnce(const std::uint32_t* at) {
#ifdef __CUDA_ARCH__
    std::uint32_t v;
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(at));
    return v;
#else
    return *at;
#endif
}

/// Begins to bring a line to the first-level cache.
__device__ __forceinline__ void prefetchLine([[maybe_unused]] const void* at) {
#ifdef __CUDA_ARCH__
    asm volatile("prefetch.global.L1 [%0];" ::"l"(at));
#endif
}

/// What another block of the same kernel may just have written (and made visible with a fence).
template <typename T>
__device__ __forceinline__ T loadShared(const T* at) {
#ifdef __CUDA_ARCH__
    return __ldcg(at);
#else
    return *at;
#endif
}

template <typename T>
__device__ __forceinline__ T* loadShared(T* const* at) {
#ifdef __CUDA_ARCH__
    return reinterpret_cast<T*>(__ldcg(reinterpret_cast<const unsigned long long*>(at)));
#else
    return *at;
#endif
}

/// 16 bytes from global to shared memory, without registers; complete after copyWait.
__device__ __forceinline__ void copyAsync16(void* shared, const void* global) {
#ifdef __CUDA_ARCH__
    const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global) : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::copyLater(shared, global);
#endif
}
/// The same, or 16 zeros where `valid` is false (`global` is then not read, but must be an
/// address).
__device__ __forceinline__ void copyAsync16OrZero(void* shared, const void* global, bool valid) {
#ifdef __CUDA_ARCH__
    const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global),
                 "r"(valid ? 16 : 0)
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::copyLater(shared, valid ? global : nullptr);
#endif
}
__device__ __forceinline__ void copyCommit() {
#ifdef __CUDA_ARCH__
    asm volatile("cp.async.commit_group;" ::: "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::commitCopies();
#endif
}
/// Waits until at most `kPending` of this thread's latest groups are under way.
template <int kPending>
__device__ __forceinline__ void copyWait() {
#ifdef __CUDA_ARCH__
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::waitForCopies(kPending);
#endif
}

/// The block's dynamic shared memory, aligned to 1024 bytes (wgmma's swizzle looks at addresses).
template <typename T>
__device__ __forceinline__ T* dynamicShared() {
#ifdef MOESCOPE_SIMT_EMULATED
    return reinterpret_cast<T*>(simt::dynamicSharedBytes());
#else
    extern __shared__ __align__(1024) unsigned char dynamicSharedBytes[];
    return reinterpret_cast<T*>(dynamicSharedBytes);
#endif
}

// ---- What a warp does together -----------------------------------------------------------------

__device__ __forceinline__ float warpSum(float value) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(kAllLanes, value, offset);
    return value;
}

__device__ __forceinline__ float warpMax(float value) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2)
        value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
    return value;
}

/// c += a b for bf16 a (16 x 16) and b (16 x 8), float32 c (16 x 8); PTX mma.m16n8k16. With g =
/// lane / 4 and t = lane % 4 a lane holds a[0]: (row g, columns 2t, 2t+1), a[1]: row g + 8, a[2]
/// and a[3]: the same rows, columns + 8; b[0]: (rows 2t, 2t+1, column g), b[1]: rows + 8; c[0],
/// c[1]: (row g, columns 2t, 2t+1), c[2], c[3]: row g + 8.
__device__ __forceinline__ void multiplyAccumulate(float (&c)[4], const std::uint32_t (&a)[4],
                                                   std::uint32_t b0, std::uint32_t b1) {
#ifdef __CUDA_ARCH__
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::multiplyAccumulate(c, a, b0, b1);
#endif
}

/// Four 8 x 8 matrices of 16-bit elements: lane i gives the address of row i % 8 of matrix i / 8
/// (16 bytes, aligned) and receives in r[m] the elements (row g, columns 2t, 2t+1) of matrix m.
__device__ __forceinline__ void loadMatrices(std::uint32_t (&r)[4], const void* shared) {
#ifdef __CUDA_ARCH__
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::loadMatrices(r, shared);
#endif
}

// ---- Between kernels (programmatic dependent launch, sm_90 and newer) --------------------------

/// What follows reads what the kernel before wrote.
__device__ __forceinline__ void waitForPreviousKernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::races::waitForKernel();
#endif
}
/// Lets the next kernel begin its own preparations (it waits before it reads our results).
__device__ __forceinline__ void letNextKernelBegin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#elif defined(MOESCOPE_SIMT_EMULATED)
    simt::races::letKernelBegin();
#endif
}

}  // namespace moescope::cuda
