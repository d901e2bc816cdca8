// SPDX-License-Identifier: Apache-2.0
// Prefill's matrix products with wgmma, for sm_90a. Other targets get kernels that stop: the host
// asks hasWarpgroups() first.
#include <algorithm>
#include <cassert>

#include "engine/backend/cuda/prefill_pipeline.h"

namespace moescope::cuda {
namespace {

// Registers: what 64 Ki leave to the consumers when the producer gives up most of its share.
using Rows192 = PipelineShape<3, 1, 160, 160, 32>;
using Rows256 = PipelineShape<2, 2, 128, 232, 40>;
using Rows128 = PipelineShape<2, 1, 256, 232, 40>;

constexpr int kMostStages = 8;
constexpr int kFewestStages = 3;

/// `blockTiles`: tiles of weights of a block; `xRows`: rows of activations.
PipelineMaps mapsOf(const Product& p, int blockTiles, int xRows) {
    const DeviceMatrix& w = p.weights;
    TensorView codes;
    codes.data = w.codes;
    codes.columns = 4 * w.tileUnits();
    codes.rows = std::int64_t{p.nExpert} * w.tiles();
    codes.rowBytes = 16 * w.tileUnits();
    codes.boxColumns = groupWords(w.format);
    codes.boxRows = blockTiles;
    TensorView x;
    x.data = p.x.high;
    x.elementBytes = 2;
    x.columns = w.paddedCols();
    x.rows = xRows;
    x.rowBytes = std::int64_t{2} * p.x.stride;
    x.boxColumns = kPanelColumns;
    x.boxRows = kBoxTokens;
    x.swizzled = true;
    PipelineMaps maps{tensorMapOf(codes), tensorMapOf(x), {}};
    if (p.x.low != nullptr) {
        x.data = p.x.low;
        maps.low = tensorMapOf(x);
    }
    return maps;
}

template <WeightFormat kFormat, typename Shape, int kPlanes>
void launchPipeline(const Product& p, int tileTokens, cudaStream_t stream) {
    assert(p.x.format == p.weights.format && p.x.stride >= p.weights.paddedCols());
    PipelinePlan plan;
    plan.tileTokens = std::min(tileTokens, Shape::kTokens);
    const auto stagesThatFit = [&](int tokens) {
        return static_cast<int>(deviceLimits().sharedOfBlock) /
               pipelineShared(kFormat, Shape::kRows, kPlanes, {tokens, 0, 1});
    };
    while (plan.tileTokens > 32 && stagesThatFit(plan.tileTokens) < kFewestStages) {
        plan.tileTokens -= 32;
    }
    plan.stages = std::min(kMostStages, stagesThatFit(plan.tileTokens));
    const bool grouped = p.groups.offsets != nullptr;
    const int products = grouped ? p.tokens * p.topK : p.tokens;
    // Every expert may have a tile more; there is nothing to do for those past the last.
    plan.tiles = (products + plan.tileTokens - 1) / plan.tileTokens + (grouped ? p.nExpert : 0);
    const int rowBlocks = (p.weights.rows + Shape::kRows - 1) / Shape::kRows;
    Launch l;
    l.grid = dim3(
        static_cast<unsigned>(std::min(deviceLimits().multiprocessors, rowBlocks * plan.tiles)));
    l.block = dim3(Shape::kThreads);
    l.sharedBytes = static_cast<std::size_t>(pipelineShared(kFormat, Shape::kRows, kPlanes, plan));
    l.stream = stream;
    l.overlap = true;
    launch(l, pipelineKernel<kFormat, Shape, kPlanes>, p, plan,
           mapsOf(p, Shape::kRows / kTileRows, products));
}

/// The copy engine takes rows as they lie, so those of slots are put in the slots' order first: one
/// pass over them, which is little beside the product.
Product withSortedRows(const Product& p, cudaStream_t stream) {
    // With one expert that every token chooses slots are tokens.
    if (p.kind != ProductKind::Up || (p.topK == 1 && p.nExpert == 1)) return p;
    assert(p.sorted.high != nullptr);
    Product sorted = p;
    sorted.x = p.sorted;
    gatherSlots(p, stream);
    return sorted;
}

template <typename Shape>
void launchShape(const Product& p, int tileTokens, cudaStream_t stream) {
    const bool low = p.x.low != nullptr;
    switch (p.weights.format) {
        case WeightFormat::Mxfp4:
            return low ? launchPipeline<WeightFormat::Mxfp4, Shape, 2>(p, tileTokens, stream)
                       : launchPipeline<WeightFormat::Mxfp4, Shape, 1>(p, tileTokens, stream);
        case WeightFormat::Bf16:
            return low ? launchPipeline<WeightFormat::Bf16, Shape, 2>(p, tileTokens, stream)
                       : launchPipeline<WeightFormat::Bf16, Shape, 1>(p, tileTokens, stream);
        default:
            return launchPipeline<WeightFormat::Q8_0, Shape, 1>(p, tileTokens, stream);
    }
}

/// Tokens of a tile with which the multiprocessors are done soonest: the last round of tiles may
/// leave most of them idle.
int bestTile(const Product& p, int rows, int most) {
    constexpr int kTokensOfOverhead = 24;  // what starting and storing a tile costs
    const int rowBlocks = (p.weights.rows + rows - 1) / rows;
    int best = most, bestCost = 0;
    for (int tile = most; tile >= 64; tile -= 32) {
        const int tiles = (p.tokens + tile - 1) / tile;
        const int rounds = (rowBlocks * tiles + deviceLimits().multiprocessors - 1) /
                           deviceLimits().multiprocessors;
        const int cost = rounds * (tile + kTokensOfOverhead);
        if (bestCost == 0 || cost < bestCost) {
            best = tile;
            bestCost = cost;
        }
    }
    return best;
}

}  // namespace

bool hasWarpgroups() {
#ifdef MOESCOPE_SIMT_EMULATED
    return true;
#else
    // Code compiled for an older architecture runs on Hopper too, and has no warpgroup products.
    cudaFuncAttributes attributes{};
    const auto kernel = pipelineKernel<WeightFormat::Bf16, Rows192, 1>;
    check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel's target");
    return attributes.ptxVersion >= 90;
#endif
}

void multiplyWarpgroups(const Product& p, WarpgroupBlock block, int tileTokens,
                        cudaStream_t stream) {
    assert(warpgroupsTake(p.weights.format, p.x.low != nullptr));
    if (p.tokens <= 0) return;
    const Product sorted = withSortedRows(p, stream);
    switch (block) {
        case WarpgroupBlock::Rows192Tokens160:
            return launchShape<Rows192>(sorted, tileTokens, stream);
        case WarpgroupBlock::Rows256Tokens128:
            return launchShape<Rows256>(sorted, tileTokens, stream);
        case WarpgroupBlock::Rows128Tokens256:
            return launchShape<Rows128>(sorted, tileTokens, stream);
    }
}

void multiplyWarpgroups(const Product& p, cudaStream_t stream) {
    // The tiles of experts are as large as their slots, up to this.
    const int tile = p.groups.offsets != nullptr ? Rows192::kTokens
                                                 : bestTile(p, Rows192::kRows, Rows192::kTokens);
    multiplyWarpgroups(p, WarpgroupBlock::Rows192Tokens160, tile, stream);
}

}  // namespace moescope::cuda
