// SPDX-License-Identifier: Apache-2.0
// Integer members that matmul_int8.h asks for, on AVX2: sixteen int32 lanes in two registers.
#pragma once

#include "engine/backend/cpu/kernel_table.h"
#include "engine/backend/cpu/matmul_int8.h"
#include "engine/backend/cpu/simd_avx2.h"

namespace moescope::cpu {
namespace {

/// The quantised activations of sixteen columns in the order of four-bit weights and of bytes.
MOESCOPE_INLINE int storeSixteen(__m128i quants, std::byte* nibbleOrder, std::byte* byteOrder) {
    const __m128i nibbles = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    const __m128i bytes = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(nibbleOrder), _mm_shuffle_epi8(quants, nibbles));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(byteOrder), _mm_shuffle_epi8(quants, bytes));
    const __m128i shifted = _mm_xor_si128(quants, _mm_set1_epi8(-128));  // + 128, unsigned
    const __m128i sums = _mm_sad_epu8(shifted, _mm_setzero_si128());
    return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
}

struct Int8Avx2 : SimdAvx2 {
    static constexpr int kInt8Tokens = 2;  ///< 2 x 2 x 2 sums + 4 weights + 1 of 16 registers
    static constexpr int kByteShift = 0;   ///< signed bytes are multiplied by sign and magnitude

    static U broadcastInt(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
    static U addInts(U x, U y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
    static F addExponents(const float* exponents, F x) {
        const auto half = [](const float* e, __m256 y) {
            return _mm256_castsi256_ps(_mm256_add_epi32(
                _mm256_castps_si256(y), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(e))));
        };
        return {half(exponents, x.a), half(exponents + 8, x.b)};
    }
    static F toFloat(U x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
    static void storeBits(std::byte* p, U x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.a);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), x.b);
    }
    static U lowNibbles(U x) {
        const __m256i mask = _mm256_set1_epi8(15);
        return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
    }
    static U highNibbles(U x) {
        return lowNibbles({_mm256_srli_epi16(x.a, 4), _mm256_srli_epi16(x.b, 4)});
    }
    template <PackedFormat kFormat>
    static U lookup(U codes) {
        if constexpr (kFormat != PackedFormat::Mxfp4) return codes;
        const __m256i table = _mm256_broadcastsi128_si256(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(kUnsignedTable<kFormat>)));
        return {_mm256_shuffle_epi8(table, codes.a), _mm256_shuffle_epi8(table, codes.b)};
    }
    /// Pairs cannot saturate: 2 * 24 * 127 < 2^15, and so for magnitudes of bytes: 2 * 128 * 127.
    static __m256i dotHalf(__m256i sum, __m256i weights, __m256i activations) {
        const __m256i pairs = _mm256_maddubs_epi16(weights, activations);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static U dotUnsigned(U sum, U w, U x) {
        return {dotHalf(sum.a, w.a, x.a), dotHalf(sum.b, w.b, x.b)};
    }
    static U byteWeights(U bytes) { return bytes; }
    static U dotBytes(U sum, U w, U x) {
        return {dotHalf(sum.a, _mm256_abs_epi8(w.a), _mm256_sign_epi8(x.a, w.a)),
                dotHalf(sum.b, _mm256_abs_epi8(w.b), _mm256_sign_epi8(x.b, w.b))};
    }
    static float largest(F x) {
        const __m256 m = _mm256_max_ps(x.a, x.b);
        __m128 h = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
        h = _mm_max_ps(h, _mm_movehl_ps(h, h));
        return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
    }
    static __m128i toBytes(F x) {
        const __m256i a = _mm256_cvtps_epi32(x.a);
        const __m256i b = _mm256_cvtps_epi32(x.b);
        const auto half = [](__m256i v) {
            return _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        };
        return _mm_packs_epi16(half(a), half(b));
    }
    /// Rounds 16 values; returns the sum of the integers.
    static int storeQuants(F x, std::byte* nibbleOrder, std::byte* byteOrder) {
        return storeSixteen(toBytes(x), nibbleOrder, byteOrder);
    }
};

}  // namespace
}  // namespace moescope::cpu
