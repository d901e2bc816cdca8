// SPDX-License-Identifier: Apache-2.0
// The one matrix product behind project, expertsUp and expertsDown: what a launch of it needs, and
// its choice of instructions and tiles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/device_limits.h"
#include "engine/backend/cuda/prefill.h"

namespace moescope::cuda {

enum class ProductKind : std::uint8_t { Project, Up, Down };

/// Rows of weights times rows of activations. With groups, the i-th row of the product belongs to
/// the i-th slot; its activations are row slots[i] / topK (Up) or row i (Down).
struct Product {
    DeviceMatrix weights;
    OperandRows x;
    const float* bias = nullptr;  // (stack, rows), or null
    ExpertGroups groups;          ///< Project: null
    std::int32_t tokens = 0, topK = 1, nExpert = 1;
    float* out = nullptr;  ///< Project, Down
    std::int32_t outStride = 0;
    std::int32_t stages = 2;  ///< of the mma.sync kernel's pipeline, 2 to 4
    ProductKind kind = ProductKind::Project;
    bool add = false;                          ///< Project: out += product
    Activation activation = Activation::Silu;  ///< Up
    float swigluAlpha = 0, swigluLimit = 0;
    OperandRows hidden;
    OperandRows sorted;  ///< Up: as ExpertsUp's
};

inline constexpr int kProductWarps = 4;
inline constexpr int kProductThreads = kProductWarps * kWarp;
/// Rows of weights that a block multiplies.
inline constexpr int kBlockRows = 128;
inline constexpr int kBlockTiles = kBlockRows / kTileRows;
/// Columns that a stage of the pipeline holds: a row of them is 128 bytes.
inline constexpr int kPanelColumns = 64;
inline constexpr int kPanelBytes = 2 * kPanelColumns;

/// 16-byte units of a lane in one group of a tile's weights: a panel, or for Mxfp4 a chunk, which
/// is two.
__host__ __device__ constexpr int groupUnits(WeightFormat format) {
    return format == WeightFormat::Bf16 ? 2 : format == WeightFormat::Bf16Pair ? 4 : 1;
}
__host__ __device__ constexpr int groupPanels(WeightFormat format) {
    return format == WeightFormat::Mxfp4 ? 2 : 1;
}
__host__ __device__ constexpr int groupBytes(WeightFormat format) {
    return kBlockTiles * groupUnits(format) * kWarp * 16;
}
/// Groups of weights that are in use or on their way at once.
__host__ __device__ constexpr int groupSlots(WeightFormat format, int stages) {
    return format == WeightFormat::Mxfp4 ? (stages + 2) / 2 : stages;
}

/// Bf16 and Mxfp4 give the same with wgmma as with mma.sync. Q8_0 weights are rounded to bf16
/// there, so only products whose activations are rounded as well take it.
constexpr bool warpgroupsTake(WeightFormat format, bool low) {
    return format == WeightFormat::Bf16 || format == WeightFormat::Mxfp4 ||
           (format == WeightFormat::Q8_0 && !low);
}

/// Most tokens of a tile of the wgmma kernel.
inline constexpr int kWarpgroupTokens = 160;

Product productOf(const Projection& p);
Product productOf(const ExpertsUp& e);
Product productOf(const ExpertsDown& e);

/// Up: sorted row i = activations of the i-th slot's token.
void gatherSlots(const Product& p, cudaStream_t stream);

/// With mma.sync and `tileTokens` (32, 64, 128) rows of activations to a block.
void multiplyMma(const Product& p, int tileTokens, cudaStream_t stream);
/// With wgmma, where warpgroupsTake it; `tileTokens`: a multiple of 32, at most kWarpgroupTokens.
void multiplyWarpgroups(const Product& p, int tileTokens, cudaStream_t stream);
/// The same with the best tile.
void multiplyWarpgroups(const Product& p, cudaStream_t stream);
/// As the device at hand does it best.
void multiply(const Product& p, cudaStream_t stream);

/// Whether the running device has code for wgmma.
bool hasWarpgroups();

}  // namespace moescope::cuda
