// SPDX-License-Identifier: Apache-2.0
// Integer members that matmul_int8.h asks for, on AVX-512 with and without VNNI.
#pragma once

#include "engine/backend/cpu/simd_avx512.h"
#include "engine/backend/cpu/simd_int8_avx2.h"

namespace moescope::cpu {
namespace {

struct Int8Avx512 : SimdAvx512 {
    static constexpr int kInt8Tokens =
        6;  ///< 2 x 6 block sums + 2 x 6 totals + 2 weights of 32 registers
    static constexpr int kByteShift = 0;  ///< signed bytes are multiplied by sign and magnitude

    static U broadcastInt(int x) { return _mm512_set1_epi32(x); }
    static U addInts(U x, U y) { return _mm512_add_epi32(x, y); }
    static F addExponents(const float* exponents, F x) {
        return _mm512_castsi512_ps(
            _mm512_add_epi32(_mm512_castps_si512(x), _mm512_loadu_si512(exponents)));
    }
    static F toFloat(U x) { return _mm512_cvtepi32_ps(x); }
    static void storeBits(std::byte* p, U x) { _mm512_storeu_si512(p, x); }
    static U lowNibbles(U x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
    static U highNibbles(U x) { return lowNibbles(_mm512_srli_epi16(x, 4)); }
    template <PackedFormat kFormat>
    static U lookup(U codes) {
        if constexpr (kFormat != PackedFormat::Mxfp4) return codes;
        const U table = _mm512_broadcast_i32x4(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(kUnsignedTable<kFormat>)));
        return _mm512_shuffle_epi8(table, codes);
    }
    /// Pairs cannot saturate: 2 * 24 * 127 < 2^15, and so for magnitudes of bytes: 2 * 128 * 127.
    static U dotUnsigned(U sum, U weights, U activations) {
        const U pairs = _mm512_maddubs_epi16(weights, activations);
        return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
    static U byteWeights(U bytes) { return bytes; }
    static U dotBytes(U sum, U weights, U activations) {
        const U sign = _mm512_mask_sub_epi8(activations, _mm512_movepi8_mask(weights),
                                            _mm512_setzero_si512(), activations);
        return dotUnsigned(sum, _mm512_abs_epi8(weights), sign);
    }
    static float largest(F x) { return _mm512_reduce_max_ps(x); }
    static __m128i toBytes(F x) { return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x)); }
    static int storeQuants(F x, std::byte* nibbleOrder, std::byte* byteOrder) {
        return storeSixteen(toBytes(x), nibbleOrder, byteOrder);
    }
};

#if defined(__AVX512VNNI__)
struct Int8Vnni : Int8Avx512 {
    static constexpr int kByteShift = 128;

    static U dotUnsigned(U sum, U weights, U activations) {
        return _mm512_dpbusd_epi32(sum, weights, activations);
    }
    static U byteWeights(U bytes) { return _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)); }
    static U dotBytes(U sum, U weights, U activations) {
        return dotUnsigned(sum, weights, activations);
    }
};
#endif

}  // namespace
}  // namespace moescope::cpu
