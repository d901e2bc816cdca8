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

/// Where a group of weights is.
struct Group {
    std::int64_t matrix;
    int tile;
    int group;
};

/// Four sums, so that a product need not wait for the one before.
struct Accumulators {
    float sum[4][4] = {};
};

/// One warp's ring. All lanes call everything, in the same order.
template <WeightFormat F>
class WeightRing {
public:
    /// memory: the block's rings; barriers: (kBlockWarps, kRingGroups).
    __device__ WeightRing(const DeviceMatrix& m, std::byte* memory, CopyBarrier* barriers)
        : m_(m),
          barriers_(barriers + threadIdx.x / kWarp * kRingGroups),
          buffers_(memory + static_cast<int>(threadIdx.x / kWarp) * kRingGroups * groupBytes(F)),
          lane_(static_cast<int>(threadIdx.x % kWarp)) {
        prepareBarriers(barriers_, kRingGroups);
    }

    /// Begins to copy the warp's group number `index`, counted from 0 over all its tiles. Its
    /// buffer is that of group index - kRingGroups, which must have been multiplied.
    __device__ void fetch(int index, const Group& g) {
        const int slot = index % kRingGroups;
        std::byte* to = buffers_ + slot * groupBytes(F);
        const int chunk = g.group * kGroupChunks;
        const int chunks = min(kGroupChunks, m_.chunks() - chunk);
        auto codeBytes = static_cast<std::uint32_t>(16 * chunks * chunkUnits(F));
        if (F == WeightFormat::Mxfp4 && chunk + chunks == m_.chunks())
            codeBytes -= 128U * static_cast<unsigned>(4 - m_.lastChunkBlocks());
        std::uint32_t scaleBytes = 0;
        if constexpr (F == WeightFormat::Mxfp4) scaleBytes = 128;
        if constexpr (F == WeightFormat::Q8_0) scaleBytes = 32U * static_cast<unsigned>(chunks);
        expectCopies(barriers_ + slot, codeBytes + scaleBytes);
        beginCopy(barriers_ + slot, to, m_.tileCodes(g.matrix, g.tile) + chunk * chunkUnits(F),
                  codeBytes);
        if (scaleBytes > 0) {
            beginCopy(barriers_ + slot, to + groupCodeBytes(F),
                      m_.tileScaleWords(g.matrix, g.tile) + g.group * 32, scaleBytes);
        }
    }

    /// Waits for group `index` and adds tokens times its weights. high, low: the lane's token from
    /// column 0 on, or null where it has none.
    __device__ __forceinline__ void multiply(Accumulators& acc, int index, int group,
                                             const std::uint16_t* high, const std::uint16_t* low) {
        const int slot = index % kRingGroups;
        const std::byte* buffer = buffers_ + slot * groupBytes(F);
        waitForCopies(barriers_ + slot, static_cast<std::uint32_t>(index / kRingGroups & 1));
        const int first = group * kGroupChunks;
        MOESCOPE_UNROLL
        for (int i = 0; i < kGroupChunks; ++i) {
            if (first + i >= m_.chunks()) break;
            multiplyChunk(acc, reinterpret_cast<const uint4*>(buffer) + i * chunkUnits(F),
                          buffer + groupCodeBytes(F), i, first + i, high, low);
        }
        __syncwarp();  // all lanes are done with the buffer
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

    __device__ __forceinline__ void multiplyChunk(Accumulators& acc, const uint4* codes,
                                                  const std::byte* scales, int i, int chunk,
                                                  const std::uint16_t* high,
                                                  const std::uint16_t* low) const {
        if constexpr (F == WeightFormat::Mxfp4) {
            const int blocks = chunk + 1 < m_.chunks() ? 4 : m_.lastChunkBlocks();
            const int t = lane_ % 4;
            const uint4 w = t < blocks ? codes[lane_ / 4 * blocks + t] : make_uint4(0, 0, 0, 0);
            const std::uint32_t scale =
                mxfp4Scale(static_cast<std::uint32_t>(scales[lane_ * 4 + i]));
            const std::uint32_t words[4] = {w.x, w.y, w.z, w.w};
            MOESCOPE_UNROLL
            for (int octet = 0; octet < 4; ++octet) {
                const Octet x = tokens(chunk, octet, lane_, high, low);
                const std::uint32_t word = words[octet];
                multiplyAccumulate(acc.sum[octet], x.first, multiplyBf16(mxfp4Pair<0>(word), scale),
                                   multiplyBf16(mxfp4Pair<1>(word), scale));
                multiplyAccumulate(acc.sum[octet ^ 1], x.second,
                                   multiplyBf16(mxfp4Pair<2>(word), scale),
                                   multiplyBf16(mxfp4Pair<3>(word), scale));
            }
        } else if constexpr (F == WeightFormat::Q8_0) {
            const uint4 w = codes[lane_];
            const auto* words = reinterpret_cast<const uint2*>(scales) + i * 4 + lane_ % 4;
            multiplyQ8(acc.sum[0], tokens(chunk, 0, lane_, high, low), w.x, w.y, words->x);
            multiplyQ8(acc.sum[1], tokens(chunk, 1, lane_, high, low), w.z, w.w, words->y);
        } else {
            const Octet x = tokens(chunk, 0, lane_, high, low);
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

    const DeviceMatrix& m_;
    CopyBarrier* barriers_;
    std::byte* buffers_;
    int lane_;
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
