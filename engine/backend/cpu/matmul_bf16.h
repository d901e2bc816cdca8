// SPDX-License-Identifier: Apache-2.0
// Products by vdpbf16ps: two columns of 16 rows per instruction, float32 sums. Included by
// kernels_avx512_bf16.cpp only.
//
// Activations are split into two bf16 numbers, x = high + low to 2^-17, so that a matrix-vector
// product is as good as with float32 activations; it is bound by memory, the second half is free.
// Matrix-matrix products are bound by arithmetic and use the high half alone.
#pragma once

#include "engine/backend/cpu/simd_avx512.h"
#include "engine/backend/cpu/vector_impl.h"

namespace moescope::cpu {
namespace {

using Simd = SimdAvx512;

MOESCOPE_INLINE __m512bh asBf16(__m512i bits) {
    return reinterpret_cast<__m512bh>(bits);
}

/// Columns c and c + 1 (c even) of 16 rows as bf16 pairs.
template <PackedFormat kFormat, int c>
MOESCOPE_INLINE __m512i pairOf(const std::byte* block) {
    if constexpr (kFormat == PackedFormat::Bf16) {
        return _mm512_loadu_si512(block + 64 * (c / 2));
    } else if constexpr (kFormat == PackedFormat::Q8_0) {
        // Exact: the upper half of the float32 of an 8-bit integer.
        using C = Codec<Simd, PackedFormat::Q8_0>;
        const __m512i even = _mm512_castps_si512(C::value<c>(block));
        const __m512i odd = _mm512_castps_si512(C::value<c + 1>(block));
        return _mm512_mask_blend_epi16(0xaaaaaaaaU, _mm512_srli_epi32(even, 16), odd);
    } else {
        // The permutation looks at 5 bits, one more than a code has: both halves of the table
        // agree.
        constexpr auto kBits = [](int i) constexpr {
            if constexpr (kFormat == PackedFormat::Mxfp4) {
                constexpr short kMagnitude[8] = {0,      0x3f00, 0x3f80, 0x3fc0,
                                                 0x4000, 0x4040, 0x4080, 0x40c0};
                return static_cast<short>(kMagnitude[i & 7] | (i & 8) << 12);
            } else {
                constexpr short kInteger[16] = {0,      0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0,
                                                0x40c0, 0x40e0, 0x4100, 0x4110, 0x4120, 0x4130,
                                                0x4140, 0x4150, 0x4160, 0x4170};
                return kInteger[i & 15];
            }
        };
        alignas(64) static constexpr auto kTable = [=] {
            struct {
                short v[32];
            } t{};
            for (int i = 0; i < 32; ++i) t.v[i] = kBits(i);
            return t;
        }();
        const __m512i codes = _mm512_loadu_si512(block + 64 * (c / 8));
        return _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 4 * (c % 8 / 2)),
                                        _mm512_load_si512(kTable.v));
    }
}

/// The activations of columns c and c + 1 in every lane.
MOESCOPE_INLINE __m512bh broadcastPair(const std::byte* halves, std::int64_t column) {
    return asBf16(_mm512_set1_epi32(*reinterpret_cast<const int*>(halves + 2 * column)));
}

template <PackedFormat kFormat>
void matVecBf16(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
                const ActivationLayout& layout, const std::byte* row, float* out) {
    using C = Codec<Simd, kFormat>;
    const std::byte* high = row + layout.high;
    const std::byte* low = row + layout.low;
    const float* sums = floatsOf(row + layout.sums);
    const std::byte* codes = w.codes + begin * w.blocks * C::kBlockBytes;
    const std::byte* scales = w.scales + begin * w.blocks * C::kScaleBytes;
    for (std::int64_t g = begin; g < end; ++g) {
        __m512 total = _mm512_setzero_ps();
        for (std::int32_t b = 0; b < w.blocks; ++b) {
            prefetchBlock<Simd, C::kBlockBytes>(codes);
            __m512 first = _mm512_setzero_ps();
            __m512 second = _mm512_setzero_ps();
            unroll<kBlockCols / 2>([&](auto p) {
                const __m512bh weights = asBf16(pairOf<kFormat, 2 * p>(codes));
                const std::int64_t column = std::int64_t{b} * kBlockCols + 2 * p;
                first = _mm512_dpbf16_ps(first, weights, broadcastPair(high, column));
                second = _mm512_dpbf16_ps(second, weights, broadcastPair(low, column));
            });
            const __m512 sum = _mm512_add_ps(first, second);
            if constexpr (C::kScaled) {
                total = _mm512_fmadd_ps(sum, C::scale(scales), total);
            } else {
                total = _mm512_add_ps(sum, total);
            }
            if constexpr (C::kMinimum) {
                total = _mm512_fmadd_ps(C::minimum(scales), _mm512_set1_ps(sums[b]), total);
            }
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
        _mm512_storeu_ps(out + kGroupRows * (g - begin), total);
    }
}

/// Eight blocks of one tile, decoded: pairs (block, pair, 32 rows, 2) bf16, scales and minima
/// (block, 32) f32. 16 + 1 + 1 KiB.
struct Bf16Panel {
    std::byte pairs[kPanelBlocks][kBlockCols / 2][2][64];
    float scales[kPanelBlocks][kTileRows];
    float minima[kPanelBlocks][kTileRows];
};
static_assert(sizeof(Bf16Panel) <= kPanelBytes);

template <PackedFormat kFormat>
void fillPanelBf16(const PackedMatrix& w, std::int64_t tile, std::int32_t first, std::int32_t count,
                   Bf16Panel& panel) {
    using C = Codec<Simd, kFormat>;
    for (int half = 0; half < 2; ++half) {
        const std::int64_t block = (2 * tile + half) * w.blocks + first;
        const std::byte* codes = w.codes + block * C::kBlockBytes;
        const std::byte* scales = w.scales + block * C::kScaleBytes;
        for (std::int32_t b = 0; b < count; ++b) {
            unroll<kBlockCols / 2>([&](auto p) {
                _mm512_store_si512(panel.pairs[b][p][half], pairOf<kFormat, 2 * p>(codes));
            });
            if constexpr (C::kScaled) {
                _mm512_store_ps(panel.scales[b] + kGroupRows * half, C::scale(scales));
            }
            if constexpr (C::kMinimum) {
                _mm512_store_ps(panel.minima[b] + kGroupRows * half, C::minimum(scales));
            }
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
    }
}

inline constexpr int kBf16Tokens =
    6;  ///< 2 x 6 block sums + 2 x 6 totals + 2 weights of 32 registers

/// out (kTokens, 32) += panel times activations.
template <PackedFormat kFormat, int kTokens>
void multiplyPanelBf16(const Bf16Panel& panel, std::int32_t first, std::int32_t count,
                       const ActivationLayout& layout, const std::byte* const* rows, float* out) {
    using C = Codec<Simd, kFormat>;
    __m512 total[kTokens][2];
    const std::byte* x[kTokens];
    unroll<kTokens>([&](auto t) {
        total[t][0] = _mm512_loadu_ps(out + kTileRows * t);
        total[t][1] = _mm512_loadu_ps(out + kTileRows * t + kGroupRows);
        x[t] = rows[t] + layout.high + std::int64_t{2} * first * kBlockCols;
    });
    for (std::int32_t b = 0; b < count; ++b) {
        __m512 sum[kTokens][2];
        unroll<kTokens>([&](auto t) {
            sum[t][0] = C::kScaled ? _mm512_setzero_ps() : total[t][0];
            sum[t][1] = C::kScaled ? _mm512_setzero_ps() : total[t][1];
        });
        for (int p = 0; p < kBlockCols / 2; ++p) {
            const __m512bh w0 = asBf16(_mm512_load_si512(panel.pairs[b][p][0]));
            const __m512bh w1 = asBf16(_mm512_load_si512(panel.pairs[b][p][1]));
            unroll<kTokens>([&](auto t) {
                const __m512bh v = broadcastPair(x[t], b * kBlockCols + 2 * p);
                sum[t][0] = _mm512_dpbf16_ps(sum[t][0], w0, v);
                sum[t][1] = _mm512_dpbf16_ps(sum[t][1], w1, v);
            });
        }
        unroll<kTokens>([&](auto t) {
            unroll<2>([&](auto half) {
                if constexpr (C::kScaled) {
                    const __m512 scale = _mm512_load_ps(panel.scales[b] + kGroupRows * half);
                    total[t][half] = _mm512_fmadd_ps(sum[t][half], scale, total[t][half]);
                } else {
                    total[t][half] = sum[t][half];
                }
                if constexpr (C::kMinimum) {
                    const __m512 minimum = _mm512_load_ps(panel.minima[b] + kGroupRows * half);
                    const float s = floatsOf(rows[t] + layout.sums)[first + b];
                    total[t][half] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(s), total[t][half]);
                }
            });
        });
    }
    unroll<kTokens>([&](auto t) {
        _mm512_storeu_ps(out + kTileRows * t, total[t][0]);
        _mm512_storeu_ps(out + kTileRows * t + kGroupRows, total[t][1]);
    });
}

template <PackedFormat kFormat>
void matMulBf16(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
                const std::byte* const* rows, int n, std::byte* scratch, float* out) {
    clearOutput<Simd>(out, n);
    Bf16Panel& panel = *reinterpret_cast<Bf16Panel*>(scratch);
    for (std::int32_t b = 0; b < w.blocks; b += kPanelBlocks) {
        const std::int32_t count = w.blocks - b < kPanelBlocks ? w.blocks - b : kPanelBlocks;
        fillPanelBf16<kFormat>(w, tile, b, count, panel);
        for (int t = 0; t < n; t += kBf16Tokens) {
            dispatchCount<kBf16Tokens>(n - t, [&](auto k) {
                multiplyPanelBf16<kFormat, k>(panel, b, count, layout, rows + t,
                                              out + kTileRows * t);
            });
        }
    }
}

/// Round to nearest even, as vcvtne2ps2bf16 does, without its flush of subnormals.
MOESCOPE_INLINE __m512i roundToBf16(__m512 x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_srli_epi32(rounded, 16);
}

void finishBf16(const ActivationLayout& layout, std::byte* row) {
    blockSums<Simd>(layout, row);
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

/// Q8_0 needs as many instructions per weight in bf16 as in float32: its matrix-vector product
/// stays.
template <PackedFormat kFormat>
constexpr void useBf16(Kernels& k) {
    if constexpr (kFormat != PackedFormat::Q8_0)
        k.matVec[static_cast<int>(kFormat)] = matVecBf16<kFormat>;
    k.matMul[static_cast<int>(kFormat)] = matMulBf16<kFormat>;
}

}  // namespace
}  // namespace moescope::cpu
