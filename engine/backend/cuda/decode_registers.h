// SPDX-License-Identifier: Apache-2.0
// Weights whose decoding takes as long as reading them: each lane loads its own straight to
// registers, a group ahead of the one that it multiplies. A ring in shared memory (decode_ring.h)
// holds more, and costs more instructions than there is time for. Device code of decode_experts.cu.
#pragma once

#include <utility>

#include "engine/backend/cuda/decode_product.h"

namespace moescope::cuda {

/// Chunks of each tile of a band that a lane loads at a time: 64 registers or less with the group
/// ahead. A word of a Mxfp4 tile's scales is that of four.
__host__ __device__ constexpr int loadChunks(WeightFormat format) {
    return format == WeightFormat::Mxfp4 || format == WeightFormat::Bf16 ? 4 : 2;
}

template <WeightFormat F>
class WeightRegisters {
public:
    static constexpr int kChunks = loadChunks(F);
    static constexpr int kColumns = kChunks * chunkColumns(F);

    /// Begins to load a group. codes, scales: of the band's first tile; both: it has two.
    __device__ __forceinline__ void load(const WeightStream& m, const std::byte* codes,
                                         const std::byte* scales, bool both, int group) {
        const auto lane = static_cast<int>(threadIdx.x % kWarp);
        const int first = group * kChunks;
        MOESCOPE_UNROLL
        for (int tile = 0; tile < kBandTiles; ++tile) {
            // What the rows of a second tile are that is not there is nobody's result.
            const int at = tile == 1 && both ? 1 : 0;
            const auto* units =
                reinterpret_cast<const uint4*>(codes + at * m.tileCodes) + first * chunkUnits(F);
            if (first + kChunks < m.chunks ||
                (F != WeightFormat::Mxfp4 && first + kChunks == m.chunks)) {
                MOESCOPE_UNROLL
                for (int c = 0; c < kChunks; ++c) {
                    MOESCOPE_UNROLL
                    for (int plane = 0; plane < kPlanes; ++plane)
                        codes_[tile][c][plane] =
                            loadStreaming(units + c * chunkUnits(F) + 32 * plane + lane);
                }
            } else {
                MOESCOPE_UNROLL
                for (int c = 0; c < kChunks; ++c) {
                    MOESCOPE_UNROLL
                    for (int plane = 0; plane < kPlanes; ++plane)
                        codes_[tile][c][plane] = lastUnit(m, units, first, c, plane, lane);
                }
            }
            const std::byte* scalesOfTile = scales + at * m.tileScales;
            if constexpr (F == WeightFormat::Mxfp4) {
                words_[tile] = loadOnce(reinterpret_cast<const std::uint32_t*>(scalesOfTile) +
                                        group * kWarp + lane);
            } else if constexpr (F == WeightFormat::Q8_0) {
                MOESCOPE_UNROLL
                for (int c = 0; c < kChunks; ++c) {
                    if (first + c >= m.chunks) break;
                    const auto* words =
                        reinterpret_cast<const uint2*>(scalesOfTile) + 4 * (first + c) + lane / 8;
                    scales_[tile][c] = q8ScalesOfLane(*words, lane);
                }
            }
        }
    }

    /// sums += the group's weights times tokens. rows: from the group's first column on.
    template <bool kShared, bool kWide>
    __device__ __forceinline__ void multiply(Accumulators<kWide>& acc, const WeightStream& m,
                                             int group, const TokenRows& rows) const {
        const Operand<kShared> x(rows);
        const int there = m.chunks - group * kChunks;
        [&]<int... kChunk>(std::integer_sequence<int, kChunk...>) {
            ((kChunk < there ? ChunkProduct<F>::template add<kChunk>(acc, chunkOf<kChunk>(), x)
                             : void()),
             ...);
        }
        (std::make_integer_sequence<int, kChunks>());
    }

private:
    static constexpr int kPlanes = ChunkWeights<F>::kPlanes;

    /// The same where the tile ends: zeros past it, and a last chunk of Mxfp4 may be a short one.
    __device__ __forceinline__ static uint4 lastUnit(const WeightStream& m, const uint4* units,
                                                     int first, int c, int plane, int lane) {
        if (first + c >= m.chunks) return make_uint4(0, 0, 0, 0);
        const uint4* chunk = units + c * chunkUnits(F);
        if constexpr (F == WeightFormat::Mxfp4) {
            const int blocks = first + c + 1 < m.chunks ? 4 : m.lastBlocks;
            if (lane % 4 >= blocks) return make_uint4(0, 0, 0, 0);
            return loadStreaming(chunk + lane / 4 * blocks + lane % 4);
        } else {
            return loadStreaming(chunk + 32 * plane + lane);
        }
    }

    template <int kChunk>
    __device__ __forceinline__ ChunkWeights<F> chunkOf() const {
        ChunkWeights<F> w;
        MOESCOPE_UNROLL
        for (int tile = 0; tile < kBandTiles; ++tile) {
            MOESCOPE_UNROLL
            for (int plane = 0; plane < kPlanes; ++plane)
                w.codes[tile][plane] = codes_[tile][kChunk][plane];
            if constexpr (F == WeightFormat::Mxfp4)
                w.scales[tile] = words_[tile] >> (8 * kChunk) & 0xFFU;
            if constexpr (F == WeightFormat::Q8_0) w.scales[tile] = scales_[tile][kChunk];
        }
        return w;
    }

    uint4 codes_[kBandTiles][kChunks][kPlanes];
    std::uint32_t words_[kBandTiles];            // Mxfp4
    std::uint32_t scales_[kBandTiles][kChunks];  // Q8_0
};

}  // namespace moescope::cuda
