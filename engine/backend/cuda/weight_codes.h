// SPDX-License-Identifier: Apache-2.0
// Codes of weights to bf16 operands of the tensor cores, in registers. Device code, shared by the
// kernels of few and of many tokens.
#pragma once

#include "engine/backend/cuda/layout.h"

namespace moescope::cuda {

/// a + b in bf16, twice, with subnormals.
__device__ __forceinline__ std::uint32_t addBf16(std::uint32_t a, std::uint32_t b) {
#ifdef __CUDA_ARCH__
    std::uint32_t sum;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(0x3F803F80U), "r"(b));
    return sum;
#else
    return packBf16(fromBf16(a & 0xFFFFU) + fromBf16(b & 0xFFFFU),
                    fromBf16(a >> 16U) + fromBf16(b >> 16U));
#endif
}

/// Bytes 2 kPair and 2 kPair + 1 of a word of int8, as bf16. With 0x43 in front of its lower seven
/// bits a byte reads as 128 + those; with 0x43 in front of its sign bit, as 128 or 256.
template <int kPair>
__device__ __forceinline__ std::uint32_t int8Pair(std::uint32_t word) {
    const std::uint32_t spread = __byte_perm(word, 0x43434343U, kPair == 0 ? 0x4140U : 0x4342U);
    return addBf16(spread & 0xFF7FFF7FU, (spread & 0xFF80FF80U) | 0x80008000U);
}

/// Eight codes, as pairs of weights.
__device__ __forceinline__ void decodeMxfp4(std::uint32_t word, std::uint32_t scale,
                                            std::uint32_t (&pairs)[4]) {
    pairs[0] = multiplyBf16(mxfp4Pair<0>(word), scale);
    pairs[1] = multiplyBf16(mxfp4Pair<1>(word), scale);
    pairs[2] = multiplyBf16(mxfp4Pair<2>(word), scale);
    pairs[3] = multiplyBf16(mxfp4Pair<3>(word), scale);
}
/// An E8M0 scale as a factor. Blocks past the end have codes of zero; whatever their scale, it must
/// be finite.
__device__ __forceinline__ std::uint32_t finiteMxfp4Scale(std::uint32_t e) {
    return mxfp4Scale(e < kMaxMxfp4Scale ? e : kMaxMxfp4Scale);
}
__device__ __forceinline__ void decodeInt8(std::uint32_t first, std::uint32_t second,
                                           std::uint32_t (&pairs)[4]) {
    pairs[0] = int8Pair<0>(first);
    pairs[1] = int8Pair<1>(first);
    pairs[2] = int8Pair<0>(second);
    pairs[3] = int8Pair<1>(second);
}
/// The operand A of two mma from a lane's octets of two rows.
__device__ __forceinline__ void joinRows(const std::uint32_t (&upper)[4],
                                         const std::uint32_t (&lower)[4],
                                         std::uint32_t (&a)[2][4]) {
    MOESCOPE_UNROLL
    for (int m = 0; m < 2; ++m) {
        a[m][0] = upper[2 * m];
        a[m][1] = lower[2 * m];
        a[m][2] = upper[2 * m + 1];
        a[m][3] = lower[2 * m + 1];
    }
}

}  // namespace moescope::cuda
