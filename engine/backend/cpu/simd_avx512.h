// SPDX-License-Identifier: Apache-2.0
// Sixteen float32 lanes in one AVX-512 register. Members as in simd_portable.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace moescope::cpu {
namespace {

struct SimdAvx512 {
    using F = __m512;
    using U = __m512i;
    static constexpr int kTokens = 12;       ///< 2 x 12 sums + 2 weights of 32 registers
    static constexpr int kChains = 4;        ///< blocks that the matrix-vector kernel interleaves
    static constexpr int kKeyGroups = 2;     ///< 4 queries x 2 sums x 2 groups + 4 keys
    static constexpr int kValueQueries = 8;  ///< 8 x 2 sums + 2 values
    static constexpr int kValueGroups = 2;

    static F zero() { return _mm512_setzero_ps(); }
    static F set1(float x) { return _mm512_set1_ps(x); }
    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
    static F add(F x, F y) { return _mm512_add_ps(x, y); }
    static F sub(F x, F y) { return _mm512_sub_ps(x, y); }
    static F mul(F x, F y) { return _mm512_mul_ps(x, y); }
    static F div(F x, F y) { return _mm512_div_ps(x, y); }
    static F fma(F x, F y, F z) { return _mm512_fmadd_ps(x, y, z); }
    static F min(F x, F y) { return _mm512_min_ps(x, y); }
    static F max(F x, F y) { return _mm512_max_ps(x, y); }
    static float sum(F x) { return _mm512_reduce_add_ps(x); }
    static F round(F x) {
        return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    static F pow2(F n) {
        const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
        return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
    }

    static U loadBits(const std::byte* p) { return _mm512_loadu_si512(p); }
    template <int kShift>
    static F e2m1(U u) {
        const F table =
            _mm512_setr_ps(0, .5F, 1, 1.5F, 2, 3, 4, 6, 0, -.5F, -1, -1.5F, -2, -3, -4, -6);
        return _mm512_permutexvar_ps(_mm512_srli_epi32(u, kShift), table);  // looks at 4 bits only
    }
    template <int kShift>
    static F nibble(U u) {
        const F table = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        return _mm512_permutexvar_ps(_mm512_srli_epi32(u, kShift), table);
    }
    // The byte is moved to the top of its lane, which also makes the sign right.
    static constexpr float kByteScale = 0x1p-24F;
    template <int kByte>
    static F signedByte(U u) {
        constexpr int kZ = static_cast<int>(0x80U);
        const __m128i lane = _mm_setr_epi8(-kZ, -kZ, -kZ, kByte, -kZ, -kZ, -kZ, 4 + kByte, -kZ, -kZ,
                                           -kZ, 8 + kByte, -kZ, -kZ, -kZ, 12 + kByte);
        return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(u, _mm512_broadcast_i32x4(lane)));
    }
    static F bf16Even(U u) { return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16)); }
    static F bf16Odd(U u) {
        return _mm512_castsi512_ps(
            _mm512_and_si512(u, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
    }
    static F loadHalf(const std::byte* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static F loadE8m0(const std::byte* p) {
        const __m512i e =
            _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        return _mm512_castsi512_ps(
            _mm512_max_epu32(_mm512_slli_epi32(e, 23), _mm512_set1_epi32(0x00400000)));
    }
    /// Inlined early: g++ 12 takes a function that only prefetches for one without effect, and
    /// drops every call of it.
    [[gnu::always_inline]] static void prefetchToL2(const std::byte* p) {
        _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1);
    }
    [[gnu::always_inline]] static void prefetch(const std::byte* p) {
        _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
    }
};

}  // namespace
}  // namespace moescope::cpu
