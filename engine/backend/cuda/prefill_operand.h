// SPDX-License-Identifier: Apache-2.0
// Weights of a warp on their way to the tensor cores: copied to shared memory as they lie, decoded
// in registers. Each lane reads back what it copied itself.
//
// A warp has four tiles in two pairs; a pair is 16 rows, the operand A of mma.m16n8k16.
#pragma once

#include "engine/backend/cuda/prefill_product.h"
#include "engine/backend/cuda/weight_codes.h"

namespace moescope::cuda {

inline constexpr int kWarpTiles = kBlockTiles / kProductWarps;

/// Tile, within the block, of a warp's tile k: pairs k / 2 of the four warps lie side by side,
/// which is how the 64 rows of a warpgroup product are shared out.
__device__ __forceinline__ int blockTile(int warp, int k) {
    return 2 * kProductWarps * (k / 2) + 2 * warp + k % 2;
}

template <WeightFormat kFormat>
class WarpWeights {
public:
    static constexpr int kPlanes = kFormat == WeightFormat::Bf16Pair ? 2 : 1;
    static constexpr bool kNoScales =
        kFormat == WeightFormat::Bf16 || kFormat == WeightFormat::Bf16Pair;
    static constexpr bool kScaled = kFormat == WeightFormat::Q8_0;  ///< after the product

    /// `weights` of this format: a copy of it lets the compiler know that.
    __device__ WarpWeights(const DeviceMatrix& weights, int matrix, int firstTile)
        : weights_{weights.codes, weights.scales, weights.rows, weights.cols, kFormat},
          codes_(weights_.tileCodes(matrix, firstTile)),
          scaleWords_(kNoScales ? nullptr : weights_.tileScaleWords(matrix, firstTile)),
          tiles_(weights_.tiles() - firstTile),
          warp_(static_cast<int>(threadIdx.x) / kWarp),
          lane_(static_cast<int>(threadIdx.x) % kWarp) {
        if constexpr (!kNoScales) fetchScales(0);
    }

    __device__ int paddedCols() const { return weights_.paddedCols(); }

    /// Begins to copy group `group`; zeros for what lies past the matrix.
    __device__ void copyGroup(int group, std::byte* slot) const {
        constexpr int kUnits = groupUnits(kFormat);
        const int unitsOfTile = static_cast<int>(weights_.tileUnits());
        MOESCOPE_UNROLL
        for (int k = 0; k < kWarpTiles; ++k) {
            const int tile = blockTile(warp_, k);
            const uint4* const codes = codes_ + std::int64_t{tile} * unitsOfTile;
            MOESCOPE_UNROLL
            for (int u = 0; u < kUnits; ++u) {
                int unit;
                bool valid;
                if constexpr (kFormat == WeightFormat::Mxfp4) {
                    const int blocks =
                        group + 1 < weights_.chunks() ? 4 : weights_.lastChunkBlocks();
                    unit = mxfp4Unit(group, blocks, lane_ / 4, lane_ % 4);
                    valid = lane_ % 4 < blocks;
                } else {
                    unit = group * kUnits * kWarp + u * kWarp + lane_;
                    valid = unit < unitsOfTile;
                }
                valid = valid && tile < tiles_;
                copyAsync16OrZero(slot + ((tile * kUnits + u) * kWarp + lane_) * 16,
                                  valid ? codes + unit : weights_.codes, valid);
            }
        }
    }

    /// Turns to a panel whose group lies in `slot`. To be called for each in order.
    __device__ void enter(int panel, const std::byte* slot) {
        slot_ = slot;
        half_ = panel % groupPanels(kFormat);
        if constexpr (!kNoScales) {
            if (half_ == 0) enterScales(panel / groupPanels(kFormat));
        }
    }

    /// Operand of octet `octet` (0, 1) of the panel for pair `pair`: of two mma.
    __device__ void decode(int octet, int pair, int plane, std::uint32_t (&a)[2][4]) const {
        std::uint32_t rows[2][4];
        decodeTile(octet, 2 * pair, plane, rows[0]);
        decodeTile(octet, 2 * pair + 1, plane, rows[1]);
        joinRows(rows[0], rows[1], a);
    }

    /// Q8_0: what products with octet `octet` of tile k are multiplied by, for this lane's row.
    __device__ float scale(int octet, int k) const {
        const std::uint32_t word = now_[k][octet];
        return fromHalf(
            static_cast<std::uint16_t>(lane_ / 4 % 2 != 0 ? word >> 16U : word & 0xFFFFU));
    }

private:
    __device__ void enterScales(int group) {
        MOESCOPE_UNROLL
        for (int k = 0; k < kWarpTiles; ++k) {
            if constexpr (kFormat == WeightFormat::Mxfp4) {
                scales_[k] = finiteMxfp4Scale(next_[k][0] >> 8 * (group % 4) & 0xFFU);
            } else if constexpr (kFormat == WeightFormat::Q8_0) {
                now_[k][0] = next_[k][0];
                now_[k][1] = next_[k][1];
            }
        }
        if (group + 1 < weights_.chunks()) fetchScales(group + 1);
    }

    __device__ void fetchScales(int group) {
        MOESCOPE_UNROLL
        for (int k = 0; k < kWarpTiles; ++k) {
            const int tile = blockTile(warp_, k);
            const std::uint32_t* words = scaleWords_ + std::int64_t{tile} * weights_.tileScales();
            if constexpr (kFormat == WeightFormat::Mxfp4) {
                next_[k][0] = tile < tiles_ ? words[group / 4 * kWarp + lane_] : 0;
            } else if constexpr (kFormat == WeightFormat::Q8_0) {
                words += group * 8 + lane_ / 8 * 2;
                next_[k][0] = tile < tiles_ ? words[0] : 0;
                next_[k][1] = tile < tiles_ ? words[1] : 0;
            }
        }
    }

    __device__ const std::byte* unit(int k, int u) const {
        return slot_ + ((blockTile(warp_, k) * groupUnits(kFormat) + u) * kWarp + lane_) * 16;
    }

    __device__ void decodeTile(int octet, int k, int plane, std::uint32_t (&pairs)[4]) const {
        if constexpr (kFormat == WeightFormat::Mxfp4) {
            const uint2 words = *reinterpret_cast<const uint2*>(unit(k, 0) + 8 * half_);
            decodeMxfp4(octet == 0 ? words.x : words.y, scales_[k], pairs);
        } else if constexpr (kFormat == WeightFormat::Q8_0) {
            const uint2 words = *reinterpret_cast<const uint2*>(unit(k, 0) + 8 * octet);
            decodeInt8(words.x, words.y, pairs);
        } else {
            const uint4 words = *reinterpret_cast<const uint4*>(unit(k, octet * kPlanes + plane));
            pairs[0] = words.x;
            pairs[1] = words.y;
            pairs[2] = words.z;
            pairs[3] = words.w;
        }
    }

    const DeviceMatrix weights_;
    const uint4* codes_;
    const std::uint32_t* scaleWords_;
    int tiles_, warp_, lane_;
    int half_ = 0;
    const std::byte* slot_ = nullptr;
    std::uint32_t scales_[kWarpTiles] = {};   // Mxfp4: of the group, as factors
    std::uint32_t now_[kWarpTiles][2] = {};   // Q8_0: of the panel, halves
    std::uint32_t next_[kWarpTiles][2] = {};  // words of the next group
};

}  // namespace moescope::cuda
