// SPDX-License-Identifier: Apache-2.0
// The kernel of prefill's matrix products with wgmma (sm_90a).
//
// A block has a thread that copies and warpgroups that multiply. The producer brings panels of 64
// columns into a ring of stages with the copy engine, a few instructions each: boxes of activations
// in the 128-byte swizzle of wgmma's operand B, and the tiles of weights as they lie. A consumer
// decodes an octet while the tensor cores are still at the octet before and at those of the other
// consumers. Blocks stay and take one tile of the product after another; consumers store their rows
// without waiting for each other, so that the tensor cores stay busy meanwhile.
#pragma once

#include <initializer_list>

#include "engine/backend/cuda/prefill_async.h"
#include "engine/backend/cuda/prefill_epilogue.h"
#include "engine/backend/cuda/prefill_staged.h"
#include "engine/backend/cuda/prefill_tile.h"
#include "engine/backend/cuda/tensor_core.h"

namespace moescope::cuda {

// A block: warpgroups of consumers with 64 rows each, and one of the producer. On an H100 with
// 2,048 tokens of gpt-oss-20b, 192 rows x 160 tokens took less than 256 x 128 and 128 x 256 but for
// Q8_0: qkv 96, 103, 100 us (Q8_0 133, 178, 123), experts up 496, 555, 555, down 250, 264, 260.
inline constexpr int kConsumers = 3;
inline constexpr int kPipelineRows = 64 * kConsumers;
inline constexpr int kPipelineTiles = kPipelineRows / kTileRows;
inline constexpr int kConsumerThreads = 128 * kConsumers;
inline constexpr int kPipelineThreads = kConsumerThreads + 128;
// What 64 Ki leave to the consumers when the producer gives up most of its share.
inline constexpr int kConsumerRegisters = 160;
inline constexpr int kProducerRegisters = 32;

struct PipelinePlan {
    int tileTokens = 0;  ///< at most, a multiple of 32
    int tiles = 0;       ///< of tokens, at most
    int stages = 0;
};

/// Bytes of a stage: panels of activations, then weights.
__host__ __device__ constexpr int pipelineStageBytes(WeightFormat format, int planes,
                                                     int tileTokens) {
    return planes * tileTokens * kPanelBytes + kPipelineTiles * stagedTileBytes(format);
}
__host__ __device__ constexpr int pipelineShared(WeightFormat format, int planes,
                                                 const PipelinePlan& plan) {
    return plan.stages * (pipelineStageBytes(format, planes, plan.tileTokens) +
                          2 * static_cast<int>(sizeof(Barrier)));
}

/// Rows of activations that one instruction copies.
inline constexpr int kBoxTokens = 32;

/// What the producer copies from: tiles of weights as rows of words, with boxes of a block's tiles
/// in one group; planes of activations, with boxes of a panel of kBoxTokens rows.
struct PipelineMaps {
    TensorMap weights, high, low;  ///< low: not used with one plane
};

/// Where a role stands in the ring of stages.
struct RingPlace {
    int stage = 0;
    std::uint32_t parity = 0;

    __device__ __forceinline__ void advance(int stages) {
        if (++stage == stages) {
            stage = 0;
            parity ^= 1U;
        }
    }
};

struct Ring {
    std::byte* stages;
    int stageBytes, count;
    Barrier* full;
    Barrier* empty;
};

__device__ __forceinline__ int boxesOf(const TokenTile& tile) {
    return (tile.count + kBoxTokens - 1) / kBoxTokens;
}

/// Says what will come to an empty stage, and begins to copy the weights to it with whose first
/// panel it is. By one lane.
template <WeightFormat kFormat, int kPlanes>
__device__ __forceinline__ void beginStage(const PipelineMaps& maps, const PipelinePlan& plan,
                                           const TokenTile& tile, int firstTile, int panel,
                                           const Ring& ring, int stage) {
    constexpr int kWeightBytes = kPipelineTiles * stagedTileBytes(kFormat);
    const bool enters = panel % groupPanels(kFormat) == 0;
    const int bytes =
        kPlanes * boxesOf(tile) * kBoxTokens * kPanelBytes + (enters ? kWeightBytes : 0);
    arriveAndExpect(ring.full + stage, static_cast<std::uint32_t>(bytes));
    if (enters) {
        copyBox(ring.stages + stage * ring.stageBytes + kPlanes * plan.tileTokens * kPanelBytes,
                maps.weights, panel / groupPanels(kFormat) * groupWords(kFormat), firstTile,
                ring.full + stage);
    }
}

/// The producer's part of a tile, for one warp. `firstTile`: of weights, in the whole stack; begun:
/// panels whose stages are. What lies past a matrix or past a tile's tokens is the next one's or
/// zeros; nobody stores what comes of it.
template <WeightFormat kFormat, int kPlanes>
__device__ __forceinline__ void produceTile(const PipelineMaps& maps, const PipelinePlan& plan,
                                            const TokenTile& tile, int firstTile, int panels,
                                            int begun, const Ring& ring, RingPlace& place) {
    constexpr int kBoxBytes = kBoxTokens * kPanelBytes;
    const int boxes = boxesOf(tile);
    const int planeBytes = plan.tileTokens * kPanelBytes;
    MOESCOPE_NO_UNROLL
    for (int panel = 0; panel < panels; ++panel) {
        waitFor(ring.empty + place.stage, place.parity ^ 1U);
        if (threadIdx.x % kWarp == 0) {
            std::byte* const stage = ring.stages + place.stage * ring.stageBytes;
            Barrier* const full = ring.full + place.stage;
            if (panel >= begun)
                beginStage<kFormat, kPlanes>(maps, plan, tile, firstTile, panel, ring, place.stage);
            for (int box = 0; box < boxes; ++box) {
                const int x = panel * kPanelColumns;
                const int y = tile.first + box * kBoxTokens;
                copyBox(stage + box * kBoxBytes, maps.high, x, y, full);
                if constexpr (kPlanes == 2)
                    copyBox(stage + planeBytes + box * kBoxBytes, maps.low, x, y, full);
            }
        }
        __syncwarp();
        place.advance(ring.count);
    }
}

/// A consumer's part of a tile with at most kUse tokens.
template <WeightFormat kFormat, int kPlanes, int kUse>
__device__ __forceinline__ void consumeTile(const Product& p, const PipelinePlan& plan,
                                            const TokenTile& tile, int firstRow, const Ring& ring,
                                            RingPlace& place) {
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    // As 16 warp, which is the same, ptxas needs more instructions for the rest.
    const int warpRow = 64 * (warp / 4) + 16 * (warp % 4);
    StagedWeights<kFormat> weights(p.weights, tile.expert, firstRow / kTileRows,
                                   warpRow / kTileRows);
    const int planeBytes = plan.tileTokens * kPanelBytes;
    const auto release = [&](int stage) {
        __syncwarp();
        if (threadIdx.x % kWarp == 0) arrive(ring.empty + stage);
    };
    float acc[kUse / 8][4] = {};
    std::uint32_t a[2][2][4];
    const std::byte* stage = nullptr;
    int before = -1;  // stage whose products may still be under way
    const auto multiplyOctet = [&](int octet) {
        const SwizzledRows rows(stage);
        warpgroupFence();
        MOESCOPE_UNROLL
        for (int plane = 0; plane < kPlanes; ++plane) {
            MOESCOPE_UNROLL
            for (int m = 0; m < 2; ++m) {
                multiplyWarpgroup(acc, a[octet][m],
                                  rows.from(plane * planeBytes + 32 * (2 * octet + m)));
            }
        }
        warpgroupCommit();
        warpgroupWait<1>();
    };
    const auto enterStage = [&] {
        waitFor(ring.full + place.stage, place.parity);
        stage = ring.stages + place.stage * ring.stageBytes;
    };
    const auto leaveStage = [&] {
        before = place.stage;
        place.advance(ring.count);
    };
    const int groups = weights.groups();
    // Twice the loop would take the registers that ptxas needs to let products overlap.
    MOESCOPE_NO_UNROLL
    for (int group = 0; group < groups; ++group) {
        enterStage();
        weights.enter(group, stage + kPlanes * planeBytes);
        weights.template decode<0>(a[0]);
        multiplyOctet(0);
        if (before >= 0) release(before);
        weights.template decode<1>(a[1]);
        multiplyOctet(1);
        leaveStage();
        if constexpr (groupPanels(kFormat) == 2) {
            weights.template decode<2>(a[0]);
            enterStage();
            multiplyOctet(0);
            release(before);
            weights.template decode<3>(a[1]);
            multiplyOctet(1);
            leaveStage();
        }
    }
    warpgroupWait<0>();
    release(before);
    const BlockShare share{tile.expert, tile.first, tile.count, firstRow};
    storeRows(p, share, acc, warpRow);
    padHidden<kPipelineRows, kConsumerThreads>(p, share);
}

/// Tokens of a tile, at most, of the kernel for few of them. Where many sequences decode together
/// an expert has few, and what the tensor cores would do for 64 takes longer than reading its
/// weights. (In one kernel with the larger sizes ptxas lets no product overlap with another.)
inline constexpr int kFewTileTokens = 32;

/// Numbers of tokens that a kernel for at most kMost has code for, below `tokens`; 0: none.
template <int kMost>
__host__ __device__ constexpr int sizeBelow(int tokens) {
    constexpr int kSizes[] = {144, 128, 96, 64, 16};
    for (const int size : kSizes) {
        if (size < tokens && (size < kFewTileTokens) == (kMost == kFewTileTokens)) return size;
    }
    return 0;
}

/// The same, with the smallest kUse that is enough.
template <WeightFormat kFormat, int kPlanes, int kMost, int kUse = kMost>
__device__ __forceinline__ void consumeSized(const Product& p, const PipelinePlan& plan,
                                             const TokenTile& tile, int firstRow, const Ring& ring,
                                             RingPlace& place) {
    constexpr int kBelow = sizeBelow<kMost>(kUse);
    if constexpr (kBelow > 0) {
        if (tile.count <= kBelow) {
            return consumeSized<kFormat, kPlanes, kMost, kBelow>(p, plan, tile, firstRow, ring,
                                                                 place);
        }
    }
    consumeTile<kFormat, kPlanes, kUse>(p, plan, tile, firstRow, ring, place);
}

/// kMost: tokens of a tile, at most: kFewTileTokens or kWarpgroupTokens.
template <WeightFormat kFormat, int kPlanes, int kMost>
__global__ void __launch_bounds__(kPipelineThreads, 1)
    pipelineKernel(const __grid_constant__ Product p, const __grid_constant__ PipelinePlan plan,
                   const __grid_constant__ PipelineMaps maps) {
    letNextKernelBegin();
    auto* const shared = dynamicShared<std::byte>();
    Ring ring;
    ring.stages = shared;
    ring.stageBytes = pipelineStageBytes(kFormat, kPlanes, plan.tileTokens);
    ring.count = plan.stages;
    ring.full = reinterpret_cast<Barrier*>(shared + plan.stages * ring.stageBytes);
    ring.empty = ring.full + plan.stages;
    if (threadIdx.x == 0) {
        for (int s = 0; s < plan.stages; ++s) {
            initialize(ring.full + s, 1);
            initialize(ring.empty + s, kConsumerThreads / kWarp);
        }
        showBarriers();
        prefetchMap(maps.weights);
        prefetchMap(maps.high);
        if constexpr (kPlanes == 2) prefetchMap(maps.low);
    }
    __syncthreads();
    const TileOrder order(p, plan.tiles, kPipelineRows);
    const int panels = panelsOf<kFormat>(p.weights);
    // Tiles of a dense product do not depend on the kernel before, nor do their weights: those of
    // the first stages are under way while it ends.
    int begun = 0;
    if (threadIdx.x == kConsumerThreads && p.groups.offsets == nullptr) {
        const int i = static_cast<int>(blockIdx.x);
        const TokenTile tile = findTile(p, plan.tileTokens, order.tokenTile(i));
        if (i < order.count() && tile.count > 0) begun = min(panels, ring.count);
        for (int panel = 0; panel < begun; ++panel)
            beginStage<kFormat, kPlanes>(maps, plan, tile, order.rowBlock(i) * kPipelineTiles,
                                         panel, ring, panel);
    }
    waitForPreviousKernel();

    RingPlace place;
    if (threadIdx.x >= kConsumerThreads) {
        giveRegisters<kProducerRegisters>();
        if (threadIdx.x < kConsumerThreads + kWarp) {
            for (int i = static_cast<int>(blockIdx.x); i < order.count();
                 i += static_cast<int>(gridDim.x)) {
                const TokenTile tile = findTile(p, plan.tileTokens, order.tokenTile(i));
                if (tile.count <= 0) break;
                const int firstTile =
                    tile.expert * p.weights.tiles() + order.rowBlock(i) * kPipelineTiles;
                produceTile<kFormat, kPlanes>(maps, plan, tile, firstTile, panels, begun, ring,
                                              place);
                begun = 0;
            }
        }
    } else {
        takeRegisters<kConsumerRegisters>();
        for (int i = static_cast<int>(blockIdx.x); i < order.count();
             i += static_cast<int>(gridDim.x)) {
            const TokenTile tile = findTile(p, plan.tileTokens, order.tokenTile(i));
            if (tile.count <= 0) break;
            consumeSized<kFormat, kPlanes, kMost>(p, plan, tile, order.rowBlock(i) * kPipelineRows,
                                                  ring, place);
        }
    }
}

}  // namespace moescope::cuda
