// SPDX-License-Identifier: Apache-2.0
// Prefill's matrix products with wgmma, for sm_90a. Other targets get kernels that stop: the host
// asks hasWarpgroups() first.
#include <algorithm>
#include <cassert>

#include "engine/backend/cuda/prefill_pipeline.h"

namespace moescope::cuda {
namespace {

constexpr int kMostStages = 12;
constexpr int kFewestStages = 3;
// 227 KiB: what a block may have on sm_90. Of the formats Bf16 needs most.
static_assert(pipelineShared(WeightFormat::Bf16, 2, {kWarpgroupTokens, 0, kFewestStages}) <=
              227 << 10);

/// `xRows`: rows of activations.
PipelineMaps mapsOf(const Product& p, int xRows) {
    const DeviceMatrix& w = p.weights;
    TensorView codes;
    codes.data = w.codes;
    codes.columns = 4 * w.tileUnits();
    codes.rows = std::int64_t{p.nExpert} * w.tiles();
    codes.rowBytes = 16 * w.tileUnits();
    codes.boxColumns = groupWords(w.format);
    codes.boxRows = kPipelineTiles;
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

template <WeightFormat kFormat, int kPlanes>
void launchPipeline(const Product& p, int tileTokens, cudaStream_t stream) {
    assert(p.x.format == p.weights.format && p.x.stride >= p.weights.paddedCols());
    assert(tileTokens > 0 && tileTokens % 32 == 0 && tileTokens <= kWarpgroupTokens);
    PipelinePlan plan;
    plan.tileTokens = tileTokens;
    plan.stages = std::min(kMostStages, static_cast<int>(deviceLimits().sharedOfBlock) /
                                            pipelineShared(kFormat, kPlanes, {tileTokens, 0, 1}));
    const bool grouped = p.groups.offsets != nullptr;
    const int products = grouped ? p.tokens * p.topK : p.tokens;
    // Every expert may have a tile more; there is nothing to do for those past the last.
    plan.tiles = (products + plan.tileTokens - 1) / plan.tileTokens + (grouped ? p.nExpert : 0);
    const int rowBlocks = (p.weights.rows + kPipelineRows - 1) / kPipelineRows;
    Launch l;
    l.grid = dim3(
        static_cast<unsigned>(std::min(deviceLimits().multiprocessors, rowBlocks * plan.tiles)));
    l.block = dim3(kPipelineThreads);
    l.sharedBytes = static_cast<std::size_t>(pipelineShared(kFormat, kPlanes, plan));
    l.stream = stream;
    l.overlap = true;
    const auto kernel = tileTokens <= kFewTileTokens
                            ? pipelineKernel<kFormat, kPlanes, kFewTileTokens>
                            : pipelineKernel<kFormat, kPlanes, kWarpgroupTokens>;
    launch(l, kernel, p, plan, mapsOf(p, products));
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

/// Tokens of a tile of a dense product with which the multiprocessors are done soonest: the last
/// round of tiles may leave most of them idle.
int bestTile(const Product& p) {
    // Half of a few tokens each, whose weights come from the second-level cache the second time;
    // with more tiles that would be its bandwidth.
    const int least = p.tokens <= 64 ? 32 : 64;
    constexpr int kTokensOfOverhead = 24;  // what starting and storing a tile costs
    const int rowBlocks = (p.weights.rows + kPipelineRows - 1) / kPipelineRows;
    int best = kWarpgroupTokens, bestCost = 0;
    for (int tile = kWarpgroupTokens; tile >= least; tile -= 32) {
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

/// Tokens of a tile of experts, whose tiles are as large as their slots up to this. Twice the mean,
/// since what a stage of the ring keeps free for tokens is not there for the weights of further
/// stages, and an expert of more has them read twice.
int expertTile(const Product& p) {
    const int twice = 2 * p.tokens * p.topK / p.nExpert;
    return std::clamp((twice + 31) / 32 * 32, 32, kWarpgroupTokens);
}

}  // namespace

bool hasWarpgroups() {
#ifdef MOESCOPE_SIMT_EMULATED
    return simt::hasHopper();
#else
    // Only code for Hopper itself has warpgroup products (cmake/Cuda.cmake sees to it that it is
    // 90a's): what was compiled for an older architecture runs there too, newer ones have others.
    cudaFuncAttributes attributes{};
    const auto kernel = pipelineKernel<WeightFormat::Bf16, 1, kWarpgroupTokens>;
    check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel's target");
    return attributes.binaryVersion == 90;
#endif
}

void multiplyWarpgroups(const Product& p, int tileTokens, cudaStream_t stream) {
    const bool low = p.x.low != nullptr;
    assert(warpgroupsTake(p.weights.format, low));
    if (p.tokens <= 0) return;
    const Product sorted = withSortedRows(p, stream);
    switch (p.weights.format) {
        case WeightFormat::Mxfp4:
            return low ? launchPipeline<WeightFormat::Mxfp4, 2>(sorted, tileTokens, stream)
                       : launchPipeline<WeightFormat::Mxfp4, 1>(sorted, tileTokens, stream);
        case WeightFormat::Bf16:
            return low ? launchPipeline<WeightFormat::Bf16, 2>(sorted, tileTokens, stream)
                       : launchPipeline<WeightFormat::Bf16, 1>(sorted, tileTokens, stream);
        default:
            return launchPipeline<WeightFormat::Q8_0, 1>(sorted, tileTokens, stream);
    }
}

void multiplyWarpgroups(const Product& p, cudaStream_t stream) {
    multiplyWarpgroups(p, p.groups.offsets != nullptr ? expertTile(p) : bestTile(p), stream);
}

}  // namespace moescope::cuda
