// SPDX-License-Identifier: Apache-2.0
// `fast` numerics: integer-coded weights times 8-bit activations, four columns of 16 rows per
// instruction. Templates over the integer members of a simd_int8_*.h struct; see matmul_impl.h for
// how it may be included.
//
// Activations are int8 with one float32 step per block of 32 columns. The instructions want one
// unsigned operand: the weights, shifted up by a constant (12 for twice the E2M1 values, 8 for
// Q4_0, 128 for Q8_0). What the shift adds to a block's sum is that constant times the sum of the
// block's activations, an integer known when they are quantised: sums start from its negative
// instead of from zero, and the shift costs nothing. Integer sums are exact, so that every target
// and every batch gets the same ones.
#pragma once

#include "engine/backend/cpu/vector_impl.h"

namespace moescope::cpu {
namespace {

template <PackedFormat kFormat>
inline constexpr bool kNibbles =
    kFormat != PackedFormat::Q8_0&& kFormat != PackedFormat::Q5_K&& kFormat != PackedFormat::Q6_K;

/// Sixteen weights of four bits as unsigned bytes.
template <PackedFormat kFormat>
inline constexpr unsigned char kUnsignedTable[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                     8, 9, 10, 11, 12, 13, 14, 15};
template <>
inline constexpr unsigned char kUnsignedTable<PackedFormat::Mxfp4>[16] = {
    12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

/// By how much the unsigned weights are too large.
template <typename S, PackedFormat kFormat>
constexpr int shiftOf() {
    switch (kFormat) {
        case PackedFormat::Mxfp4:
            return 12;
        case PackedFormat::Q4_0:
            return 8;
        case PackedFormat::Q8_0:
        case PackedFormat::Q5_K:
        case PackedFormat::Q6_K:
            return S::kByteShift;
        default:
            return 0;
    }
}

/// Prepared rows hold the starts of block sums for these shifts, and then, for the last of them, of
/// sums over the first and the second half of a block.
inline constexpr int kHalfStarts = kActivationStarts - 2;
inline constexpr int kShifts[kHalfStarts] = {12, 8, 128};
template <typename S, PackedFormat kFormat>
constexpr int startsOf() {
    if (Codec<S, kFormat>::kParts == 2) return kHalfStarts;
    for (int i = 0; i < kHalfStarts; ++i) {
        if (kShifts[i] == shiftOf<S, kFormat>()) return i;
    }
    return 0;
}

inline constexpr int kQuads = kBlockCols / 4;

/// A block's weights for the product instruction. Four-bit codes give the columns 0, 4, 1, 5 and
/// 2, 6, 3, 7 of eight, bytes the columns 0, 2, 1, 3 of four: the packed layout has them so, and
/// quantiseRow puts the activations in both orders.
template <typename S, PackedFormat kFormat>
MOESCOPE_INLINE void loadQuads(const std::byte* block, typename S::U (&quads)[kQuads]) {
    if constexpr (kNibbles<kFormat>) {
        unroll<kQuads / 2>([&](auto i) {
            const typename S::U codes = S::loadBits(block + 64 * i);
            quads[2 * i] = S::template lookup<kFormat>(S::lowNibbles(codes));
            quads[2 * i + 1] = S::template lookup<kFormat>(S::highNibbles(codes));
        });
    } else {
        unroll<kQuads>([&](auto i) { quads[i] = S::byteWeights(S::loadBits(block + 64 * i)); });
    }
}

template <typename S, PackedFormat kFormat>
MOESCOPE_INLINE typename S::U dot(typename S::U sum, typename S::U weights,
                                  typename S::U activations) {
    if constexpr (kNibbles<kFormat>) {
        return S::dotUnsigned(sum, weights, activations);
    } else {
        return S::dotBytes(sum, weights, activations);
    }
}

/// What integer sums are multiplied by, besides the activations' step.
template <typename S, PackedFormat kFormat>
MOESCOPE_INLINE typename S::F int8Scale(const std::byte* scales) {
    if constexpr (kFormat == PackedFormat::Mxfp4) {
        return S::mul(S::loadE8m0(scales), S::set1(0.5F));
    } else if constexpr (Codec<S, kFormat>::kScaleBytes == 128) {
        return S::load(floatsOf(scales));
    } else {
        return S::loadHalf(scales);
    }
}

/// Q4_0's minimum is its shift here.
template <PackedFormat kFormat>
struct Int8Sum {
    static constexpr bool kScaled = true;
    static constexpr bool kMinimum = kFormat == PackedFormat::Q4_1 ||
                                     kFormat == PackedFormat::Q4_K || kFormat == PackedFormat::Q5_K;
};

/// Where a format finds what it multiplies with, as offsets into every prepared row: its order of
/// the integers, where block sums begin, the steps, and the sums of integers times step.
template <typename S, PackedFormat kFormat>
struct Int8Offsets {
    Int8Offsets(const ActivationLayout& layout, std::int32_t block)
        : startsStride(4 * index(layout.blocks)),
          quants(layout.quants + kBlockCols * index(block) +
                 (kNibbles<kFormat> ? 0 : kBlockCols * index(layout.blocks))),
          starts(layout.starts + 4 * index(block) + startsStride * index(startsOf<S, kFormat>())),
          steps(layout.steps + 4 * index(block)),
          sums(layout.sums + 4 * index(block)) {}
    static std::size_t index(int n) { return static_cast<std::size_t>(n); }

    MOESCOPE_INLINE void next() {
        quants += kBlockCols;
        starts += 4;
        steps += 4;
        sums += 4;
    }
    MOESCOPE_INLINE typename S::U quad(const std::byte* row, int q) const {
        return S::broadcastInt(*reinterpret_cast<const int*>(row + quants + 4 * index(q)));
    }
    template <int part>
    MOESCOPE_INLINE typename S::U start(const std::byte* row) const {
        if constexpr (shiftOf<S, kFormat>() == 0) return S::broadcastInt(0);
        const std::size_t at = part == 0 ? starts : starts + startsStride;
        return S::broadcastInt(*reinterpret_cast<const int*>(row + at));
    }
    MOESCOPE_INLINE float step(const std::byte* row) const { return *floatsOf(row + steps); }
    MOESCOPE_INLINE float sum(const std::byte* row) const { return *floatsOf(row + sums); }

    std::size_t startsStride;  ///< from the first part's to the second's
    std::size_t quants, starts, steps, sums;
};

template <typename S, PackedFormat kFormat>
void matVecInt8(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
                const ActivationLayout& layout, const std::byte* row, float* out) {
    using C = Codec<S, kFormat>;
    using F = typename S::F;
    const std::byte* codes = w.codes + begin * w.blocks * C::kBlockBytes;
    const std::byte* scales = w.scales + begin * w.blocks * C::kScaleBytes;
    for (std::int64_t g = begin; g < end; ++g) {
        F total = S::zero();
        Int8Offsets<S, kFormat> x(layout, 0);
        for (std::int32_t b = 0; b < w.blocks; ++b, x.next()) {
            prefetchBlock<S, C>(codes, scales);
            typename S::U quads[kQuads];
            loadQuads<S, kFormat>(codes, quads);
            // Two chains: by turns, or of the two parts.
            typename S::U sum[2] = {x.template start<0>(row), S::broadcastInt(0)};
            if constexpr (C::kParts == 2) sum[1] = x.template start<1>(row);
            unroll<kQuads>([&](auto q) {
                constexpr int chain = C::kParts == 2 ? q / (kQuads / 2) : q % 2;
                sum[chain] = dot<S, kFormat>(sum[chain], quads[q], x.quad(row, q));
            });
            const F step = S::set1(x.step(row));
            const F scale = S::mul(int8Scale<S, kFormat>(scales), step);
            if constexpr (C::kParts == 2) {
                const F second = S::mul(int8Scale<S, kFormat>(scales + C::kScaleBytes / 2), step);
                total = S::fma(S::toFloat(sum[0]), scale, total);
                total = S::fma(S::toFloat(sum[1]), second, total);
            } else {
                F minimum = S::zero();
                if constexpr (Int8Sum<kFormat>::kMinimum) minimum = C::minimum(scales);
                total = addBlock<Int8Sum<kFormat>, S>(S::toFloat(S::addInts(sum[0], sum[1])), scale,
                                                      minimum, x.sum(row), total);
            }
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
        S::store(out + kGroupRows * (g - begin), total);
    }
}

inline constexpr int kInt8PanelBlocks = 16;  ///< 512 columns of 32 rows: 16 KiB for the L1 cache

struct Int8Panel {
    std::byte quads[kInt8PanelBlocks][kQuads][2][64];
    float scales[kInt8PanelBlocks][kTileRows];
    float minima[kInt8PanelBlocks][kTileRows];  ///< of formats in two parts: the second scales
};
static_assert(sizeof(Int8Panel) <= kPanelBytes);

template <typename S, PackedFormat kFormat>
void fillPanelInt8(const PackedMatrix& w, std::int64_t tile, std::int32_t first, std::int32_t count,
                   Int8Panel& panel) {
    using C = Codec<S, kFormat>;
    for (int half = 0; half < 2; ++half) {
        const std::int64_t block = (2 * tile + half) * w.blocks + first;
        const std::byte* codes = w.codes + block * C::kBlockBytes;
        const std::byte* scales = w.scales + block * C::kScaleBytes;
        for (std::int32_t b = 0; b < count; ++b) {
            typename S::U quads[kQuads];
            loadQuads<S, kFormat>(codes, quads);
            unroll<kQuads>([&](auto q) { S::storeBits(panel.quads[b][q][half], quads[q]); });
            S::store(panel.scales[b] + kGroupRows * half, int8Scale<S, kFormat>(scales));
            if constexpr (Int8Sum<kFormat>::kMinimum) {
                S::store(panel.minima[b] + kGroupRows * half, C::minimum(scales));
            }
            if constexpr (C::kParts == 2) {
                S::store(panel.minima[b] + kGroupRows * half,
                         int8Scale<S, kFormat>(scales + C::kScaleBytes / 2));
            }
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
    }
}

/// out (kTokens, 32) += panel times activations. `kExponents`: the panel's scales are exponents.
template <typename S, PackedFormat kFormat, bool kExponents, int kTokens>
void multiplyPanelInt8(const Int8Panel& panel, std::int32_t first, std::int32_t count,
                       const ActivationLayout& layout, const std::byte* const* rows, float* out,
                       AheadReader& ahead) {
    using F = typename S::F;
    const std::byte* row[kTokens];
    F total[kTokens][2];
    unroll<kTokens>([&](auto t) {
        row[t] = rows[t];
        total[t][0] = S::load(out + kTileRows * t);
        total[t][1] = S::load(out + kTileRows * t + kGroupRows);
    });
    Int8Offsets<S, kFormat> x(layout, first);
    constexpr int kParts = Codec<S, kFormat>::kParts;
    const auto addPart = [&](std::int32_t b, auto part) {
        typename S::U sum[kTokens][2];
        unroll<kTokens>([&](auto t) { sum[t][0] = sum[t][1] = x.template start<part>(row[t]); });
        unroll<kQuads / kParts>([&](auto i) {
            constexpr int q = part * (kQuads / kParts) + i;
            const typename S::U w0 = S::loadBits(panel.quads[b][q][0]);
            const typename S::U w1 = S::loadBits(panel.quads[b][q][1]);
            unroll<kTokens>([&](auto t) {
                const typename S::U v = x.quad(row[t], q);
                sum[t][0] = dot<S, kFormat>(sum[t][0], w0, v);
                sum[t][1] = dot<S, kFormat>(sum[t][1], w1, v);
            });
        });
        unroll<kTokens>([&](auto t) {
            const F step = S::set1(x.step(row[t]));
            unroll<2>([&](auto half) {
                const float* scales =
                    (part == 0 ? panel.scales[b] : panel.minima[b]) + kGroupRows * half;
                F scale;
                if constexpr (kExponents) {
                    scale = S::addExponents(scales, step);
                } else {
                    scale = S::mul(S::load(scales), step);
                }
                F minimum = S::zero();
                if constexpr (Int8Sum<kFormat>::kMinimum)
                    minimum = S::load(panel.minima[b] + kGroupRows * half);
                total[t][half] = addBlock<Int8Sum<kFormat>, S>(
                    S::toFloat(sum[t][half]), scale, minimum, x.sum(row[t]), total[t][half]);
            });
        });
    };
    for (std::int32_t b = 0; b < count; ++b, x.next()) {
        ahead.next<S>();
        unroll<kParts>([&](auto part) { addPart(b, part); });
    }
    unroll<kTokens>([&](auto t) {
        S::store(out + kTileRows * t, total[t][0]);
        S::store(out + kTileRows * t + kGroupRows, total[t][1]);
    });
}

template <typename S, PackedFormat kFormat>
void matMulInt8(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
                const std::byte* const* rows, int n, std::byte* scratch, float* out) {
    using C = Codec<S, kFormat>;
    clearOutput<S>(out, n);
    Int8Panel& panel = *reinterpret_cast<Int8Panel*>(scratch);
    const bool ordinary = kFormat == PackedFormat::Mxfp4 && ordinaryRows(layout, rows, n);
    const std::int32_t most = evenPanels(w.blocks, kInt8PanelBlocks);
    for (std::int32_t b = 0; b < w.blocks; b += most) {
        const std::int32_t count = w.blocks - b < most ? w.blocks - b : most;
        fillPanelInt8<S, kFormat>(w, tile, b, count, panel);
        const int passes = (n + S::kInt8Tokens - 1) / S::kInt8Tokens;
        AheadReader ahead(w, C::kBlockBytes, C::kScaleBytes, tile, b, count, passes * count);
        const auto multiply = [&](auto exponents) {
            for (int t = 0; t < n; t += S::kInt8Tokens) {
                dispatchCount<S::kInt8Tokens>(n - t, [&](auto k) {
                    multiplyPanelInt8<S, kFormat, exponents, k>(panel, b, count, layout, rows + t,
                                                                out + kTileRows * t, ahead);
                });
            }
        };
        withScales<kFormat>(ordinary, panel.scales, count, multiply);
    }
}

/// Blocks of smaller values share this one's step, 2^-126: 127 / largest must stay finite.
inline constexpr float kSmallestInt8Block = 127 * 0x1p-126F;

/// 8-bit integers in both orders of loadQuads, the step of each block, and the sums of the
/// integers, bare and times the step. A sum of the integers, not of the values, goes with Q4_1's
/// minimum: it keeps the error of a weight proportional to the weight.
template <typename S>
void quantiseRow(const ActivationLayout& layout, std::byte* row) {
    using F = typename S::F;
    blockSums<S>(layout, row);
    const float* x = floatsOf(row);
    float* sums = reinterpret_cast<float*>(row + layout.sums);
    float* steps = reinterpret_cast<float*>(row + layout.steps);
    int* starts = reinterpret_cast<int*>(row + layout.starts);
    std::byte* nibbleOrder = row + layout.quants;
    std::byte* byteOrder =
        nibbleOrder + std::size_t{kBlockCols} * static_cast<std::size_t>(layout.blocks);
    for (std::int32_t b = 0; b < layout.blocks; ++b) {
        const F low = S::load(x + kBlockCols * b);
        const F high = S::load(x + kBlockCols * b + 16);
        const F magnitudes =
            S::max(S::max(low, S::sub(S::zero(), low)), S::max(high, S::sub(S::zero(), high)));
        const float magnitude = S::largest(magnitudes);
        const float largest = magnitude > kSmallestInt8Block ? magnitude : kSmallestInt8Block;
        // Maxima may drop what is not a number, the sum does not: 0 * sum carries it on.
        steps[b] = largest * (1.0F / 127.0F) + 0.0F * sums[b];
        const F inverse = S::set1(127.0F / largest);
        std::byte* nibbles = nibbleOrder + std::int64_t{kBlockCols} * b;
        std::byte* bytes = byteOrder + std::int64_t{kBlockCols} * b;
        const int first = S::storeQuants(S::mul(low, inverse), nibbles, bytes);
        const int second = S::storeQuants(S::mul(high, inverse), nibbles + 16, bytes + 16);
        const int sum = first + second;
        for (int i = 0; i < kHalfStarts; ++i) starts[i * layout.blocks + b] = -kShifts[i] * sum;
        starts[kHalfStarts * layout.blocks + b] = -kShifts[kHalfStarts - 1] * first;
        starts[(kHalfStarts + 1) * layout.blocks + b] = -kShifts[kHalfStarts - 1] * second;
        sums[b] = steps[b] * static_cast<float>(sum);
    }
    noteOrdinary(layout, row);
}

template <typename S, PackedFormat kFormat>
constexpr void useInt8(Kernels& k) {
    k.matVec[static_cast<int>(kFormat)] = matVecInt8<S, kFormat>;
    k.matMul[static_cast<int>(kFormat)] = matMulInt8<S, kFormat>;
}

/// `k` with 8-bit activations wherever weights are integers.
template <typename S>
constexpr Kernels withInt8(Kernels k) {
    k.finishActivation = quantiseRow<S>;
    useInt8<S, PackedFormat::Mxfp4>(k);
    useInt8<S, PackedFormat::Q8_0>(k);
    useInt8<S, PackedFormat::Q4_0>(k);
    useInt8<S, PackedFormat::Q4_1>(k);
    useInt8<S, PackedFormat::Q4_K>(k);
    useInt8<S, PackedFormat::Q5_K>(k);
    useInt8<S, PackedFormat::Q6_K>(k);
    return k;
}

/// `exact` with `fast` as its counterpart.
constexpr Kernels withFast(Kernels exact, const Kernels* fast) {
    exact.fast = fast;
    return exact;
}

}  // namespace
}  // namespace moescope::cpu
