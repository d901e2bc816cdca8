// SPDX-License-Identifier: Apache-2.0
// Products of integer-coded weights by vpdpwssd: two columns of 16 rows per instruction, int32 sums
// within a block of 32 columns (they cannot overflow: 32 * 128 * 32767 < 2^31), float32 sums across
// blocks. Included by the kernels_*.cpp of targets with AVX-512 VNNI only.
//
// Activations are 16-bit integers with one float32 scale per block: an error of at most 2^-16 of
// the block's largest value, over a hundred times finer than bf16 and at the same speed.
#pragma once

#include "engine/backend/cpu/simd_avx512.h"
#include "engine/backend/cpu/vector_impl.h"

namespace moescope::cpu {
namespace {

using Simd = SimdAvx512;

/// Twice the E2M1 values, or the nibble itself; twice over, because the permutation looks at 5
/// bits, one more than a code has.
template <PackedFormat kFormat>
MOESCOPE_INLINE __m512i nibbleTable() {
    struct Table {
        alignas(64) short v[32];
    };
    static constexpr Table kTable = [] {
        constexpr short kDoubled[8] = {0, 1, 2, 3, 4, 6, 8, 12};
        Table t{};
        for (int i = 0; i < 32; ++i) {
            const short magnitude = kDoubled[i & 7];
            const auto negative = static_cast<short>(-magnitude);
            t.v[i] = kFormat != PackedFormat::Mxfp4 ? static_cast<short>(i & 15)
                     : (i & 8) != 0                 ? negative
                                                    : magnitude;
        }
        return t;
    }();
    return _mm512_load_si512(kTable.v);
}

/// Columns c and c + 1 (c even) of 16 rows as pairs of int16.
template <PackedFormat kFormat, int c>
MOESCOPE_INLINE __m512i integerPair(const std::byte* block) {
    if constexpr (Codec<Simd, kFormat>::kBlockBytes == 512) {
        const __m512i bytes = _mm512_loadu_si512(block + 64 * (c / 4));  // columns 0, 2, 1, 3
        return _mm512_srai_epi16(c % 4 == 0 ? _mm512_slli_epi16(bytes, 8) : bytes, 8);
    } else {
        const __m512i codes = _mm512_loadu_si512(block + 64 * (c / 8));
        return _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 4 * (c % 8 / 2)),
                                        nibbleTable<kFormat>());
    }
}

/// What integer sums are multiplied by, besides the activations' scale.
template <PackedFormat kFormat>
MOESCOPE_INLINE __m512 integerScale(const std::byte* scales) {
    if constexpr (kFormat == PackedFormat::Mxfp4) {
        return _mm512_mul_ps(Simd::loadE8m0(scales), _mm512_set1_ps(0.5F));
    } else if constexpr (Codec<Simd, kFormat>::kScaleBytes == 128) {
        return Simd::load(floatsOf(scales));
    } else {
        return Simd::loadHalf(scales);
    }
}

/// The activations of columns c and c + 1 in every lane.
MOESCOPE_INLINE __m512i broadcastPair(const std::byte* pairs, std::int64_t column) {
    return _mm512_set1_epi32(*reinterpret_cast<const int*>(pairs + 2 * column));
}

template <PackedFormat kFormat>
void matVecInt16(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
                 const ActivationLayout& layout, const std::byte* row, float* out) {
    using C = Codec<Simd, kFormat>;
    const std::byte* x = row + layout.quants;
    const float* steps = floatsOf(row + layout.steps);
    const float* sums = floatsOf(row + layout.sums);
    const std::byte* codes = w.codes + begin * w.blocks * C::kBlockBytes;
    const std::byte* scales = w.scales + begin * w.blocks * C::kScaleBytes;
    for (std::int64_t g = begin; g < end; ++g) {
        __m512 total = _mm512_setzero_ps();
        for (std::int32_t b = 0; b < w.blocks; ++b) {
            prefetchBlock<Simd, C>(codes, scales);
            // Two chains: by turns, or of the two parts.
            __m512i chain[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
            unroll<kBlockCols / 2>([&](auto p) {
                __m512i& sum = chain[C::kParts == 2 ? p / 8 : p % 2];
                const __m512i v = broadcastPair(x, std::int64_t{b} * kBlockCols + 2 * p);
                sum = _mm512_dpwssd_epi32(sum, integerPair<kFormat, 2 * p>(codes), v);
            });
            const __m512 step = _mm512_set1_ps(steps[b]);
            const auto add = [&](__m512i sum, __m512 scale) {
                total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, step), total);
            };
            if constexpr (C::kParts == 2) {
                add(chain[0], integerScale<kFormat>(scales));
                add(chain[1], integerScale<kFormat>(scales + 64));
            } else {
                add(_mm512_add_epi32(chain[0], chain[1]), integerScale<kFormat>(scales));
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

inline constexpr int kInt16PanelBlocks = 12;  ///< 24 KiB, for L1 caches of 32 KiB and more

/// Blocks of one tile, decoded: pairs (block, pair, 32 rows, 2) int16, scales and minima
/// (block, 32) f32. 16 + 1 + 1 KiB.
struct Int16Panel {
    std::byte pairs[kInt16PanelBlocks][kBlockCols / 2][2][64];
    float scales[kInt16PanelBlocks][kTileRows];
    float minima[kInt16PanelBlocks][kTileRows];  ///< of formats in two parts: the second scales
};
static_assert(sizeof(Int16Panel) <= kPanelBytes);

template <PackedFormat kFormat>
void fillPanelInt16(const PackedMatrix& w, std::int64_t tile, std::int32_t first,
                    std::int32_t count, Int16Panel& panel) {
    using C = Codec<Simd, kFormat>;
    for (int half = 0; half < 2; ++half) {
        const std::int64_t block = (2 * tile + half) * w.blocks + first;
        const std::byte* codes = w.codes + block * C::kBlockBytes;
        const std::byte* scales = w.scales + block * C::kScaleBytes;
        for (std::int32_t b = 0; b < count; ++b) {
            unroll<kBlockCols / 2>([&](auto p) {
                _mm512_store_si512(panel.pairs[b][p][half], integerPair<kFormat, 2 * p>(codes));
            });
            _mm512_store_ps(panel.scales[b] + kGroupRows * half, integerScale<kFormat>(scales));
            if constexpr (C::kMinimum) {
                _mm512_store_ps(panel.minima[b] + kGroupRows * half, C::minimum(scales));
            }
            if constexpr (C::kParts == 2) {
                _mm512_store_ps(panel.minima[b] + kGroupRows * half,
                                integerScale<kFormat>(scales + 64));
            }
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
    }
}

inline constexpr int kInt16Tokens =
    6;  ///< 2 x 6 block sums + 2 x 6 totals + 2 weights of 32 registers

/// out (kTokens, 32) += panel times activations. `kExponents`: the panel's scales are exponents.
template <typename C, bool kExponents, int kTokens>
void multiplyPanelInt16(const Int16Panel& panel, std::int32_t first, std::int32_t count,
                        const ActivationLayout& layout, const std::byte* const* rows, float* out,
                        AheadReader& ahead) {
    __m512 total[kTokens][2];
    const std::byte* x[kTokens];
    std::size_t quants = layout.quants + 2 * kBlockCols * static_cast<std::size_t>(first);
    std::size_t steps = layout.steps + 4 * static_cast<std::size_t>(first);
    std::size_t sums = layout.sums + 4 * static_cast<std::size_t>(first);
    unroll<kTokens>([&](auto t) {
        total[t][0] = _mm512_loadu_ps(out + kTileRows * t);
        total[t][1] = _mm512_loadu_ps(out + kTileRows * t + kGroupRows);
        x[t] = rows[t];
    });
    const auto addPart = [&](std::int32_t b, auto part) {
        constexpr int kPairs = kBlockCols / 2 / C::kParts;
        const float* scales = part == 0 ? panel.scales[b] : panel.minima[b];
        __m512i sum[kTokens][2];
        unroll<kTokens>([&](auto t) { sum[t][0] = sum[t][1] = _mm512_setzero_si512(); });
        unroll<kPairs>([&](auto i) {
            constexpr int p = part * kPairs + i;
            const __m512i w0 = _mm512_load_si512(panel.pairs[b][p][0]);
            const __m512i w1 = _mm512_load_si512(panel.pairs[b][p][1]);
            unroll<kTokens>([&](auto t) {
                const __m512i v = broadcastPair(x[t] + quants, 2 * p);
                sum[t][0] = _mm512_dpwssd_epi32(sum[t][0], w0, v);
                sum[t][1] = _mm512_dpwssd_epi32(sum[t][1], w1, v);
            });
        });
        unroll<kTokens>([&](auto t) {
            const __m512 step = _mm512_set1_ps(*floatsOf(x[t] + steps));
            unroll<2>([&](auto half) {
                const __m512 stored = _mm512_load_ps(scales + kGroupRows * half);
                const __m512 scale =
                    kExponents ? _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(stored),
                                                                      _mm512_castps_si512(step)))
                               : _mm512_mul_ps(stored, step);
                total[t][half] =
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[t][half]), scale, total[t][half]);
                if constexpr (C::kMinimum) {
                    const __m512 minimum = _mm512_load_ps(panel.minima[b] + kGroupRows * half);
                    const float s = *floatsOf(x[t] + sums);
                    total[t][half] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(s), total[t][half]);
                }
            });
        });
    };
    for (std::int32_t b = 0; b < count; ++b) {
        ahead.next<Simd>();
        unroll<C::kParts>([&](auto part) { addPart(b, part); });
        quants += 2 * kBlockCols;
        steps += 4;
        sums += 4;
    }
    unroll<kTokens>([&](auto t) {
        _mm512_storeu_ps(out + kTileRows * t, total[t][0]);
        _mm512_storeu_ps(out + kTileRows * t + kGroupRows, total[t][1]);
    });
}

template <PackedFormat kFormat>
void matMulInt16(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
                 const std::byte* const* rows, int n, std::byte* scratch, float* out) {
    using C = Codec<Simd, kFormat>;
    clearOutput<Simd>(out, n);
    Int16Panel& panel = *reinterpret_cast<Int16Panel*>(scratch);
    const bool ordinary = kFormat == PackedFormat::Mxfp4 && ordinaryRows(layout, rows, n);
    const std::int32_t most = evenPanels(w.blocks, kInt16PanelBlocks);
    for (std::int32_t b = 0; b < w.blocks; b += most) {
        const std::int32_t count = w.blocks - b < most ? w.blocks - b : most;
        fillPanelInt16<kFormat>(w, tile, b, count, panel);
        const int passes = (n + kInt16Tokens - 1) / kInt16Tokens;
        AheadReader ahead(w, C::kBlockBytes, C::kScaleBytes, tile, b, count, passes * count);
        const auto multiply = [&](auto exponents) {
            for (int t = 0; t < n; t += kInt16Tokens) {
                dispatchCount<kInt16Tokens>(n - t, [&](auto k) {
                    multiplyPanelInt16<C, exponents, k>(panel, b, count, layout, rows + t,
                                                        out + kTileRows * t, ahead);
                });
            }
        };
        withScales<kFormat>(ordinary, panel.scales, count, multiply);
    }
}

/// Blocks of smaller values share this one's step, 2^-126: 32767 / largest must stay finite.
inline constexpr float kSmallestBlock = 32767 * 0x1p-126F;

/// Block sums, then 16-bit integers and their step (scale) per block.
inline void finishInt16(const ActivationLayout& layout, std::byte* row) {
    blockSums<Simd>(layout, row);
    const float* x = floatsOf(row);
    const float* sums = floatsOf(row + layout.sums);
    float* steps = reinterpret_cast<float*>(row + layout.steps);
    for (std::int32_t b = 0; b < layout.blocks; ++b) {
        const __m512 low = _mm512_loadu_ps(x + kBlockCols * b);
        const __m512 high = _mm512_loadu_ps(x + kBlockCols * b + 16);
        const float magnitude =
            _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
        const float largest = magnitude > kSmallestBlock ? magnitude : kSmallestBlock;
        // Maxima may drop what is not a number, the sum does not: 0 * sum carries it into the
        // result.
        steps[b] = largest * (1.0F / 32767.0F) + 0.0F * sums[b];
        const __m512 inverse = _mm512_set1_ps(32767.0F / largest);
        std::byte* to =
            row + layout.quants + std::size_t{2} * kBlockCols * static_cast<std::size_t>(b);
        const auto store = [&](std::byte* p, __m512 v) {
            _mm256_storeu_si256(
                reinterpret_cast<__m256i*>(p),
                _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(v, inverse))));
        };
        store(to, low);
        store(to + 32, high);
    }
    noteOrdinary(layout, row);
}

template <PackedFormat kFormat>
constexpr void useInt16(Kernels& k) {
    k.matVec[static_cast<int>(kFormat)] = matVecInt16<kFormat>;
    k.matMul[static_cast<int>(kFormat)] = matMulInt16<kFormat>;
}

constexpr Kernels int16Kernels(std::string_view name) {
    Kernels k = floatKernels<Simd>(name);
    k.finishActivation = finishInt16;
    useInt16<PackedFormat::Mxfp4>(k);
    useInt16<PackedFormat::Q8_0>(k);
    useInt16<PackedFormat::Q4_0>(k);
    useInt16<PackedFormat::Q4_1>(k);
    useInt16<PackedFormat::Q4_K>(k);
    useInt16<PackedFormat::Q5_K>(k);
    useInt16<PackedFormat::Q6_K>(k);
    return k;
}

}  // namespace
}  // namespace moescope::cpu
