// SPDX-License-Identifier: Apache-2.0
// What one warp multiplies in decoding: a chunk of columns of a band of weights, times tokens.
// Device code, shared by the kernels of decode_project.cu and decode_experts.cu.
#pragma once

#include "engine/backend/cuda/decode_bands.h"
#include "engine/backend/cuda/weight_codes.h"

namespace moescope::cuda {

/// A matrix as the kernels walk it: what DeviceMatrix computes, computed once. An integer division
/// costs a warp as much as multiplying two chunks.
struct WeightStream {
    const std::byte* codes;                  // (stack, tiles, tileCodes)
    const std::byte* scales;                 // (stack, tiles, tileScales), or null
    std::int64_t matrixCodes, matrixScales;  ///< bytes of a matrix of the stack
    std::int32_t tileCodes, tileScales;      ///< bytes of a tile
    std::int32_t tiles, bands;
    std::int32_t bandTiles;       ///< kBandTiles, or 1: half bands, which are as many again
    std::int32_t chunks, groups;  ///< of a tile; groups: of chunks that are multiplied together
    std::int32_t lastBlocks;      ///< DeviceMatrix::lastChunkBlocks
    std::int32_t rows, cols, paddedCols;
};
inline WeightStream streamOf(const DeviceMatrix& m, int groupChunks, int bandTiles = kBandTiles) {
    WeightStream s{};
    s.codes = reinterpret_cast<const std::byte*>(m.codes);
    s.scales = reinterpret_cast<const std::byte*>(m.scales);
    s.matrixCodes = static_cast<std::int64_t>(m.codeBytes());
    s.matrixScales = static_cast<std::int64_t>(m.scaleBytes());
    s.tileCodes = static_cast<std::int32_t>(16 * m.tileUnits());
    s.tileScales = static_cast<std::int32_t>(4 * m.tileScales());
    s.tiles = m.tiles();
    s.bandTiles = bandTiles;
    s.bands = (s.tiles + bandTiles - 1) / bandTiles;
    s.chunks = m.chunks();
    s.groups = (s.chunks + groupChunks - 1) / groupChunks;
    s.lastBlocks = m.lastChunkBlocks();
    s.rows = m.rows;
    s.cols = m.cols;
    s.paddedCols = m.paddedCols();
    return s;
}

/// A lane's weights of a chunk of a band, as they lie in memory.
template <WeightFormat F>
struct ChunkWeights {
    static constexpr int kPlanes = chunkUnits(F) / 32;
    uint4 codes[kBandTiles][kPlanes];
    /// Mxfp4: the E8M0 scale of the lane's block; Q8_0: the halves of both blocks, the second one
    /// in the upper half of the word.
    std::uint32_t scales[kBandTiles];
};

/// Of the words of a Q8_0 tile's scales of a chunk (rows 2 t, 2 t + 1 of either block): the halves
/// of this lane's row.
__device__ __forceinline__ std::uint32_t q8ScalesOfLane(const uint2& words, int lane) {
    const int shift = lane / 4 % 2 * 16;
    return (words.x >> shift & 0xFFFFU) | (words.y >> shift) << 16U;
}

/// From a group's first column on.
template <bool kShared>
struct Operand {
    OperandBase<kShared> first, second;
    __device__ __forceinline__ explicit Operand(const TokenRows& rows, int column = 0)
        : first(rows.first + column), second(rows.second + column) {}
};

/// Sums of a band += chunk kChunk of a group times tokens.
template <WeightFormat F>
class ChunkProduct {
public:
    template <int kChunk, bool kShared, bool kWide>
    __device__ __forceinline__ static void add(Accumulators<kWide>& acc, const ChunkWeights<F>& w,
                                               const Operand<kShared>& x) {
        if constexpr (F == WeightFormat::Mxfp4) {
            const std::uint32_t scale[kBandTiles] = {mxfp4Scale(w.scales[0]),
                                                     mxfp4Scale(w.scales[1])};
            const uint4& a = w.codes[0][0];
            const uint4& b = w.codes[1][0];
            multiplyOctet(acc, decoded(a.x, b.x, scale), tokensOf<kWide, kChunk, 0>(x));
            multiplyOctet(acc, decoded(a.y, b.y, scale), tokensOf<kWide, kChunk, 1>(x));
            multiplyOctet(acc, decoded(a.z, b.z, scale), tokensOf<kWide, kChunk, 2>(x));
            multiplyOctet(acc, decoded(a.w, b.w, scale), tokensOf<kWide, kChunk, 3>(x));
        } else if constexpr (F == WeightFormat::Q8_0) {
            const uint4& a = w.codes[0][0];
            const uint4& b = w.codes[1][0];
            const auto scale = [&](int tile, int block) {
                return fromHalf(
                    static_cast<std::uint16_t>(w.scales[tile] >> (16 * block) & 0xFFFFU));
            };
            multiplyQ8(acc, 0, quantised(a.x, a.y, b.x, b.y), scale(0, 0), scale(1, 0),
                       tokensOf<kWide, kChunk, 0>(x));
            multiplyQ8(acc, 1, quantised(a.z, a.w, b.z, b.w), scale(0, 1), scale(1, 1),
                       tokensOf<kWide, kChunk, 1>(x));
        } else {
            const Tokens<kWide> tokens = tokensOf<kWide, kChunk, 0>(x);
            MOESCOPE_UNROLL
            for (int plane = 0; plane < ChunkWeights<F>::kPlanes; ++plane) {
                const uint4& a = w.codes[0][plane];
                const uint4& b = w.codes[1][plane];
                multiplyOctet(acc, joined({a.x, a.y, a.z, a.w}, {b.x, b.y, b.z, b.w}), tokens);
            }
        }
    }

private:
    /// Operand A of two products: eight columns of this lane, of both tiles.
    struct Weights {
        std::uint32_t a[2][4];
    };
    template <bool kWide>
    struct Tokens {
        std::uint32_t words[Accumulators<kWide>::kSets][4];
    };
    /// Octet kOctet of chunk kChunk of the group.
    template <bool kWide, int kChunk, int kOctet, bool kShared>
    __device__ __forceinline__ static Tokens<kWide> tokensOf(const Operand<kShared>& x) {
        constexpr int kApart = F == WeightFormat::Mxfp4 ? 32 : chunkColumns(F) / chunkOctets(F);
        constexpr int kWord = kChunk * chunkColumns(F) + kOctet * kApart;
        Tokens<kWide> tokens;
        x.first.template load<kWord>(tokens.words[0]);
        if constexpr (kWide) x.second.template load<kWord>(tokens.words[1]);
        return tokens;
    }

    /// first, second += weights times tokens: columns 0 to 3 and 4 to 7 of an octet.
    __device__ __forceinline__ static void multiplyOctet(float (&first)[4], float (&second)[4],
                                                         const Weights& w,
                                                         const std::uint32_t (&x)[4]) {
        multiplyAccumulate(first, w.a[0], x[0], x[1]);
        multiplyAccumulate(second, w.a[1], x[2], x[3]);
    }
    template <bool kWide>
    __device__ __forceinline__ static void multiplyOctet(Accumulators<kWide>& acc, const Weights& w,
                                                         const Tokens<kWide>& tokens) {
        MOESCOPE_UNROLL
        for (int set = 0; set < Accumulators<kWide>::kSets; ++set)
            multiplyOctet(acc.sum[set][0], acc.sum[set][1], w, tokens.words[set]);
    }

    __device__ __forceinline__ static Weights joined(const std::uint32_t (&first)[4],
                                                     const std::uint32_t (&second)[4]) {
        Weights w;
        joinRows(first, second, w.a);
        return w;
    }
    /// Eight codes of either tile, scaled.
    __device__ __forceinline__ static Weights decoded(std::uint32_t first, std::uint32_t second,
                                                      const std::uint32_t (&scale)[kBandTiles]) {
        std::uint32_t pairs[kBandTiles][4];
        decodeMxfp4(first, scale[0], pairs[0]);
        decodeMxfp4(second, scale[1], pairs[1]);
        return joined(pairs[0], pairs[1]);
    }

    /// A block of 32: its sum is scaled in float32, so that codes stay exact.
    template <bool kWide>
    __device__ __forceinline__ static void multiplyQ8(Accumulators<kWide>& acc, int block,
                                                      const Weights& w, float first, float second,
                                                      const Tokens<kWide>& tokens) {
        MOESCOPE_UNROLL
        for (int set = 0; set < Accumulators<kWide>::kSets; ++set) {
            float one[4] = {0, 0, 0, 0};
            float two[4] = {0, 0, 0, 0};
            multiplyOctet(one, two, w, tokens.words[set]);
            float(&to)[4] = acc.sum[set][block];
            to[0] += (one[0] + two[0]) * first;
            to[1] += (one[1] + two[1]) * first;
            to[2] += (one[2] + two[2]) * second;
            to[3] += (one[3] + two[3]) * second;
        }
    }
    /// Eight int8 codes of either tile as bf16, which holds every one of them.
    __device__ __forceinline__ static Weights quantised(std::uint32_t firstLow,
                                                        std::uint32_t firstHigh,
                                                        std::uint32_t secondLow,
                                                        std::uint32_t secondHigh) {
        std::uint32_t pairs[kBandTiles][4];
        decodeInt8(firstLow, firstHigh, pairs[0]);
        decodeInt8(secondLow, secondHigh, pairs[1]);
        return joined(pairs[0], pairs[1]);
    }
};

}  // namespace moescope::cuda
