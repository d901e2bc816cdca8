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

/// total + kBlocks neighbouring blocks times the activation; a block is one chain from zero, as in
/// matmul_impl.h, each pair of columns adding its high part and then its low part.
template <int kBlocks>
MOESCOPE_INLINE __m512 addBlocksBf16(const std::byte* codes, const std::byte* high,
                                     const std::byte* low, __m512 total) {
    __m512 sum[kBlocks];
    unroll<kBlocks>([&](auto b) {
        prefetchBlock<Simd, Codec<Simd, PackedFormat::Bf16>>(codes + b * kBf16BlockBytes, nullptr);
        sum[b] = _mm512_setzero_ps();
    });
    unroll<kBlockCols / 2>([&](auto p) {
        unroll<kBlocks>([&](auto b) {
            constexpr int kColumn = b * kBlockCols + 2 * p;
            const __m512bh weights = asBf16(_mm512_loadu_si512(codes + 32 * kColumn));
            sum[b] = _mm512_dpbf16_ps(sum[b], weights, asBf16(broadcastPair(high, kColumn)));
            sum[b] = _mm512_dpbf16_ps(sum[b], weights, asBf16(broadcastPair(low, kColumn)));
        });
    });
    unroll<kBlocks>([&](auto b) { total = _mm512_add_ps(sum[b], total); });
    return total;
}

void matVecBf16(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
                const ActivationLayout& layout, const std::byte* row, float* out) {
    assert(layout.split);
    constexpr int kChains = 4;
    const std::byte* codes = w.codes + begin * w.blocks * kBf16BlockBytes;
    for (std::int64_t g = begin; g < end; ++g) {
        const std::byte* high = row + layout.high;
        const std::byte* low = row + layout.low;
        __m512 total = _mm512_setzero_ps();
        const auto add = [&](auto blocks) {
            total = addBlocksBf16<blocks>(codes, high, low, total);
            codes += blocks * kBf16BlockBytes;
            high += blocks * 2 * kBlockCols;
            low += blocks * 2 * kBlockCols;
        };
        std::int32_t b = 0;
        for (; b + kChains <= w.blocks; b += kChains) add(std::integral_constant<int, kChains>{});
        for (; b < w.blocks; ++b) add(std::integral_constant<int, 1>{});
        _mm512_storeu_ps(out + kGroupRows * (g - begin), total);
    }
}

inline constexpr int kBf16Tokens = 12;  ///< 2 x 12 sums + 2 weights + 2 activations of 32 registers

/// out (kTokens, 32) += blocks [first, first + count) of the tile's two groups times activations.
template <int kTokens>
void multiplyTileBf16(const std::byte* lower, const std::byte* upper, std::int32_t first,
                      std::int32_t count, const ActivationLayout& layout,
                      const std::byte* const* rows, float* out) {
    for (std::int64_t b = 0; b < count; ++b) {
        __m512 sum[kTokens][2];
        const std::byte* high[kTokens];
        unroll<kTokens>([&](auto t) {
            sum[t][0] = sum[t][1] = _mm512_setzero_ps();
            high[t] = rows[t] + layout.high + 2 * kBlockCols * (first + b);
        });
        const std::size_t toLow = layout.low - layout.high;
        for (int p = 0; p < kBlockCols / 2; ++p) {
            const std::int64_t at = b * kBf16BlockBytes + 64 * p;
            const __m512bh w0 = asBf16(_mm512_loadu_si512(lower + at));
            const __m512bh w1 = asBf16(_mm512_loadu_si512(upper + at));
            unroll<kTokens>([&](auto t) {
                const __m512bh x = asBf16(broadcastPair(high[t], 2 * p));
                const __m512bh rest = asBf16(broadcastPair(high[t] + toLow, 2 * p));
                sum[t][0] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(sum[t][0], w0, x), w0, rest);
                sum[t][1] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(sum[t][1], w1, x), w1, rest);
            });
        }
        unroll<kTokens>([&](auto t) {
            unroll<2>([&](auto half) {
                float* to = out + kTileRows * t + kGroupRows * half;
                _mm512_storeu_ps(to, _mm512_add_ps(sum[t][half], _mm512_loadu_ps(to)));
            });
        });
    }
}

/// The packed layout is what the instruction wants: no panel.
void matMulBf16(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
                const std::byte* const* rows, int n, std::byte*, float* out) {
    assert(layout.split);
    clearOutput<Simd>(out, n);
    for (std::int32_t b = 0; b < w.blocks; b += kPanelBlocks) {
        const std::int32_t count = w.blocks - b < kPanelBlocks ? w.blocks - b : kPanelBlocks;
        const std::byte* lower = w.codes + (2 * tile * w.blocks + b) * kBf16BlockBytes;
        const std::byte* upper = lower + std::int64_t{w.blocks} * kBf16BlockBytes;
        for (int t = 0; t < n; t += kBf16Tokens) {
            dispatchCount<kBf16Tokens>(n - t, [&](auto k) {
                multiplyTileBf16<k>(lower, upper, b, count, layout, rows + t, out + kTileRows * t);
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

/// The two bf16 parts of every value, where the layout has room for them.
void splitRow(const ActivationLayout& layout, std::byte* row) {
    if (!layout.split) return;
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
