// SPDX-License-Identifier: Apache-2.0
// Weights of a consumer warp of the wgmma pipeline: they lie in a stage of shared memory as the
// copy engine brought them, and are decoded octet by octet into the operand A of wgmma.
#pragma once

#include "engine/backend/cuda/prefill_operand.h"

namespace moescope::cuda {

/// Bytes of a tile's weights in a stage.
__host__ __device__ constexpr int stagedTileBytes(WeightFormat format) {
    return groupUnits(format) * kWarp * 16;
}

/// 32-bit words of a tile's weights in a group.
__host__ __device__ constexpr int groupWords(WeightFormat format) {
    return stagedTileBytes(format) / 4;
}
/// Panels of a matrix, whole groups.
template <WeightFormat kFormat>
__device__ __forceinline__ int panelsOf(const DeviceMatrix& weights) {
    constexpr int kColumns = groupPanels(kFormat) * kPanelColumns;
    return (weights.cols + kColumns - 1) / kColumns * groupPanels(kFormat);
}

/// The two tiles of a warp, 16 rows.
template <WeightFormat kFormat>
class StagedWeights {
public:
    static constexpr int kTiles = 2;

    /// `weights` of this format: a copy of it lets the compiler know that. `warpTile`: the warp's
    /// first tile within the block's, which begin with `firstTile`.
    __device__ StagedWeights(const DeviceMatrix& weights, int matrix, int firstTile, int warpTile)
        : weights_{weights.codes, weights.scales, weights.rows, weights.cols, kFormat},
          tiles_(weights_.tiles() - firstTile),
          warpTile_(warpTile),
          lane_(static_cast<int>(threadIdx.x) % kWarp) {
        if constexpr (kFormat != WeightFormat::Bf16) {
            scaleWords_ = weights_.tileScaleWords(matrix, firstTile);
            fetchScales(0);
        }
    }

    __device__ int groups() const { return panelsOf<kFormat>(weights_) / groupPanels(kFormat); }

    /// Turns to a group, whose weights lie at `staged`. To be called for each in order.
    __device__ __forceinline__ void enter(int group, const std::byte* staged) {
        if constexpr (kFormat == WeightFormat::Bf16) {
            staged_ = staged;
        } else {
            const int blocks = kFormat == WeightFormat::Mxfp4 && group + 1 == weights_.chunks()
                                   ? weights_.lastChunkBlocks()
                                   : 4;
            const int unit = lane_ / 4 * blocks + lane_ % 4;
            MOESCOPE_UNROLL
            for (int k = 0; k < kTiles; ++k) {
                words_[k] = lane_ % 4 < blocks ? unitAt(staged, k, unit) : uint4{0, 0, 0, 0};
                if constexpr (kFormat == WeightFormat::Mxfp4) {
                    scales_[k][0] = finiteMxfp4Scale(next_[k][0] >> 8 * (group % 4) & 0xFFU);
                } else {
                    scales_[k][0] = next_[k][0];
                    scales_[k][1] = next_[k][1];
                }
            }
            // A word of Mxfp4's has the scales of four groups.
            const bool newWord = kFormat != WeightFormat::Mxfp4 || (group + 1) % 4 == 0;
            if (newWord && group + 1 < weights_.chunks()) fetchScales(group + 1);
        }
    }

    /// Operands of octet kOctet of the group, for two products.
    template <int kOctet>
    __device__ __forceinline__ void decode(std::uint32_t (&a)[2][4]) const {
        std::uint32_t rows[kTiles][4];
        MOESCOPE_UNROLL
        for (int k = 0; k < kTiles; ++k) decodeTile<kOctet>(k, rows[k]);
        joinRows(rows[0], rows[1], a);
    }

private:
    __device__ int tileOf(int k) const { return warpTile_ + k; }

    __device__ uint4 unitAt(const std::byte* staged, int k, int unit) const {
        return *reinterpret_cast<const uint4*>(staged + tileOf(k) * stagedTileBytes(kFormat) +
                                               unit * 16);
    }

    __device__ void fetchScales(int group) {
        MOESCOPE_UNROLL
        for (int k = 0; k < kTiles; ++k) {
            const bool valid = tileOf(k) < tiles_;
            const std::uint32_t* const words =
                scaleWords_ + std::int64_t{tileOf(k)} * weights_.tileScales();
            if constexpr (kFormat == WeightFormat::Mxfp4) {
                next_[k][0] = valid ? words[group / 4 * kWarp + lane_] : 0;
            } else {
                next_[k][0] = valid ? words[group * 8 + lane_ / 8 * 2] : 0;
                next_[k][1] = valid ? words[group * 8 + lane_ / 8 * 2 + 1] : 0;
            }
        }
    }

    template <int kOctet>
    __device__ __forceinline__ void decodeTile(int k, std::uint32_t (&pairs)[4]) const {
        if constexpr (kFormat == WeightFormat::Mxfp4) {
            const std::uint32_t word = kOctet == 0   ? words_[k].x
                                       : kOctet == 1 ? words_[k].y
                                       : kOctet == 2 ? words_[k].z
                                                     : words_[k].w;
            decodeMxfp4(word, scales_[k][0], pairs);
        } else if constexpr (kFormat == WeightFormat::Q8_0) {
            decodeInt8(kOctet == 0 ? words_[k].x : words_[k].z,
                       kOctet == 0 ? words_[k].y : words_[k].w, pairs);
            const std::uint32_t word = scales_[k][kOctet];
            const float factor = fromHalf(
                static_cast<std::uint16_t>(lane_ / 4 % 2 != 0 ? word >> 16U : word & 0xFFFFU));
            MOESCOPE_UNROLL
            for (std::uint32_t& both : pairs) {
                both = packBf16(bitsToFloat(both << 16U) * factor,
                                bitsToFloat(both & 0xFFFF0000U) * factor);
            }
        } else {
            // Zeros where the last group has one octet only.
            const uint4 words = unitAt(staged_, k, kOctet * kWarp + lane_);
            pairs[0] = words.x;
            pairs[1] = words.y;
            pairs[2] = words.z;
            pairs[3] = words.w;
        }
    }

    const DeviceMatrix weights_;
    const std::uint32_t* scaleWords_ = nullptr;
    int tiles_, warpTile_, lane_;
    const std::byte* staged_ = nullptr;     // Bf16
    uint4 words_[kTiles] = {};              // Mxfp4, Q8_0: of the group
    std::uint32_t scales_[kTiles][2] = {};  // Mxfp4: as factors; Q8_0: halves of both octets
    std::uint32_t next_[kTiles][2] = {};    // words for the next group
};

}  // namespace moescope::cuda
