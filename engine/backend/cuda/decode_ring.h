// SPDX-License-Identifier: Apache-2.0
// Weights that are hardly more than read: each warp of a block streams its own share through a ring
// of buffers in shared memory, copied by the bulk copy engine while it multiplies; warps do not
// wait for each other before their sums are added up. Device code of decode_project.cu.
#pragma once

#include <utility>

#include "engine/backend/cuda/bulk_copy.h"
#include "engine/backend/cuda/decode_product.h"

namespace moescope::cuda {

/// Groups of a warp that may be under way, at most.
inline constexpr int kMaxDepth = 6;
/// Blocks of a multiprocessor that share out a product.
inline constexpr int kResidentBlocks = 3;

/// Chunks of each tile of a band that are copied and multiplied together.
__host__ __device__ constexpr int groupChunks(WeightFormat format) {
    return format == WeightFormat::Bf16 || format == WeightFormat::Q8_0 ? 3 : 2;
}
/// Bytes of a group in a ring: codes of the band's tiles, then their scales.
__host__ __device__ constexpr int groupCodeBytes(WeightFormat format) {
    return groupChunks(format) * 16 * chunkUnits(format);
}
__host__ __device__ constexpr int groupScaleBytes(WeightFormat format) {
    // A Mxfp4 tile's scales come in words of four chunks.
    if (format == WeightFormat::Mxfp4) return 128;
    return format == WeightFormat::Q8_0 ? 32 * groupChunks(format) : 0;
}
__host__ __device__ constexpr int groupBytes(WeightFormat format, int bandTiles) {
    return bandTiles * (groupCodeBytes(format) + groupScaleBytes(format));
}
/// Bytes of the rings of a block, of `depth` groups.
__host__ __device__ constexpr int ringBytes(WeightFormat format, int bandTiles, int depth) {
    return kBlockWarps * depth * groupBytes(format, bandTiles);
}

/// One warp's ring. All lanes call everything, in the same order; groups are multiplied in the
/// order in which they were fetched, and at most `depth` are fetched ahead.
template <WeightFormat F>
class WeightRing {
public:
    /// memory: the block's rings; barriers: (kBlockWarps, kMaxDepth).
    __device__ WeightRing(const WeightStream& m, int depth, std::byte* memory, Barrier* barriers)
        : m_(m),
          depth_(depth),
          barriers_(barriers + threadIdx.x / kWarp * kMaxDepth),
          slotBytes_(groupBytes(F, m.bandTiles)),
          buffers_(memory + static_cast<int>(threadIdx.x / kWarp) * depth * slotBytes_),
          lane_(static_cast<int>(threadIdx.x % kWarp)) {
        prepareBarriers(barriers_, depth);
    }

    /// Begins to copy a group of a band.
    __device__ __forceinline__ void fetch(int band, int group) {
        if (laneCopies(lane_)) {
            std::byte* to = buffers_ + fetchSlot_ * slotBytes_;
            Barrier* barrier = barriers_ + fetchSlot_;
            const Piece piece = pieceOf(band, group);
            // Where there is no second tile, what its rows are is nobody's result.
            const bool both = m_.bandTiles == kBandTiles && kBandTiles * band + 1 < m_.tiles;
            const std::uint32_t bytes = piece.codeBytes + piece.scaleBytes;
            expectCopies(barrier, both ? 2 * bytes : bytes);
            beginCopy(barrier, to, piece.codes, piece.codeBytes);
            if (both)
                beginCopy(barrier, to + groupCodeBytes(F), piece.codes + m_.tileCodes,
                          piece.codeBytes);
            if constexpr (groupScaleBytes(F) > 0) {
                std::byte* scales = to + m_.bandTiles * groupCodeBytes(F);
                beginCopy(barrier, scales, piece.scales, piece.scaleBytes);
                if (both)
                    beginCopy(barrier, scales + groupScaleBytes(F), piece.scales + m_.tileScales,
                              piece.scaleBytes);
            }
        }
        fetchSlot_ = fetchSlot_ + 1 == depth_ ? 0 : fetchSlot_ + 1;
    }

    /// Waits for the next group and adds its weights times tokens. rows: from column 0 on.
    template <bool kShared, bool kWide>
    __device__ __forceinline__ void multiply(Accumulators<kWide>& acc, int group,
                                             const TokenRows& rows) {
        const std::byte* buffer = buffers_ + slot_ * slotBytes_;
        waitForCopies(barriers_ + slot_, phase_);
        if (++slot_ == depth_) {
            slot_ = 0;
            phase_ ^= 1U;
        }
        const int first = group * groupChunks(F);
        const Operand<kShared> x(rows, first * chunkColumns(F));
        [&]<int... kChunk>(std::integer_sequence<int, kChunk...>) {
            ((first + kChunk < m_.chunks
                  ? ChunkProduct<F>::template add<kChunk>(acc, chunkOf<kChunk>(buffer, first), x)
                  : void()),
             ...);
        }
        (std::make_integer_sequence<int, groupChunks(F)>());
        __syncwarp();  // all lanes are done with the buffer
    }

private:
    struct Piece {
        const std::byte* codes;
        const std::byte* scales;
        std::uint32_t codeBytes, scaleBytes;  ///< of a tile, which may end with a short chunk
    };
    __device__ __forceinline__ Piece pieceOf(int band, int group) const {
        const std::int64_t tile = std::int64_t{m_.bandTiles} * band;
        const int from = group * groupCodeBytes(F);
        Piece piece{};
        piece.codes = m_.codes + tile * m_.tileCodes + from;
        piece.codeBytes = static_cast<std::uint32_t>(min(groupCodeBytes(F), m_.tileCodes - from));
        if constexpr (groupScaleBytes(F) > 0) {
            const int scalesFrom = (F == WeightFormat::Mxfp4 ? group * groupChunks(F) / 4 : group) *
                                   groupScaleBytes(F);
            piece.scales = m_.scales + tile * m_.tileScales + scalesFrom;
            piece.scaleBytes =
                static_cast<std::uint32_t>(min(groupScaleBytes(F), m_.tileScales - scalesFrom));
        }
        return piece;
    }

    /// Chunk kChunk of the group that begins with chunk `first`.
    template <int kChunk>
    __device__ __forceinline__ ChunkWeights<F> chunkOf(const std::byte* buffer, int first) const {
        ChunkWeights<F> w;
        const std::byte* scales = buffer + m_.bandTiles * groupCodeBytes(F);
        MOESCOPE_UNROLL
        for (int tile = 0; tile < kBandTiles; ++tile) {
            const int at = tile == 1 && m_.bandTiles == kBandTiles ? 1 : 0;
            const auto* codes = reinterpret_cast<const uint4*>(buffer + at * groupCodeBytes(F)) +
                                kChunk * chunkUnits(F);
            if constexpr (F == WeightFormat::Mxfp4) {
                const int blocks = first + kChunk + 1 < m_.chunks ? 4 : m_.lastBlocks;
                w.codes[tile][0] = lane_ % 4 < blocks ? codes[lane_ / 4 * blocks + lane_ % 4]
                                                      : make_uint4(0, 0, 0, 0);
                // A word of a tile's scales is that of four chunks.
                const int chunk = first % 4 + kChunk;
                w.scales[tile] =
                    static_cast<std::uint32_t>(scales[at * groupScaleBytes(F) + 4 * lane_ + chunk]);
            } else {
                MOESCOPE_UNROLL
                for (int plane = 0; plane < ChunkWeights<F>::kPlanes; ++plane)
                    w.codes[tile][plane] = codes[32 * plane + lane_];
            }
            if constexpr (F == WeightFormat::Q8_0) {
                const auto* words =
                    reinterpret_cast<const uint2*>(scales + at * groupScaleBytes(F));
                w.scales[tile] = q8ScalesOfLane(words[4 * kChunk + lane_ / 8], lane_);
            }
        }
        return w;
    }

    const WeightStream& m_;
    int depth_;
    Barrier* barriers_;
    int slotBytes_;
    std::byte* buffers_;
    int lane_;
    int fetchSlot_ = 0;
    int slot_ = 0;
    std::uint32_t phase_ = 0;
};

}  // namespace moescope::cuda
