// SPDX-License-Identifier: Apache-2.0
// Sixteen float32 lanes as two AVX2 registers. Members as in simd_portable.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace moescope::cpu {
namespace {

struct SimdAvx2 {
    struct F {
        __m256 a, b;
    };
    struct U {
        __m256i a, b;
    };
    static constexpr int kTokens =
        2;  ///< 2 x 2 x 2 sums + 4 weights + 1 activation of 16 registers
    static constexpr int kChains = 2;  ///< blocks that the matrix-vector kernel interleaves
    static constexpr int kKeyGroups = 1;
    static constexpr int kValueQueries = 4;
    static constexpr int kValueGroups = 1;

    static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
    static F set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, F x) {
        _mm256_storeu_ps(p, x.a);
        _mm256_storeu_ps(p + 8, x.b);
    }
    static F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
    static F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
    static F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
    static F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
    static F fma(F x, F y, F z) {
        return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
    }
    static F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
    static F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
    static float sum(F x) {
        const __m256 s = _mm256_add_ps(x.a, x.b);
        __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
        h = _mm_add_ps(h, _mm_movehl_ps(h, h));
        return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
    }
    static F round(F x) {
        constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        return {_mm256_round_ps(x.a, kMode), _mm256_round_ps(x.b, kMode)};
    }
    static __m256 pow2Half(__m256 n) {
        const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
    }
    static F pow2(F n) { return {pow2Half(n.a), pow2Half(n.b)}; }

    static U loadBits(const std::byte* p) {
        const auto* q = reinterpret_cast<const __m256i*>(p);
        return {_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
    }
    template <int kShift>
    static __m256 e2m1Half(__m256i u) {
        const __m256 table = _mm256_setr_ps(0, .5F, 1, 1.5F, 2, 3, 4, 6);  // permutes by 3 bits
        const __m256 magnitude = _mm256_permutevar8x32_ps(table, _mm256_srli_epi32(u, kShift));
        const __m256i sign = _mm256_and_si256(_mm256_slli_epi32(u, 28 - kShift),
                                              _mm256_set1_epi32(static_cast<int>(0x80000000U)));
        return _mm256_xor_ps(magnitude, _mm256_castsi256_ps(sign));
    }
    template <int kShift>
    static F e2m1(U u) {
        return {e2m1Half<kShift>(u.a), e2m1Half<kShift>(u.b)};
    }
    template <int kShift>
    static __m256 nibbleHalf(__m256i u) {
        return _mm256_cvtepi32_ps(
            _mm256_and_si256(_mm256_srli_epi32(u, kShift), _mm256_set1_epi32(15)));
    }
    template <int kShift>
    static F nibble(U u) {
        return {nibbleHalf<kShift>(u.a), nibbleHalf<kShift>(u.b)};
    }
    static constexpr float kByteScale = 1.0F;
    template <int kByte>
    static __m256 byteHalf(__m256i u) {
        return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(u, 24 - 8 * kByte), 24));
    }
    template <int kByte>
    static F signedByte(U u) {
        return {byteHalf<kByte>(u.a), byteHalf<kByte>(u.b)};
    }
    static F bf16Even(U u) {
        return {_mm256_castsi256_ps(_mm256_slli_epi32(u.a, 16)),
                _mm256_castsi256_ps(_mm256_slli_epi32(u.b, 16))};
    }
    static F bf16Odd(U u) {
        const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000U));
        return {_mm256_castsi256_ps(_mm256_and_si256(u.a, mask)),
                _mm256_castsi256_ps(_mm256_and_si256(u.b, mask))};
    }
    static F loadHalf(const std::byte* p) {
        const auto* q = reinterpret_cast<const __m128i*>(p);
        return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
    }
    static __m256 e8m0Half(const std::byte* p) {
        const __m256i e =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
        return _mm256_castsi256_ps(
            _mm256_max_epu32(_mm256_slli_epi32(e, 23), _mm256_set1_epi32(0x00400000)));
    }
    static F loadE8m0(const std::byte* p) { return {e8m0Half(p), e8m0Half(p + 8)}; }
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
