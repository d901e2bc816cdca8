// SPDX-License-Identifier: Apache-2.0
// Matrix products over packed weights, as templates over a simd_*.h struct. Included by one
// kernels_*.cpp per target, inside its unnamed namespace: nothing here may be emitted as a function
// that the linker could share between targets (so no calls into std:: either).
#pragma once

#include <cassert>
#include <cstdint>
#include <utility>

#include "engine/backend/cpu/kernel_table.h"

#define MOESCOPE_INLINE [[gnu::always_inline]] inline

namespace moescope::cpu {
namespace {

/// Calls f(constant 0), f(constant 1), .. f(constant N - 1).
template <int N, typename F>
MOESCOPE_INLINE void unroll(F f) {
    [&]<int... I>(std::integer_sequence<int, I...>) {
        (f(std::integral_constant<int, I>{}), ...);
    }
    (std::make_integer_sequence<int, N>{});
}

/// How one packed format turns into float32. value<c>: column c of a block for 16 rows, before the
/// block's scale. Formats with kScaled have `scale` (what value is multiplied by); with kMinimum
/// also `minimum` (what is added after); with kParts 2 `scale` is that of columns 0 to 15, and
/// `secondScale` of the others.
template <typename S, PackedFormat kFormat>
struct Codec;

template <typename S>
struct NibbleLayout {
    static constexpr int kBlockBytes = 256;
    static constexpr bool kScaled = true;
    static constexpr int kParts = 1;
    template <int c>
    static constexpr int shift() {
        return 16 * (c % 8 & 1) + 4 * (c % 8 >> 1);
    }
    template <int c>
    MOESCOPE_INLINE static typename S::U bits(const std::byte* block) {
        return S::loadBits(block + 64 * (c / 8));
    }
};

template <typename S>
struct Codec<S, PackedFormat::Mxfp4> : NibbleLayout<S> {
    static constexpr int kScaleBytes = 16;
    static constexpr bool kMinimum = false;
    template <int c>
    MOESCOPE_INLINE static typename S::F value(const std::byte* block) {
        return S::template e2m1<NibbleLayout<S>::template shift<c>()>(
            NibbleLayout<S>::template bits<c>(block));
    }
    MOESCOPE_INLINE static typename S::F scale(const std::byte* scales) {
        return S::loadE8m0(scales);
    }
};

template <typename S>
struct Codec<S, PackedFormat::Q4_1> : NibbleLayout<S> {
    static constexpr int kScaleBytes = 64;
    static constexpr bool kMinimum = true;
    template <int c>
    MOESCOPE_INLINE static typename S::F value(const std::byte* block) {
        return S::template nibble<NibbleLayout<S>::template shift<c>()>(
            NibbleLayout<S>::template bits<c>(block));
    }
    MOESCOPE_INLINE static typename S::F scale(const std::byte* scales) {
        return S::loadHalf(scales);
    }
    MOESCOPE_INLINE static typename S::F minimum(const std::byte* scales) {
        return S::loadHalf(scales + 32);
    }
};

/// (q - 8) d as q d + (-8 d): the same arithmetic as Q4_1.
template <typename S>
struct Codec<S, PackedFormat::Q4_0> : Codec<S, PackedFormat::Q4_1> {
    static constexpr int kScaleBytes = 32;
    MOESCOPE_INLINE static typename S::F minimum(const std::byte* scales) {
        return S::mul(S::loadHalf(scales), S::set1(-8.0F));
    }
};

MOESCOPE_INLINE const float* floatsOf(const std::byte* p) {
    return reinterpret_cast<const float*>(p);
}

template <typename S>
struct Codec<S, PackedFormat::Q4_K> : Codec<S, PackedFormat::Q4_1> {
    static constexpr int kScaleBytes = 128;
    MOESCOPE_INLINE static typename S::F scale(const std::byte* scales) {
        return S::load(floatsOf(scales));
    }
    MOESCOPE_INLINE static typename S::F minimum(const std::byte* scales) {
        return S::load(floatsOf(scales + 64));
    }
};

template <typename S>
struct Codec<S, PackedFormat::Q8_0> {
    static constexpr int kBlockBytes = 512;
    static constexpr int kScaleBytes = 32;
    static constexpr bool kScaled = true;
    static constexpr bool kMinimum = false;
    static constexpr int kParts = 1;
    template <int j>
    static constexpr int place() {  // columns are stored in the order 0, 2, 1, 3
        return j == 1 ? 2 : j == 2 ? 1 : j;
    }
    template <int c>
    MOESCOPE_INLINE static typename S::F value(const std::byte* block) {
        return S::template signedByte<place<c % 4>()>(S::loadBits(block + 64 * (c / 4)));
    }
    MOESCOPE_INLINE static typename S::F scale(const std::byte* scales) {
        return S::mul(S::loadHalf(scales), S::set1(S::kByteScale));
    }
};

template <typename S>
struct Codec<S, PackedFormat::Q5_K> : Codec<S, PackedFormat::Q8_0> {
    static constexpr int kScaleBytes = 128;
    static constexpr bool kMinimum = true;
    MOESCOPE_INLINE static typename S::F scale(const std::byte* scales) {
        return S::mul(S::load(floatsOf(scales)), S::set1(S::kByteScale));
    }
    MOESCOPE_INLINE static typename S::F minimum(const std::byte* scales) {
        return S::load(floatsOf(scales + 64));
    }
};

template <typename S>
struct Codec<S, PackedFormat::Q6_K> : Codec<S, PackedFormat::Q8_0> {
    static constexpr int kScaleBytes = 128;
    static constexpr int kParts = 2;
    MOESCOPE_INLINE static typename S::F scale(const std::byte* scales) {
        return S::mul(S::load(floatsOf(scales)), S::set1(S::kByteScale));
    }
    MOESCOPE_INLINE static typename S::F secondScale(const std::byte* scales) {
        return scale(scales + 64);
    }
};

struct Unscaled {
    static constexpr int kScaleBytes = 0;
    static constexpr int kParts = 1;
    static constexpr bool kScaled = false;
    static constexpr bool kMinimum = false;
};

template <typename S>
struct Codec<S, PackedFormat::Bf16> : Unscaled {
    static constexpr int kBlockBytes = 1024;
    template <int c>
    MOESCOPE_INLINE static typename S::F value(const std::byte* block) {
        const typename S::U bits = S::loadBits(block + 64 * (c / 2));
        if constexpr (c % 2 == 0) {
            return S::bf16Even(bits);
        } else {
            return S::bf16Odd(bits);
        }
    }
};

template <typename S>
struct Codec<S, PackedFormat::F16> : Unscaled {
    static constexpr int kBlockBytes = 1024;
    template <int c>
    MOESCOPE_INLINE static typename S::F value(const std::byte* block) {
        return S::loadHalf(block + 32 * c);
    }
};

template <typename S>
struct Codec<S, PackedFormat::F32> : Unscaled {
    static constexpr int kBlockBytes = 2048;
    template <int c>
    MOESCOPE_INLINE static typename S::F value(const std::byte* block) {
        return S::load(reinterpret_cast<const float*>(block + 64 * c));
    }
};

/// Bytes ahead of the current block that are asked for: enough to cross into the next 4 KiB page,
/// where the hardware prefetcher stops.
inline constexpr int kPrefetchAhead = 4096;

/// As many blocks ahead, of the scales.
template <typename S, typename C>
MOESCOPE_INLINE void prefetchBlock(const std::byte* codes, const std::byte* scales) {
    for (int i = 0; i < C::kBlockBytes; i += 64) S::prefetch(codes + kPrefetchAhead + i);
    constexpr int kScalesAhead = kPrefetchAhead / C::kBlockBytes * C::kScaleBytes;
    for (int i = 0; i < C::kScaleBytes; i += 64) S::prefetch(scales + kScalesAhead + i);
}

// One order of summation for every product, so that a token's result does not depend on how many
// others are multiplied with it: the 32 products of a block form one chain in column order, and the
// scaled sums of blocks are added to the row's total in block order.

/// total + sum of a block, scaled.
template <typename C, typename S>
MOESCOPE_INLINE typename S::F addBlock(typename S::F sum, typename S::F scale,
                                       typename S::F minimum, float blockSum, typename S::F total) {
    if constexpr (C::kScaled) {
        total = S::fma(sum, scale, total);
    } else {
        total = S::add(sum, total);
    }
    if constexpr (C::kMinimum) total = S::fma(minimum, S::set1(blockSum), total);
    return total;
}

template <typename C, typename S>
MOESCOPE_INLINE typename S::F scaleOf(const std::byte* scales) {
    if constexpr (C::kScaled) return C::scale(scales);
    return S::zero();
}

template <typename C, typename S>
MOESCOPE_INLINE typename S::F minimumOf(const std::byte* scales) {
    if constexpr (C::kMinimum) return C::minimum(scales);
    return S::zero();
}

/// Chains of kBlocks neighbouring blocks side by side, which hide each other's latency.
template <typename S, PackedFormat kFormat, int kBlocks>
MOESCOPE_INLINE typename S::F addBlocksF32(const std::byte* codes, const std::byte* scales,
                                           const float* x, const float* sums, typename S::F total) {
    using C = Codec<S, kFormat>;
    typename S::F sum[kBlocks][C::kParts];
    unroll<kBlocks>([&](auto b) {
        prefetchBlock<S, C>(codes + b * C::kBlockBytes, scales + b * C::kScaleBytes);
        unroll<C::kParts>([&](auto part) { sum[b][part] = S::zero(); });
    });
    unroll<kBlockCols>([&](auto c) {
        constexpr int part = c * C::kParts / kBlockCols;
        unroll<kBlocks>([&](auto b) {
            const typename S::F value = C::template value<c>(codes + b * C::kBlockBytes);
            sum[b][part] = S::fma(value, S::set1(x[b * kBlockCols + c]), sum[b][part]);
        });
    });
    unroll<kBlocks>([&](auto b) {
        const std::byte* at = scales + b * C::kScaleBytes;
        total = addBlock<C, S>(sum[b][0], scaleOf<C, S>(at), minimumOf<C, S>(at), sums[b], total);
        if constexpr (C::kParts == 2) total = S::fma(sum[b][1], C::secondScale(at), total);
    });
    return total;
}

/// Matrix times vector with float32 activations.
template <typename S, PackedFormat kFormat>
void matVecF32(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
               const ActivationLayout& layout, const std::byte* row, float* out) {
    using C = Codec<S, kFormat>;
    const float* x = floatsOf(row);
    const float* sums = floatsOf(row + layout.sums);
    for (std::int64_t g = begin; g < end; ++g) {
        const std::byte* codes = w.codes + g * w.blocks * C::kBlockBytes;
        const std::byte* scales = w.scales + g * w.blocks * C::kScaleBytes;
        typename S::F total = S::zero();
        std::int32_t b = 0;
        for (; b + S::kChains <= w.blocks; b += S::kChains) {
            total = addBlocksF32<S, kFormat, S::kChains>(codes, scales, x + b * kBlockCols,
                                                         sums + b, total);
            codes += S::kChains * C::kBlockBytes;
            scales += S::kChains * C::kScaleBytes;
        }
        for (; b < w.blocks; ++b) {
            total = addBlocksF32<S, kFormat, 1>(codes, scales, x + b * kBlockCols, sums + b, total);
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
        S::store(out + kGroupRows * (g - begin), total);
    }
}

/// Asks for the codes and scales of the next panel while this one is multiplied, a little at a
/// time: all at once they fill the queue of misses, and decoding waits for memory while products do
/// not run. Into the L2 cache: the L1 cache is full of this panel and its activations.
class AheadReader {
public:
    /// Behind blocks [first, first + count) of `tile`: the blocks after them, or the beginning of
    /// the next tile. `steps`: how often next() will be called.
    AheadReader(const PackedMatrix& w, int blockBytes, int scaleBytes, std::int64_t tile,
                std::int32_t first, std::int32_t count, int steps) {
        std::int64_t block = first + count;
        if (block >= w.blocks) {
            block = 0;
            ++tile;
        }
        if (tile >= w.tiles()) return;
        codes_ = Lines(w.codes, w.blocks, blockBytes, tile, block, count, steps);
        scales_ = Lines(w.scales, w.blocks, scaleBytes, tile, block, count, steps);
    }
    template <typename S>
    MOESCOPE_INLINE void next() {
        codes_.next<S>();
        scales_.next<S>();
    }

private:
    /// The cache lines of `count` blocks, in both groups of a tile.
    struct Lines {
        Lines() = default;
        Lines(const std::byte* base, std::int64_t blocks, int bytes, std::int64_t tile,
              std::int64_t block, std::int32_t count, int steps)
            : at(base + (2 * tile * blocks + block) * bytes),
              second(blocks * bytes),
              left((count * bytes + 63) / 64),
              each((left + steps - 1) / steps) {}
        template <typename S>
        MOESCOPE_INLINE void next() {
            for (int i = 0; i < each && left > 0; ++i, --left) {
                S::prefetchToL2(at);
                S::prefetchToL2(at + second);
                at += 64;
            }
        }
        const std::byte* at = nullptr;
        std::int64_t second = 0;  ///< bytes from a group to the next
        int left = 0, each = 0;   ///< lines: in all, and of each call
    };
    Lines codes_, scales_;
};

/// Panels of at most `most` blocks, as equal as can be: a short last one costs as much to begin as
/// a long one.
MOESCOPE_INLINE std::int32_t evenPanels(std::int32_t blocks, std::int32_t most) {
    assert(blocks > 0);
    const std::int32_t panels = (blocks + most - 1) / most;
    return (blocks + panels - 1) / panels;
}

inline constexpr int kPanelBlocks = 8;  ///< 256 columns: 32 KiB of float32, for the L1 cache

/// Blocks of one tile as float32, scales apart. 32 + 1 + 1 KiB.
struct F32Panel {
    float values[kPanelBlocks][kBlockCols][kTileRows];
    float scales[kPanelBlocks][kTileRows];
    float minima[kPanelBlocks][kTileRows];  ///< of formats in two parts: the second scales
};
static_assert(sizeof(F32Panel) <= kPanelBytes);

/// Decodes blocks [first, first + count) of one tile.
template <typename S, PackedFormat kFormat>
void fillPanelF32(const PackedMatrix& w, std::int64_t tile, std::int32_t first, std::int32_t count,
                  F32Panel& panel) {
    using C = Codec<S, kFormat>;
    for (int half = 0; half < 2; ++half) {
        const std::int64_t block = (2 * tile + half) * w.blocks + first;
        const std::byte* codes = w.codes + block * C::kBlockBytes;
        const std::byte* scales = w.scales + block * C::kScaleBytes;
        const int at = kGroupRows * half;
        for (std::int32_t b = 0; b < count; ++b) {
            if constexpr (C::kScaled) S::store(panel.scales[b] + at, C::scale(scales));
            if constexpr (C::kMinimum) S::store(panel.minima[b] + at, C::minimum(scales));
            if constexpr (C::kParts == 2) S::store(panel.minima[b] + at, C::secondScale(scales));
            unroll<kBlockCols>(
                [&](auto c) { S::store(panel.values[b][c] + at, C::template value<c>(codes)); });
            codes += C::kBlockBytes;
            scales += C::kScaleBytes;
        }
    }
}

/// out (kTokens, 32) += panel times blocks [first, first + count) of kTokens activations.
template <typename S, typename C, int kTokens>
void multiplyPanelF32(const F32Panel& panel, std::int32_t first, std::int32_t count,
                      const ActivationLayout& layout, const std::byte* const* rows, float* out,
                      AheadReader& ahead) {
    using F = typename S::F;
    constexpr int kCols = kBlockCols / C::kParts;
    for (std::int32_t i = 0; i < count * C::kParts; ++i) {
        const std::int32_t b = i / C::kParts;
        const int part = i % C::kParts;
        ahead.next<S>();
        F sum[kTokens][2];
        const float* x[kTokens];
        unroll<kTokens>([&](auto t) {
            sum[t][0] = sum[t][1] = S::zero();
            x[t] = floatsOf(rows[t]) + std::int64_t{first + b} * kBlockCols;
        });
        for (int c = part * kCols; c < (part + 1) * kCols; ++c) {
            const F w0 = S::load(panel.values[b][c]);
            const F w1 = S::load(panel.values[b][c] + kGroupRows);
            unroll<kTokens>([&](auto t) {
                const F v = S::set1(x[t][c]);
                sum[t][0] = S::fma(w0, v, sum[t][0]);
                sum[t][1] = S::fma(w1, v, sum[t][1]);
            });
        }
        const float* scales = part == 0 ? panel.scales[b] : panel.minima[b];
        unroll<kTokens>([&](auto t) {
            const float blockSum = floatsOf(rows[t] + layout.sums)[first + b];
            unroll<2>([&](auto half) {
                float* to = out + kTileRows * t + kGroupRows * half;
                F scale = S::zero();
                F minimum = S::zero();
                if constexpr (C::kScaled) scale = S::load(scales + kGroupRows * half);
                if constexpr (C::kMinimum) minimum = S::load(panel.minima[b] + kGroupRows * half);
                S::store(to, addBlock<C, S>(sum[t][half], scale, minimum, blockSum, S::load(to)));
            });
        });
    }
}

/// Calls f(constant k) with k = min(n, kMost) where n is known at run time only.
template <int kMost, typename F>
MOESCOPE_INLINE void dispatchCount(int n, F f) {
    if constexpr (kMost > 1) {
        if (n < kMost) return dispatchCount<kMost - 1>(n, f);
    }
    f(std::integral_constant<int, kMost>{});
}

// MXFP4's scales are powers of two. Their products with the steps of activations are sums of
// exponents, then, which integer addition makes in a unit that the products of integers leave idle:
// the same bits, a tenth sooner. It holds where nothing comes near the ends of float32's range; one
// step or scale that does sends a whole call, or panel, to the multiplying kernel: they are rare.

/// 2^-60 to 2^60: scales and steps whose product may be made by adding exponents. Compared as bits,
/// which vectorises, and leaves out what is no number.
MOESCOPE_INLINE bool isOrdinary(float x) {
    const int bits = __builtin_bit_cast(int, x);
    return bits >= (127 - 60) << 23 && bits <= (127 + 60) << 23;
}

/// Writes ActivationLayout::ordinary: 1 unless a step is outside, or not a number.
MOESCOPE_INLINE void noteOrdinary(const ActivationLayout& layout, std::byte* row) {
    const float* steps = floatsOf(row + layout.steps);
    int ordinary = 1;
    for (std::int32_t b = 0; b < layout.blocks; ++b)
        ordinary &= static_cast<int>(isOrdinary(steps[b]));
    *reinterpret_cast<int*>(row + layout.ordinary) = ordinary;
}

MOESCOPE_INLINE bool ordinaryRows(const ActivationLayout& layout, const std::byte* const* rows,
                                  int n) {
    int ordinary = 1;
    for (int i = 0; i < n; ++i)
        ordinary &= *reinterpret_cast<const int*>(rows[i] + layout.ordinary);
    return ordinary != 0;
}

/// Turns the powers of two of `count` blocks into what they add to the bits of a float; false, and
/// nothing is changed, where one is not ordinary.
MOESCOPE_INLINE bool toExponents(float (*scales)[kTileRows], std::int32_t count) {
    int ordinary = 1;
    for (std::int32_t b = 0; b < count; ++b) {
        for (int r = 0; r < kTileRows; ++r) ordinary &= static_cast<int>(isOrdinary(scales[b][r]));
    }
    if (ordinary == 0) return false;
    for (std::int32_t b = 0; b < count; ++b) {
        for (int r = 0; r < kTileRows; ++r) {
            const int bits = __builtin_bit_cast(int, scales[b][r]) - (127 << 23);
            scales[b][r] = __builtin_bit_cast(float, bits);
        }
    }
    return true;
}

/// Calls multiply(true) once the panel's scales are exponents, or multiply(false) where they cannot
/// be; `ordinary`: the steps of all rows allow it.
template <PackedFormat kFormat, typename F>
MOESCOPE_INLINE void withScales(bool ordinary, float (*scales)[kTileRows], std::int32_t count,
                                const F& multiply) {
    if constexpr (kFormat == PackedFormat::Mxfp4) {
        if (ordinary && toExponents(scales, count)) return multiply(std::true_type{});
    }
    multiply(std::false_type{});
}

template <typename S>
MOESCOPE_INLINE void clearOutput(float* out, int n) {
    for (int i = 0; i < 2 * n; ++i) S::store(out + kGroupRows * i, S::zero());
}

/// Matrix times matrix with float32 activations: each weight is decoded once for all n tokens.
template <typename S, PackedFormat kFormat>
void matMulF32(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
               const std::byte* const* rows, int n, std::byte* scratch, float* out) {
    clearOutput<S>(out, n);
    F32Panel& panel = *reinterpret_cast<F32Panel*>(scratch);
    const std::int32_t most = evenPanels(w.blocks, kPanelBlocks);
    for (std::int32_t b = 0; b < w.blocks; b += most) {
        const std::int32_t count = w.blocks - b < most ? w.blocks - b : most;
        fillPanelF32<S, kFormat>(w, tile, b, count, panel);
        using C = Codec<S, kFormat>;
        const int passes = (n + S::kTokens - 1) / S::kTokens;
        AheadReader ahead(w, C::kBlockBytes, C::kScaleBytes, tile, b, count,
                          passes * count * C::kParts);
        for (int t = 0; t < n; t += S::kTokens) {
            dispatchCount<S::kTokens>(n - t, [&](auto k) {
                multiplyPanelF32<S, C, k>(panel, b, count, layout, rows + t, out + kTileRows * t,
                                          ahead);
            });
        }
    }
}

template <typename S, PackedFormat kFormat>
constexpr void useF32(Kernels& k) {
    k.matVec[static_cast<int>(kFormat)] = matVecF32<S, kFormat>;
    k.matMul[static_cast<int>(kFormat)] = matMulF32<S, kFormat>;
}

template <typename S>
constexpr void useF32ForAll(Kernels& k) {
    useF32<S, PackedFormat::Mxfp4>(k);
    useF32<S, PackedFormat::Q8_0>(k);
    useF32<S, PackedFormat::Q4_0>(k);
    useF32<S, PackedFormat::Q4_1>(k);
    useF32<S, PackedFormat::Q4_K>(k);
    useF32<S, PackedFormat::Q5_K>(k);
    useF32<S, PackedFormat::Q6_K>(k);
    useF32<S, PackedFormat::Bf16>(k);
    useF32<S, PackedFormat::F16>(k);
    useF32<S, PackedFormat::F32>(k);
}

}  // namespace
}  // namespace moescope::cpu
