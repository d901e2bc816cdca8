// SPDX-License-Identifier: Apache-2.0
// The inner loops of decoding. Each warp of a block streams its own share of the weights through a
// ring of buffers in shared memory, copied by the bulk copy engine while it multiplies; warps do
// not wait for each other before their sums are added up. Device code, shared by the kernels of
// decode_project.cu and decode_experts.cu.
#pragma once

#include "engine/backend/cuda/bulk_copy.h"
#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

inline constexpr int kBlockWarps = 8;
inline constexpr int kBlockThreads = kBlockWarps * kWarp;
/// Chunks that are copied and multiplied together.
inline constexpr int kGroupChunks = 4;
/// Groups of a warp that may be under way.
inline constexpr int kRingGroups = 3;

/// Bytes of a group in a ring: codes, then scales (128 bytes in either format that has them).
__host__ __device__ constexpr int groupCodeBytes(WeightFormat format) {
    return kGroupChunks * 16 * chunkUnits(format);
}
__host__ __device__ constexpr int groupBytes(WeightFormat format) {
    const bool scaled = format == WeightFormat::Q8_0 || format == WeightFormat::Mxfp4;
    return groupCodeBytes(format) + (scaled ? 128 : 0);
}
/// Bytes of the rings of a block.
__host__ __device__ constexpr int ringBytes(WeightFormat format) {
    return kBlockWarps * kRingGroups * groupBytes(format);
}
inline int groupsOf(const DeviceMatrix& m) {
    return (m.chunks() + kGroupChunks - 1) / kGroupChunks;
}

/// A matrix as the kernels walk it: what DeviceMatrix computes, computed once. An integer division
/// costs a warp as much as multiplying two chunks.
struct WeightStream {
    const std::byte* codes;                  // (stack, tiles, tileCodes)
    const std::byte* scales;                 // (stack, tiles, tileScales), or null
    std::int64_t matrixCodes, matrixScales;  ///< bytes of a matrix of the stack
    std::int32_t tileCodes, tileScales;      ///< bytes of a tile
    std::int32_t tiles, chunks, groups;      ///< chunks and groups: of a tile
    std::int32_t lastBlocks;                 ///< DeviceMatrix::lastChunkBlocks
    std::int32_t rows, cols, paddedCols;
};
inline WeightStream streamOf(const DeviceMatrix& m) {
    WeightStream s{};
    s.codes = reinterpret_cast<const std::byte*>(m.codes);
    s.scales = reinterpret_cast<const std::byte*>(m.scales);
    s.matrixCodes = static_cast<std::int64_t>(m.codeBytes());
    s.matrixScales = static_cast<std::int64_t>(m.scaleBytes());
    s.tileCodes = static_cast<std::int32_t>(16 * m.tileUnits());
    s.tileScales = static_cast<std::int32_t>(4 * m.tileScales());
    s.tiles = m.tiles();
    s.chunks = m.chunks();
    s.groups = groupsOf(m);
    s.lastBlocks = m.lastChunkBlocks();
    s.rows = m.rows;
    s.cols = m.cols;
    s.paddedCols = m.paddedCols();
    return s;
}

/// The row that a lane reads as operand A; lanes without a token have zeros, and load nothing.
struct TokenRow {
    const std::uint32_t* words;
    bool there;
};
__device__ __forceinline__ TokenRow rowOfLane(const PairRows& rows, int tokens) {
    const int token = static_cast<int>(threadIdx.x % kWarp) / 4;
    return {rows.words + std::int64_t{min(token, tokens - 1)} * rows.stride, token < tokens};
}

/// 16 bytes from an address space that is known: a generic load has to find out.
template <bool kShared>
__device__ __forceinline__ void loadOperand(std::uint32_t (&to)[4], const std::uint32_t* at,
                                            bool there) {
    MOESCOPE_UNROLL
    for (std::uint32_t& word : to) word = 0;
    if (!there) return;
#ifdef __CUDA_ARCH__
    if constexpr (kShared) {
        const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
        asm("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
            : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
            : "r"(address)
            : "memory");
    } else {
        asm("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
            : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
            : "l"(at)
            : "memory");
    }
#else
    __builtin_memcpy(to, at, sizeof to);
#endif
}

/// Four sums, so that a product need not wait for the one before.
struct Accumulators {
    float sum[4][4] = {};
};

/// One warp's ring. All lanes call everything, in the same order; groups are multiplied in the
/// order in which they were fetched, and at most kRingGroups are fetched ahead.
template <WeightFormat F>
class WeightRing {
public:
    /// memory: the block's rings; barriers: (kBlockWarps, kRingGroups).
    __device__ WeightRing(const WeightStream& m, std::byte* memory, CopyBarrier* barriers)
        : m_(m),
          barriers_(barriers + threadIdx.x / kWarp * kRingGroups),
          buffers_(memory + static_cast<int>(threadIdx.x / kWarp) * kRingGroups * groupBytes(F)),
          lane_(static_cast<int>(threadIdx.x % kWarp)) {
        prepareBarriers(barriers_, kRingGroups);
    }

    /// Begins to copy a group of a tile. codes and scales: of the tile's first chunk.
    __device__ __forceinline__ void fetch(const std::byte* codes, const std::byte* scales,
                                          int group) {
        std::byte* to = buffers_ + fetchSlot_ * groupBytes(F);
        CopyBarrier* barrier = barriers_ + fetchSlot_;
        fetchSlot_ = fetchSlot_ + 1 == kRingGroups ? 0 : fetchSlot_ + 1;
        const int from = group * groupCodeBytes(F);
        // The tile ends with its last chunk, which may be a short one.
        const auto codeBytes =
            static_cast<std::uint32_t>(min(groupCodeBytes(F), m_.tileCodes - from));
        std::uint32_t scaleBytes = 0;
        if constexpr (F == WeightFormat::Mxfp4 || F == WeightFormat::Q8_0)
            scaleBytes = static_cast<std::uint32_t>(min(128, m_.tileScales - group * 128));
        expectCopies(barrier, codeBytes + scaleBytes);
        beginCopy(barrier, to, codes + from, codeBytes);
        if (scaleBytes > 0)
            beginCopy(barrier, to + groupCodeBytes(F), scales + group * 128, scaleBytes);
    }

    /// Waits for the next group and adds tokens times its weights. row: the lane's token from
    /// column 0 on (see rowOfLane), in shared memory or in global memory.
    template <bool kShared>
    __device__ __forceinline__ void multiply(Accumulators& acc, int group, const TokenRow& row) {
        const std::byte* buffer = buffers_ + slot_ * groupBytes(F);
        waitForCopies(barriers_ + slot_, phase_);
        if (++slot_ == kRingGroups) {
            slot_ = 0;
            phase_ ^= 1U;
        }
        const int first = group * kGroupChunks;
        MOESCOPE_UNROLL
        for (int i = 0; i < kGroupChunks; ++i) {
            if (first + i >= m_.chunks) break;
            multiplyChunk<kShared>(acc, reinterpret_cast<const uint4*>(buffer) + i * chunkUnits(F),
                                   buffer + groupCodeBytes(F), i, first + i, row);
        }
        __syncwarp();  // all lanes are done with the buffer
    }

private:
    /// Operand A of an octet's two products.
    struct Octet {
        std::uint32_t first[4], second[4];
    };
    template <bool kShared>
    __device__ __forceinline__ static Octet tokens(const TokenRow& row, int chunk, int octet,
                                                   int lane) {
        constexpr int kOctetsApart =
            F == WeightFormat::Mxfp4 ? 32 : chunkColumns(F) / chunkOctets(F);
        const std::uint32_t* at =
            row.words + chunk * chunkColumns(F) + octet * kOctetsApart + 8 * (lane % 4);
        Octet x;
        loadOperand<kShared>(x.first, at, row.there);
        loadOperand<kShared>(x.second, at + 4, row.there);
        return x;
    }

    template <bool kShared>
    __device__ __forceinline__ void multiplyChunk(Accumulators& acc, const uint4* codes,
                                                  const std::byte* scales, int i, int chunk,
                                                  const TokenRow& row) const {
        if constexpr (F == WeightFormat::Mxfp4) {
            const int blocks = chunk + 1 < m_.chunks ? 4 : m_.lastBlocks;
            const int t = lane_ % 4;
            const uint4 w = t < blocks ? codes[lane_ / 4 * blocks + t] : make_uint4(0, 0, 0, 0);
            const std::uint32_t scale =
                mxfp4Scale(static_cast<std::uint32_t>(scales[lane_ * 4 + i]));
            const std::uint32_t words[4] = {w.x, w.y, w.z, w.w};
            MOESCOPE_UNROLL
            for (int octet = 0; octet < 4; ++octet) {
                const Octet x = tokens<kShared>(row, chunk, octet, lane_);
                const std::uint32_t word = words[octet];
                multiplyAccumulate(acc.sum[2 * (octet % 2)], x.first,
                                   multiplyBf16(mxfp4Pair<0>(word), scale),
                                   multiplyBf16(mxfp4Pair<1>(word), scale));
                multiplyAccumulate(acc.sum[2 * (octet % 2) + 1], x.second,
                                   multiplyBf16(mxfp4Pair<2>(word), scale),
                                   multiplyBf16(mxfp4Pair<3>(word), scale));
            }
        } else if constexpr (F == WeightFormat::Q8_0) {
            const uint4 w = codes[lane_];
            const auto* words = reinterpret_cast<const uint2*>(scales) + i * 4 + lane_ % 4;
            multiplyQ8(acc.sum[0], tokens<kShared>(row, chunk, 0, lane_), w.x, w.y, words->x);
            multiplyQ8(acc.sum[1], tokens<kShared>(row, chunk, 1, lane_), w.z, w.w, words->y);
        } else {
            const Octet x = tokens<kShared>(row, chunk, 0, lane_);
            MOESCOPE_UNROLL
            for (int plane = 0; plane < chunkUnits(F) / 32; ++plane) {
                const uint4 w = codes[32 * plane + lane_];
                multiplyAccumulate(acc.sum[2 * (i % 2)], x.first, w.x, w.y);
                multiplyAccumulate(acc.sum[2 * (i % 2) + 1], x.second, w.z, w.w);
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

    const WeightStream& m_;
    CopyBarrier* barriers_;
    std::byte* buffers_;
    int lane_;
    int fetchSlot_ = 0;
    int slot_ = 0;
    std::uint32_t phase_ = 0;
};

/// A lane's results of a tile for token lane / 4, rows 2 (lane % 4) and the next: all sums, and
/// both parts of the token, added.
__device__ __forceinline__ float2 resultOf(const Accumulators& acc) {
    float2 y = make_float2(0, 0);
    MOESCOPE_UNROLL
    for (int i = 0; i < 4; ++i) {
        y.x += acc.sum[i][0] + acc.sum[i][2];
        y.y += acc.sum[i][1] + acc.sum[i][3];
    }
    return y;
}

/// to: (n_tokens, kTileRows), one warp's part of a tile.
__device__ __forceinline__ void storePartial(float* to, float2 y, int tokens) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    if (lane / 4 >= tokens) return;
    float* row = to + lane / 4 * kTileRows + 2 * (lane % 4);
    row[0] = y.x;
    row[1] = y.y;
}

}  // namespace moescope::cuda
