// SPDX-License-Identifier: Apache-2.0
// The kernel of prefill's matrix products with wgmma (sm_90a).
//
// A block has a warpgroup that copies and some that multiply. The producer brings panels of 64
// columns into a ring of stages: rows of activations with cp.async, since experts gather them, in
// the 128-byte swizzle of wgmma's operand B; tiles of weights with bulk copies, as they lie. A
// consumer decodes 16 columns of an octet pair while the tensor cores are still at the octet before
// and at those of the other consumers. Blocks stay and take one tile of the product after another,
// so that the producer is at the next while the consumers store one.
#pragma once

#include <initializer_list>

#include "engine/backend/cuda/prefill_async.h"
#include "engine/backend/cuda/prefill_epilogue.h"
#include "engine/backend/cuda/prefill_staged.h"
#include "engine/backend/cuda/prefill_tile.h"

namespace moescope::cuda {

/// A block: kConsumers warpgroups, each with kPairs times 64 rows, and at most kTokens tokens.
template <int kConsumersOf, int kPairsOf, int kTokensOf, int kConsumerRegistersOf,
          int kProducerRegistersOf>
struct PipelineShape {
    static constexpr int kConsumers = kConsumersOf;
    static constexpr int kPairs = kPairsOf;
    static constexpr int kTokens = kTokensOf;
    static constexpr int kConsumerRegisters = kConsumerRegistersOf;
    static constexpr int kProducerRegisters = kProducerRegistersOf;
    static constexpr int kRows = 64 * kPairs * kConsumers;
    static constexpr int kConsumerThreads = 128 * kConsumers;
    static constexpr int kThreads = kConsumerThreads + 128;
};

struct PipelinePlan {
    int tileTokens = 0;  ///< at most, a multiple of 32
    int tiles = 0;       ///< of tokens, at most
    int stages = 0;
};

/// Bytes of a stage: panels of activations, then weights.
__host__ __device__ constexpr int pipelineStageBytes(WeightFormat format, int rows, int planes,
                                                     int tileTokens) {
    return planes * tileTokens * kPanelBytes + rows / kTileRows * stagedTileBytes(format);
}
__host__ __device__ constexpr int pipelineShared(WeightFormat format, int rows, int planes,
                                                 const PipelinePlan& plan) {
    return plan.stages * pipelineStageBytes(format, rows, planes, plan.tileTokens) +
           sliceBytes(rows) + (2 * plan.stages + 1) * static_cast<int>(sizeof(Barrier)) +
           4 * plan.tileTokens;
}

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
    std::uint32_t* units;  ///< a word for each row of activations
};

__device__ __forceinline__ int roundedTokens(int count) {
    return (count + kSliceTokens - 1) / kSliceTokens * kSliceTokens;
}

/// The producer's part of a tile. 128 threads, `thread` of them: eight copy a row's panel.
template <WeightFormat kFormat, typename Shape, int kPlanes>
__device__ __forceinline__ void produceTile(const Product& p, const PipelinePlan& plan,
                                            const TokenTile& tile, int firstTile, int thread,
                                            const Ring& ring, RingPlace& place) {
    constexpr int kParts = kPanelBytes / 16;
    constexpr int kStep = 128 / kParts;
    constexpr int kRounds = Shape::kTokens / kStep;
    const DeviceMatrix weights{p.weights.codes, p.weights.scales, p.weights.rows, p.weights.cols,
                               kFormat};
    // Where rows begin. Absent tokens get the last one's activations; nobody stores what comes of
    // them. The eight threads of a row are of one warp.
    const int rows = roundedTokens(tile.count);
    __syncwarp();
    for (int i = thread / kParts + thread % kParts * kStep; i < rows; i += kStep * kParts) {
        const int slot = tile.first + min(i, tile.count - 1);
        const int row = p.kind == ProductKind::Up ? p.groups.slots[slot] / p.topK : slot;
        ring.units[i] =
            static_cast<std::uint32_t>(row) * (static_cast<std::uint32_t>(p.x.stride) / 8);
    }
    __syncwarp();
    const std::uint32_t* const units = ring.units + thread / kParts;
    const int swizzled =
        thread / kParts * kPanelBytes + ((thread % kParts ^ (thread / kParts & 7)) << 4);
    const int columns = weights.paddedCols();
    const int panels = (columns + groupPanels(kFormat) * kPanelColumns - 1) /
                       (groupPanels(kFormat) * kPanelColumns) * groupPanels(kFormat);
    const int tiles = min(Shape::kRows / kTileRows, weights.tiles() - firstTile);
    static_assert(Shape::kRows / kTileRows <= kWarp, "a lane for each tile of weights");
    const uint4* const codes = weights.tileCodes(tile.expert, firstTile + thread % kWarp);
    for (int panel = 0; panel < panels; ++panel) {
        std::byte* const stage = ring.stages + place.stage * ring.stageBytes;
        Barrier* const full = ring.full + place.stage;
        waitFor(ring.empty + place.stage, place.parity ^ 1U);
        if (thread < kWarp) {
            const bool enters = panel % groupPanels(kFormat) == 0;
            const int group = panel / groupPanels(kFormat);
            const auto bytes = static_cast<std::uint32_t>(groupBytesOfTile(weights, group));
            if (thread == 0) arriveAndExpect(full, enters ? bytes * tiles : 0);
            __syncwarp();
            if (enters && thread < tiles) {
                copyBulk(stage + kPlanes * plan.tileTokens * kPanelBytes +
                             thread * stagedTileBytes(kFormat),
                         codes + group * groupUnits(kFormat) * kWarp, bytes, full);
            }
        }
        const bool real = panel * kPanelColumns + thread % kParts * 8 < columns;
        MOESCOPE_UNROLL
        for (int plane = 0; plane < kPlanes; ++plane) {
            const auto* const from =
                reinterpret_cast<const uint4*>(plane == 0 ? p.x.high : p.x.low) +
                (real ? panel * kParts + thread % kParts : 0);
            std::byte* const to = stage + plane * plan.tileTokens * kPanelBytes + swizzled;
            MOESCOPE_UNROLL
            for (int r = 0; r < kRounds; ++r) {
                if (r * kStep >= rows) break;
                copyAsync16OrZero(to + r * kStep * kPanelBytes, from + units[r * kStep], real);
            }
        }
        arriveAfterCopies(full);
        place.advance(ring.count);
    }
}

/// acc += a b for the kColumns8 times 8 tokens from 8 kFrom on, whose panels lie at `rows`.
template <int kFrom, int kAll>
__device__ __forceinline__ void multiplyTokens(float (&acc)[kAll][4], const std::uint32_t (&a)[4],
                                               const std::byte* rows) {
    constexpr int kLeft = kAll - kFrom;
    constexpr int kWidth = kLeft >= 16 ? 16 : kLeft >= 8 ? 8 : 4;
    auto& part = *reinterpret_cast<float(*)[kWidth][4]>(&acc[kFrom]);
    multiplyWarpgroup(part, a, rows + kFrom * 8 * kPanelBytes);
    if constexpr (kLeft > kWidth) multiplyTokens<kFrom + kWidth>(acc, a, rows);
}

/// A consumer's part of a tile with at most kUse tokens.
template <WeightFormat kFormat, typename Shape, int kPlanes, int kUse>
__device__ __forceinline__ void consumeTile(const Product& p, const PipelinePlan& plan,
                                            const TokenTile& tile, int firstRow, const Ring& ring,
                                            RingPlace& place, float* slice, Barrier* meeting) {
    constexpr int kPairs = Shape::kPairs;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int warpRow = 64 * kPairs * (warp / 4) + 16 * (warp % 4);
    StagedWeights<kFormat, kPairs> weights(p.weights, tile.expert, firstRow / kTileRows,
                                           warpRow / kTileRows);
    const int planeBytes = plan.tileTokens * kPanelBytes;
    const auto release = [&](int stage) {
        __syncwarp();
        if (threadIdx.x % kWarp == 0) arrive(ring.empty + stage);
    };
    float acc[kPairs][kUse / 8][4] = {};
    std::uint32_t a[2][kPairs][2][4];
    const std::byte* stage = nullptr;
    int before = -1;  // stage whose products may still be under way
    const auto multiplyOctet = [&](int octet) {
        warpgroupFence();
        MOESCOPE_UNROLL
        for (int plane = 0; plane < kPlanes; ++plane) {
            MOESCOPE_UNROLL
            for (int m = 0; m < 2; ++m) {
                MOESCOPE_UNROLL
                for (int pair = 0; pair < kPairs; ++pair) {
                    multiplyTokens<0>(acc[pair], a[octet][pair][m],
                                      stage + plane * planeBytes + 32 * (2 * octet + m));
                }
            }
        }
        warpgroupCommit();
        warpgroupWait<1>();
    };
    const auto enterStage = [&] {
        waitFor(ring.full + place.stage, place.parity);
        showToWarpgroups();
        stage = ring.stages + place.stage * ring.stageBytes;
    };
    const auto leaveStage = [&] {
        before = place.stage;
        place.advance(ring.count);
    };
    const int groups = weights.groups();
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
    storeProduct<Shape::kRows, Shape::kConsumerThreads>(
        p, {tile.expert, tile.first, tile.count, firstRow}, acc, warpRow, slice,
        [&] { meet<Shape::kConsumerThreads>(meeting); });
}

/// Numbers of tokens that there is code for, below `tokens`; 0: none.
__host__ __device__ constexpr int sizeBelow(int tokens) {
    for (const int size : {192, 160, 128, 96, 64}) {
        if (size < tokens) return size;
    }
    return 0;
}

/// The same, with the smallest kUse that is enough.
template <WeightFormat kFormat, typename Shape, int kPlanes, int kUse, typename... Rest>
__device__ __forceinline__ void consumeSized(const Product& p, const PipelinePlan& plan,
                                             const TokenTile& tile, Rest&... rest) {
    if constexpr (sizeBelow(kUse) > 0) {
        if (tile.count <= sizeBelow(kUse)) {
            return consumeSized<kFormat, Shape, kPlanes, sizeBelow(kUse)>(p, plan, tile, rest...);
        }
    }
    consumeTile<kFormat, Shape, kPlanes, kUse>(p, plan, tile, rest...);
}

template <WeightFormat kFormat, typename Shape, int kPlanes>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    pipelineKernel(const __grid_constant__ Product p, const __grid_constant__ PipelinePlan plan) {
    letNextKernelBegin();
    auto* const shared = dynamicShared<std::byte>();
    Ring ring;
    ring.stages = shared;
    ring.stageBytes = pipelineStageBytes(kFormat, Shape::kRows, kPlanes, plan.tileTokens);
    ring.count = plan.stages;
    auto* const slice = reinterpret_cast<float*>(shared + plan.stages * ring.stageBytes);
    ring.full =
        reinterpret_cast<Barrier*>(reinterpret_cast<std::byte*>(slice) + sliceBytes(Shape::kRows));
    ring.empty = ring.full + plan.stages;
    Barrier* const meeting = ring.empty + plan.stages;
    ring.units = reinterpret_cast<std::uint32_t*>(meeting + 1);
    if (threadIdx.x == 0) {
        for (int s = 0; s < plan.stages; ++s) {
            initialize(ring.full + s, 128 + 1);
            initialize(ring.empty + s, Shape::kConsumerThreads / kWarp);
        }
        initialize(meeting, Shape::kConsumerThreads);
        showBarriers();
    }
    __syncthreads();
    waitForPreviousKernel();

    const int rowBlocks = (p.weights.rows + Shape::kRows - 1) / Shape::kRows;
    const int all = rowBlocks * plan.tiles;
    RingPlace place;
    if (threadIdx.x >= Shape::kConsumerThreads) {
        giveRegisters<Shape::kProducerRegisters>();
        const int thread = static_cast<int>(threadIdx.x) - Shape::kConsumerThreads;
        for (int i = static_cast<int>(blockIdx.x); i < all; i += static_cast<int>(gridDim.x)) {
            const TokenTile tile = findTile(p, plan.tileTokens, i / rowBlocks);
            if (tile.count <= 0) break;
            produceTile<kFormat, Shape, kPlanes>(
                p, plan, tile, i % rowBlocks * (Shape::kRows / kTileRows), thread, ring, place);
        }
    } else {
        takeRegisters<Shape::kConsumerRegisters>();
        for (int i = static_cast<int>(blockIdx.x); i < all; i += static_cast<int>(gridDim.x)) {
            const TokenTile tile = findTile(p, plan.tileTokens, i / rowBlocks);
            if (tile.count <= 0) break;
            const int firstRow = i % rowBlocks * Shape::kRows;
            consumeSized<kFormat, Shape, kPlanes, Shape::kTokens>(p, plan, tile, firstRow, ring,
                                                                  place, slice, meeting);
        }
    }
}

}  // namespace moescope::cuda
