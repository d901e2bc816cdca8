// SPDX-License-Identifier: Apache-2.0
// The inner loop of decoding: one warp multiplies a range of chunks of an 8-row tile with up to 8
// tokens. Device code, shared by the kernels of decode_project.cu and decode_experts.cu.
#pragma once

#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

inline constexpr int kBlockWarps = 8;
inline constexpr int kBlockThreads = kBlockWarps * kWarp;

/// Chunks whose weights a lane loads together, before it multiplies those of the group before.
inline constexpr int kGroupChunks = 4;

/// What a lane holds of a group of chunks.
template <WeightFormat F>
struct WeightGroup {
    static constexpr int kPlanes = F == WeightFormat::Bf16Pair ? 2 : 1;
    uint4 codes[kGroupChunks][kPlanes];
    std::uint32_t scales[F == WeightFormat::Q8_0 ? 2 * kGroupChunks : 1];
};

/// One tile of one matrix, as its warp reads it.
template <WeightFormat F>
class TileReader {
public:
    __device__ TileReader(const DeviceMatrix& m, std::int64_t matrix, int tile)
        : codes_(m.tileCodes(matrix, tile)),
          scales_(m.scales == nullptr ? nullptr : m.tileScaleWords(matrix, tile)),
          chunks_(m.chunks()),
          lastBlocks_(m.lastChunkBlocks()),
          lane_(static_cast<int>(threadIdx.x % kWarp)) {}

    __device__ int groups() const { return (chunks_ + kGroupChunks - 1) / kGroupChunks; }

    __device__ __forceinline__ void load(WeightGroup<F>& to, int group) const {
        MOESCOPE_UNROLL
        for (int i = 0; i < kGroupChunks; ++i) {
            const int chunk = group * kGroupChunks + i;
            const bool there = chunk < chunks_;
            if constexpr (F == WeightFormat::Mxfp4) {
                const int blocks = chunk + 1 < chunks_ ? 4 : lastBlocks_;
                const int t = lane_ % 4;
                to.codes[i][0] =
                    there && t < blocks
                        ? loadStreaming(codes_ + mxfp4Unit(chunk, blocks, lane_ / 4, t))
                        : make_uint4(0, 0, 0, 0);
            } else {
                MOESCOPE_UNROLL
                for (int p = 0; p < WeightGroup<F>::kPlanes; ++p) {
                    to.codes[i][p] =
                        there ? loadStreaming(codes_ + chunk * chunkUnits(F) + 32 * p + lane_)
                              : make_uint4(0, 0, 0, 0);
                }
            }
            if constexpr (F == WeightFormat::Q8_0) {
                for (int b = 0; b < 2; ++b) {
                    to.scales[2 * i + b] =
                        there ? loadStreaming(scales_ + (chunk * 4 + lane_ % 4) * 2 + b) : 0;
                }
            }
        }
        if constexpr (F == WeightFormat::Mxfp4) {
            to.scales[0] = loadStreaming(scales_ + group * 32 + lane_);
        }
    }

    /// acc += tokens times weights; x points to the rows of the lane's token (null: no such token).
    __device__ __forceinline__ void multiply(float (&acc)[4], const WeightGroup<F>& w, int group,
                                             const std::uint16_t* high,
                                             const std::uint16_t* low) const {
        MOESCOPE_UNROLL
        for (int i = 0; i < kGroupChunks; ++i) {
            const int chunk = group * kGroupChunks + i;
            if (chunk >= chunks_) break;
            multiplyChunk(acc, w, i, chunk, high, low);
        }
    }

private:
    /// Operand A of an octet's two products.
    struct Octet {
        std::uint32_t first[4], second[4];
    };
    __device__ __forceinline__ Octet tokens(int chunk, int octet, const std::uint16_t* high,
                                            const std::uint16_t* low) const {
        uint4 h = make_uint4(0, 0, 0, 0);
        uint4 l = h;
        if (high != nullptr) {
            const int column = chunk * chunkColumns(F) + columnOf(F, octet, lane_ % 4);
            h = *reinterpret_cast<const uint4*>(high + column);
            l = *reinterpret_cast<const uint4*>(low + column);
        }
        return {{h.x, l.x, h.y, l.y}, {h.z, l.z, h.w, l.w}};
    }

    __device__ __forceinline__ void multiplyChunk(float (&acc)[4], const WeightGroup<F>& w, int i,
                                                  int chunk, const std::uint16_t* high,
                                                  const std::uint16_t* low) const {
        if constexpr (F == WeightFormat::Mxfp4) {
            const std::uint32_t scale = mxfp4Scale(w.scales[0] >> (8 * i) & 0xFFU);
            const std::uint32_t words[4] = {w.codes[i][0].x, w.codes[i][0].y, w.codes[i][0].z,
                                            w.codes[i][0].w};
            MOESCOPE_UNROLL
            for (int octet = 0; octet < 4; ++octet) {
                const Octet x = tokens(chunk, octet, high, low);
                const std::uint32_t word = words[octet];
                multiplyAccumulate(acc, x.first, multiplyBf16(mxfp4Pair<0>(word), scale),
                                   multiplyBf16(mxfp4Pair<1>(word), scale));
                multiplyAccumulate(acc, x.second, multiplyBf16(mxfp4Pair<2>(word), scale),
                                   multiplyBf16(mxfp4Pair<3>(word), scale));
            }
        } else if constexpr (F == WeightFormat::Q8_0) {
            const uint4 codes = w.codes[i][0];
            multiplyQ8(acc, tokens(chunk, 0, high, low), codes.x, codes.y, w.scales[2 * i]);
            multiplyQ8(acc, tokens(chunk, 1, high, low), codes.z, codes.w, w.scales[2 * i + 1]);
        } else {
            const Octet x = tokens(chunk, 0, high, low);
            MOESCOPE_UNROLL
            for (int p = 0; p < WeightGroup<F>::kPlanes; ++p) {
                const uint4 codes = w.codes[i][p];
                multiplyAccumulate(acc, x.first, codes.x, codes.y);
                multiplyAccumulate(acc, x.second, codes.z, codes.w);
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

    const uint4* codes_;
    const std::uint32_t* scales_;
    int chunks_;
    int lastBlocks_;
    int lane_;
};

/// Groups [begin, end) of a tile; `ahead` holds group `begin` already.
template <WeightFormat F>
__device__ __forceinline__ void multiplyRange(float (&acc)[4], const TileReader<F>& tile,
                                              WeightGroup<F>& ahead, int begin, int end,
                                              const std::uint16_t* high, const std::uint16_t* low) {
    for (int group = begin; group < end; ++group) {
        const WeightGroup<F> now = ahead;
        if (group + 1 < end) tile.load(ahead, group + 1);
        tile.multiply(acc, now, group, high, low);
    }
}

/// A lane's two results: rows 2t and 2t + 1 of the tile for token g, both parts of the token added.
__device__ __forceinline__ float2 resultOf(const float (&acc)[4]) {
    return make_float2(acc[0] + acc[2], acc[1] + acc[3]);
}

}  // namespace moescope::cuda
