// SPDX-License-Identifier: Apache-2.0
// Products of bf16 weights by vdpbf16ps: two columns of 16 rows per instruction, float32 sums.
// Included by kernels_avx512_bf16.cpp only.
//
// Activations are split into two bf16 numbers, x = high + low to 2^-17, so that products are as
// good as with float32 activations and still faster than float32 multiply-adds.
#pragma once

#include "engine/backend/cpu/matmul_int16.h"

namespace moescope::cpu {
namespace {

MOESCOPE_INLINE __m512bh asBf16(__m512i bits) {
    return reinterpret_cast<__m512bh>(bits);
}

inline constexpr int kBf16BlockBytes = 1024;

void matVecBf16(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
                const ActivationLayout& layout, const std::byte* row, float* out) {
    const std::byte* high = row + layout.high;
    const std::byte* low = row + layout.low;
    const std::byte* codes = w.codes + begin * w.blocks * kBf16BlockBytes;
    for (std::int64_t g = begin; g < end; ++g) {
        __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                         _mm512_setzero_ps()};
        for (std::int32_t b = 0; b < w.blocks; ++b, codes += kBf16BlockBytes) {
            prefetchBlock<Simd, kBf16BlockBytes>(codes);
            unroll<kBlockCols / 2>([&](auto p) {
                const __m512bh weights = asBf16(_mm512_loadu_si512(codes + 64 * p));
                const std::int64_t column = std::int64_t{b} * kBlockCols + 2 * p;
                constexpr int kChain = p % 2;
                sum[kChain] =
                    _mm512_dpbf16_ps(sum[kChain], weights, asBf16(broadcastPair(high, column)));
                sum[2 + kChain] =
                    _mm512_dpbf16_ps(sum[2 + kChain], weights, asBf16(broadcastPair(low, column)));
            });
        }
        const __m512 total =
            _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3]));
        _mm512_storeu_ps(out + kGroupRows * (g - begin), total);
    }
}

inline constexpr int kBf16Tokens = 8;  ///< 2 x 8 sums + 2 weights + 2 activations of 32 registers

/// out (kTokens, 32) += blocks [first, first + count) of the tile's two groups times activations.
template <int kTokens>
void multiplyTileBf16(const std::byte* lower, const std::byte* upper, std::int32_t blocks,
                      const ActivationLayout& layout, const std::byte* const* rows,
                      std::int64_t column, float* out) {
    __m512 total[kTokens][2];
    unroll<kTokens>([&](auto t) {
        total[t][0] = _mm512_loadu_ps(out + kTileRows * t);
        total[t][1] = _mm512_loadu_ps(out + kTileRows * t + kGroupRows);
    });
    for (std::int32_t p = 0; p < blocks * kBlockCols / 2; ++p, column += 2) {
        const __m512bh w0 = asBf16(_mm512_loadu_si512(lower + 64 * p));
        const __m512bh w1 = asBf16(_mm512_loadu_si512(upper + 64 * p));
        unroll<kTokens>([&](auto t) {
            const __m512bh high = asBf16(broadcastPair(rows[t] + layout.high, column));
            const __m512bh low = asBf16(broadcastPair(rows[t] + layout.low, column));
            total[t][0] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(total[t][0], w0, high), w0, low);
            total[t][1] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(total[t][1], w1, high), w1, low);
        });
    }
    unroll<kTokens>([&](auto t) {
        _mm512_storeu_ps(out + kTileRows * t, total[t][0]);
        _mm512_storeu_ps(out + kTileRows * t + kGroupRows, total[t][1]);
    });
}

/// The packed layout is what the instruction wants: no panel.
void matMulBf16(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
                const std::byte* const* rows, int n, std::byte*, float* out) {
    clearOutput<Simd>(out, n);
    for (std::int32_t b = 0; b < w.blocks; b += kPanelBlocks) {
        const std::int32_t count = w.blocks - b < kPanelBlocks ? w.blocks - b : kPanelBlocks;
        const std::byte* lower = w.codes + (2 * tile * w.blocks + b) * kBf16BlockBytes;
        const std::byte* upper = lower + std::int64_t{w.blocks} * kBf16BlockBytes;
        for (int t = 0; t < n; t += kBf16Tokens) {
            dispatchCount<kBf16Tokens>(n - t, [&](auto k) {
                multiplyTileBf16<k>(lower, upper, count, layout, rows + t,
                                    std::int64_t{b} * kBlockCols, out + kTileRows * t);
            });
        }
    }
}

/// Round to nearest even, as vcvtneps2bf16 does, without its flush of subnormals.
MOESCOPE_INLINE __m512i roundToBf16(__m512 x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_srli_epi32(rounded, 16);
}

void finishBf16(const ActivationLayout& layout, std::byte* row) {
    finishInt16(layout, row);
    const float* x = floatsOf(row);
    for (std::int32_t i = 0; i < layout.blocks * kBlockCols; i += 16) {
        const __m512 v = _mm512_loadu_ps(x + i);
        const __m512i high = roundToBf16(v);
        const __m512 rest = _mm512_sub_ps(v, _mm512_castsi512_ps(_mm512_slli_epi32(high, 16)));
        const auto store = [&](std::size_t offset, __m512i halves) {
            _mm256_storeu_si256(
                reinterpret_cast<__m256i*>(row + offset + 2 * static_cast<std::size_t>(i)),
                _mm512_cvtepi32_epi16(halves));
        };
        store(layout.high, high);
        store(layout.low, roundToBf16(rest));
    }
}

}  // namespace
}  // namespace moescope::cpu
