// SPDX-License-Identifier: Apache-2.0
// The inner loops of decoding. A block has some tiles of a matrix; their weights come into shared
// memory in pieces, through a ring of buffers, and its warps take turns at the chunks of each
// piece. Device code, shared by the kernels of decode_project.cu and decode_experts.cu.
#pragma once

#include "engine/backend/cuda/bulk_copy.h"
#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

inline constexpr int kBlockWarps = 8;
inline constexpr int kBlockThreads = kBlockWarps * kWarp;
inline constexpr int kMaxBuffers = 8;

/// How tiles are cut into pieces, and where a piece lies in its buffer. Sizes in bytes.
struct PieceShape {
    std::int32_t chunks = 0;   ///< of a whole piece; a multiple of 4 unless it is the whole tile
    std::int32_t perTile = 1;  ///< pieces
    std::int32_t buffers = 1;  ///< of the ring, at most kMaxBuffers
    std::int32_t scaleOffset = 0;  ///< of the scales, behind the codes
    std::int32_t bufferBytes = 0;

    __host__ __device__ std::int32_t ringBytes() const { return buffers * bufferBytes; }
};

/// For a block of so many tiles: where they fit the ring they have a buffer each.
inline PieceShape pieceShape(const DeviceMatrix& m, int tilesOfBlock) {
    constexpr int kLargest = 64 << 10;  // a tile of up to this many bytes is one piece
    constexpr int kSplit = 32 << 10;
    const int chunkBytes = 16 * chunkUnits(m.format);
    PieceShape s;
    s.chunks = m.chunks();
    if (s.chunks * chunkBytes > kLargest) s.chunks = kSplit / chunkBytes / 4 * 4;
    s.perTile = (m.chunks() + s.chunks - 1) / s.chunks;
    s.scaleOffset = s.chunks * chunkBytes;
    int scaleBytes = 0;
    if (m.format == WeightFormat::Q8_0) scaleBytes = 32 * s.chunks;
    if (m.format == WeightFormat::Mxfp4) scaleBytes = 128 * ((s.chunks + 3) / 4);
    s.bufferBytes = (s.scaleOffset + scaleBytes + 127) / 128 * 128;
    const int wanted = s.perTile * tilesOfBlock;
    const int fitting = kLargest / s.bufferBytes;
    s.buffers = wanted < fitting ? wanted : fitting;
    if (s.buffers > kMaxBuffers) s.buffers = kMaxBuffers;
    if (s.buffers < 2 && wanted > 1) s.buffers = 2;
    if (s.buffers < 1) s.buffers = 1;
    return s;
}

/// A piece: chunks [begin, end) of a tile of a matrix of the stack.
struct Piece {
    std::int64_t matrix;
    int tile;
    int begin, end;
};

/// The ring that a block's pieces go through. All threads call everything, in the same order.
template <WeightFormat F>
class PieceRing {
public:
    __device__ PieceRing(const DeviceMatrix& m, const PieceShape& shape, CopyBarrier* barriers,
                         std::byte* buffers)
        : m_(m), shape_(shape), barriers_(barriers), buffers_(buffers) {}

    __device__ __forceinline__ Piece piece(std::int64_t matrix, int tile, int part) const {
        const int begin = part * shape_.chunks;
        return {matrix, tile, begin, min(begin + shape_.chunks, m_.chunks())};
    }

    /// Begins to copy the block's piece number `index`, whose buffer must be free.
    __device__ void fetch(int index, const Piece& p) {
        const int slot = index % shape_.buffers;
        std::byte* to = buffers_ + slot * shape_.bufferBytes;
        const bool last = p.end == m_.chunks();
        std::uint32_t codeBytes = 16U * static_cast<unsigned>((p.end - p.begin) * chunkUnits(F));
        if (F == WeightFormat::Mxfp4 && last)
            codeBytes -= 128U * static_cast<unsigned>(4 - m_.lastChunkBlocks());
        std::uint32_t scaleBytes = 0;
        std::int64_t firstScale = 0;
        if constexpr (F == WeightFormat::Mxfp4) {
            scaleBytes = 128U * static_cast<unsigned>((p.end - p.begin + 3) / 4);
            firstScale = p.begin / 4 * 32;
        } else if constexpr (F == WeightFormat::Q8_0) {
            scaleBytes = 32U * static_cast<unsigned>(p.end - p.begin);
            firstScale = p.begin * 8;
        }
        expectCopies(barriers_ + slot, codeBytes + scaleBytes);
        beginCopy(barriers_ + slot, to, m_.tileCodes(p.matrix, p.tile) + p.begin * chunkUnits(F),
                  codeBytes);
        if (scaleBytes > 0) {
            beginCopy(barriers_ + slot, to + shape_.scaleOffset,
                      m_.tileScaleWords(p.matrix, p.tile) + firstScale, scaleBytes);
        }
    }

    __device__ __forceinline__ void wait(int index) const {
        waitForCopies(barriers_ + index % shape_.buffers,
                      static_cast<std::uint32_t>(index / shape_.buffers & 1));
    }

    /// acc += tokens times the weights of piece `index`, of this warp's share of its chunks. high,
    /// low: the lane's token from column 0 on, or null where it has none.
    __device__ void multiply(float (&acc)[4], int index, const Piece& p, const std::uint16_t* high,
                             const std::uint16_t* low) const {
        const std::byte* buffer = buffers_ + index % shape_.buffers * shape_.bufferBytes;
        const auto* codes = reinterpret_cast<const uint4*>(buffer);
        const std::byte* scales = buffer + shape_.scaleOffset;
        const int lane = static_cast<int>(threadIdx.x % kWarp);
        for (int chunk = p.begin + static_cast<int>(threadIdx.x) / kWarp; chunk < p.end;
             chunk += kBlockWarps) {
            const int within = chunk - p.begin;
            multiplyChunk(acc, codes + within * chunkUnits(F), scales, within, chunk, lane, high,
                          low);
        }
    }

private:
    /// Operand A of an octet's two products.
    struct Octet {
        std::uint32_t first[4], second[4];
    };
    __device__ __forceinline__ static Octet tokens(int chunk, int octet, int lane,
                                                   const std::uint16_t* high,
                                                   const std::uint16_t* low) {
        uint4 h = make_uint4(0, 0, 0, 0);
        uint4 l = h;
        if (high != nullptr) {
            const int column = chunk * chunkColumns(F) + columnOf(F, octet, lane % 4);
            h = *reinterpret_cast<const uint4*>(high + column);
            l = *reinterpret_cast<const uint4*>(low + column);
        }
        return {{h.x, l.x, h.y, l.y}, {h.z, l.z, h.w, l.w}};
    }

    __device__ __forceinline__ void multiplyChunk(float (&acc)[4], const uint4* codes,
                                                  const std::byte* scales, int within, int chunk,
                                                  int lane, const std::uint16_t* high,
                                                  const std::uint16_t* low) const {
        if constexpr (F == WeightFormat::Mxfp4) {
            const int blocks = chunk + 1 < m_.chunks() ? 4 : m_.lastChunkBlocks();
            const int t = lane % 4;
            const uint4 w = t < blocks ? codes[lane / 4 * blocks + t] : make_uint4(0, 0, 0, 0);
            const auto e =
                static_cast<std::uint32_t>(scales[(within / 4 * 32 + lane) * 4 + within % 4]);
            const std::uint32_t scale = mxfp4Scale(e);
            const std::uint32_t words[4] = {w.x, w.y, w.z, w.w};
            MOESCOPE_UNROLL
            for (int octet = 0; octet < 4; ++octet) {
                const Octet x = tokens(chunk, octet, lane, high, low);
                const std::uint32_t word = words[octet];
                multiplyAccumulate(acc, x.first, multiplyBf16(mxfp4Pair<0>(word), scale),
                                   multiplyBf16(mxfp4Pair<1>(word), scale));
                multiplyAccumulate(acc, x.second, multiplyBf16(mxfp4Pair<2>(word), scale),
                                   multiplyBf16(mxfp4Pair<3>(word), scale));
            }
        } else if constexpr (F == WeightFormat::Q8_0) {
            const uint4 w = codes[lane];
            const auto* words = reinterpret_cast<const uint2*>(scales) + within * 4 + lane % 4;
            multiplyQ8(acc, tokens(chunk, 0, lane, high, low), w.x, w.y, words->x);
            multiplyQ8(acc, tokens(chunk, 1, lane, high, low), w.z, w.w, words->y);
        } else {
            const Octet x = tokens(chunk, 0, lane, high, low);
            MOESCOPE_UNROLL
            for (int plane = 0; plane < chunkUnits(F) / 32; ++plane) {
                const uint4 w = codes[32 * plane + lane];
                multiplyAccumulate(acc, x.first, w.x, w.y);
                multiplyAccumulate(acc, x.second, w.z, w.w);
            }
        }
    }

    /// A block of 32: its sum is scaled in float32, so that codes stay exact.
    __device__ __forceinline__ static void multiplyQ8(float (&acc)[4], const Octet& x,
                                                      std::uint32_t low4, std::uint32_t high4,
                                                      std::uint32_t scales) {
        float sum[4] = {0, 0, 0, 0};
        multiplyAccumulate(sum, x.first, q8Pair(low4, 0), q8Pair(low4, 1));
        multiplyAccumulate(sum, x.second, q8Pair(high4, 0), q8Pair(high4, 1));
        const float even = fromHalf(static_cast<std::uint16_t>(scales & 0xFFFFU));
        const float odd = fromHalf(static_cast<std::uint16_t>(scales >> 16U));
        acc[0] += sum[0] * even;
        acc[1] += sum[1] * odd;
        acc[2] += sum[2] * even;
        acc[3] += sum[3] * odd;
    }
    /// Bytes 2 half and 2 half + 1 as bf16, which holds every int8.
    __device__ __forceinline__ static std::uint32_t q8Pair(std::uint32_t bytes, int half) {
        const std::uint32_t unsignedBytes = (bytes ^ 0x80808080U) >> (16 * half);
        // 2^23 + u as float bits: no conversion from integers.
        const float first = bitsToFloat(0x4B000000U | (unsignedBytes & 0xFFU)) - 8388736.0F;
        const float second = bitsToFloat(0x4B000000U | (unsignedBytes >> 8U & 0xFFU)) - 8388736.0F;
        return packBf16(first, second);
    }

    const DeviceMatrix& m_;
    const PieceShape& shape_;
    CopyBarrier* barriers_;
    std::byte* buffers_;
};

/// A warp's results of one tile, both parts of each token added, for the block to sum up.
/// to: (kDecodeTokens, kTileRows).
__device__ __forceinline__ void storePartial(float* to, const float (&acc)[4], int tokens) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    if (lane / 4 >= tokens) return;
    float* row = to + lane / 4 * kTileRows + 2 * (lane % 4);
    row[0] = acc[0] + acc[2];
    row[1] = acc[1] + acc[3];
}

}  // namespace moescope::cuda
