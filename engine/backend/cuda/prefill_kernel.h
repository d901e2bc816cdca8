// SPDX-License-Identifier: Apache-2.0
// The kernel of prefill's matrix products for every GPU, with mma.sync.
//
// A block multiplies 128 rows of weights with kTokens rows of activations, in panels of 64 columns
// through a pipeline of asynchronous copies. Weights are the operand A, decoded once in registers;
// activations are the operand B, in shared memory: row by row, 16-byte parts swizzled, so that
// ldmatrix has no bank conflicts.
#pragma once

#include "engine/backend/cuda/prefill_epilogue.h"
#include "engine/backend/cuda/prefill_operand.h"
#include "engine/backend/cuda/prefill_tile.h"

namespace moescope::cuda {

/// Dynamic shared memory of a block: panels, weights, and a word for each of its tokens.
__host__ __device__ constexpr std::size_t productShared(WeightFormat format, int tokens, bool low,
                                                        int stages) {
    return static_cast<std::size_t>(stages * (low ? 2 : 1) * tokens * kPanelBytes +
                                    groupSlots(format, stages) * groupBytes(format) + tokens * 4);
}

/// Stages of activations in shared memory.
template <int kTokens>
class Activations {
public:
    static constexpr std::uint32_t kNone = 0xFFFFFFFFU;
    static constexpr int kPlaneBytes = kTokens * kPanelBytes;

    /// `units`: a word of shared memory for each token. All threads; they meet at a barrier before
    /// they copy.
    __device__ Activations(const Product& p, const TokenTile& tile, int columns,
                           std::uint32_t* units)
        : x_(p.x), units_(units), columns_(columns) {
        for (int i = static_cast<int>(threadIdx.x); i < kTokens; i += kProductThreads) {
            std::uint32_t unit = kNone;
            if (i < tile.count) {
                const int slot = tile.first + i;
                const int row = p.kind == ProductKind::Up ? p.groups.slots[slot] / p.topK : slot;
                unit =
                    static_cast<std::uint32_t>(row) * (static_cast<std::uint32_t>(x_.stride) / 8);
            }
            units[i] = unit;
        }
    }

    /// Begins to copy a panel; zeros for absent tokens and columns past the end.
    __device__ void copyPanel(int panel, std::byte* stage) const {
        copyPlane(x_.high, panel, stage);
        if (x_.low != nullptr) copyPlane(x_.low, panel, stage + kPlaneBytes);
    }

private:
    __device__ void copyPlane(const std::uint16_t* plane, int panel, std::byte* to) const {
        constexpr int kParts = kPanelBytes / 16;
        const int part = static_cast<int>(threadIdx.x) % kParts;
        const int column = panel * kPanelColumns + part * 8;
        MOESCOPE_UNROLL
        for (int r = 0; r < kTokens * kParts / kProductThreads; ++r) {
            const int token = static_cast<int>(threadIdx.x) / kParts + r * kProductThreads / kParts;
            const std::uint32_t unit = units_[token];
            const bool valid = unit != kNone && column < columns_;
            copyAsync16OrZero(to + token * kPanelBytes + ((part ^ (token & 7)) << 4),
                              valid ? plane + std::size_t{unit} * 8 + column : plane, valid);
        }
    }

    OperandRows x_;
    const std::uint32_t* units_;
    int columns_;
};

/// acc += weights times a panel of activations (of `planes` planes).
template <WeightFormat kFormat, int kTokens>
__device__ __forceinline__ void multiplyPanel(const WarpWeights<kFormat>& weights,
                                              const std::byte* stage, int planes,
                                              float (&acc)[2][kTokens / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    // ldmatrix: matrices 0, 1 are a mma's two halves of columns for 8 tokens, 2, 3 for the next 8.
    const int token = lane / 16 * 8 + lane % 8;
    const int part = lane / 8 % 2;
    MOESCOPE_UNROLL
    for (int octet = 0; octet < 2; ++octet) {
        MOESCOPE_UNROLL
        for (int weightPlane = 0; weightPlane < WarpWeights<kFormat>::kPlanes; ++weightPlane) {
            std::uint32_t a[2][2][4];
            weights.decode(octet, 0, weightPlane, a[0]);
            weights.decode(octet, 1, weightPlane, a[1]);
            for (int plane = 0; plane < planes; ++plane) {
                const std::byte* const rows =
                    stage + plane * Activations<kTokens>::kPlaneBytes + token * kPanelBytes;
                MOESCOPE_UNROLL
                for (int j = 0; j < kTokens / 16; ++j) {
                    std::uint32_t b[2][4];
                    MOESCOPE_UNROLL
                    for (int m = 0; m < 2; ++m) {
                        const int unit = (4 * octet + 2 * m + part) ^ (token & 7);
                        loadMatrices(b[m], rows + j * 16 * kPanelBytes + (unit << 4));
                    }
                    MOESCOPE_UNROLL
                    for (int pair = 0; pair < 2; ++pair) {
                        MOESCOPE_UNROLL
                        for (int n = 0; n < 2; ++n) {
                            float(&c)[4] = acc[pair][2 * j + n];
                            if constexpr (WarpWeights<kFormat>::kScaled) {
                                float product[4] = {};
                                multiplyAccumulate(product, a[pair][0], b[0][2 * n],
                                                   b[0][2 * n + 1]);
                                multiplyAccumulate(product, a[pair][1], b[1][2 * n],
                                                   b[1][2 * n + 1]);
                                const float upper = weights.scale(octet, 2 * pair);
                                const float lower = weights.scale(octet, 2 * pair + 1);
                                c[0] += product[0] * upper;
                                c[1] += product[1] * upper;
                                c[2] += product[2] * lower;
                                c[3] += product[3] * lower;
                            } else {
                                multiplyAccumulate(c, a[pair][0], b[0][2 * n], b[0][2 * n + 1]);
                                multiplyAccumulate(c, a[pair][1], b[1][2 * n], b[1][2 * n + 1]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Waits for all but the latest `stages` - 2 groups of copies.
__device__ __forceinline__ void waitForStage(int stages) {
    if (stages == 2) {
        copyWait<0>();
    } else if (stages == 3) {
        copyWait<1>();
    } else {
        copyWait<2>();
    }
}

template <WeightFormat kFormat, int kTokens>
__global__ void __launch_bounds__(kProductThreads, 2)
    productKernel(const __grid_constant__ Product p) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const TokenTile tile = findTile(p, kTokens, static_cast<int>(blockIdx.y));
    if (tile.count <= 0) return;
    const int firstTile = static_cast<int>(blockIdx.x) * kBlockTiles;
    const int planes = p.x.low != nullptr ? 2 : 1;
    const int stageBytes = planes * Activations<kTokens>::kPlaneBytes;
    const int slots = groupSlots(kFormat, p.stages);
    std::byte* const shared = dynamicShared<std::byte>();
    std::byte* const slotBase = shared + p.stages * stageBytes;
    auto* const units = reinterpret_cast<std::uint32_t*>(
        shared + productShared(kFormat, kTokens, planes == 2, p.stages) - kTokens * 4);
    WarpWeights<kFormat> weights(p.weights, tile.expert, firstTile);
    const Activations<kTokens> activations(p, tile, weights.paddedCols(), units);
    __syncthreads();

    constexpr int kPanels = groupPanels(kFormat);
    const int panels = (weights.paddedCols() + kPanelColumns - 1) / kPanelColumns;
    // Where the next copy goes, and where the next product comes from.
    int copied = 0, copyStage = 0, copySlot = 0;
    int useStage = 0, useSlot = 0;
    const auto copyNext = [&] {
        if (copied < panels) {
            if (copied % kPanels == 0) {
                weights.copyGroup(copied / kPanels, slotBase + copySlot * groupBytes(kFormat));
                copySlot = copySlot + 1 == slots ? 0 : copySlot + 1;
            }
            activations.copyPanel(copied, shared + copyStage * stageBytes);
            copyStage = copyStage + 1 == p.stages ? 0 : copyStage + 1;
            ++copied;
        }
        copyCommit();
    };
    const auto enterWeights = [&](int panel) {
        weights.enter(panel, slotBase + useSlot * groupBytes(kFormat));
        if (panel % kPanels == kPanels - 1) useSlot = useSlot + 1 == slots ? 0 : useSlot + 1;
    };
    const auto nextStage = [&] {
        const std::byte* const stage = shared + useStage * stageBytes;
        useStage = useStage + 1 == p.stages ? 0 : useStage + 1;
        return stage;
    };
    for (int i = 0; i + 1 < p.stages; ++i) copyNext();

    float acc[2][kTokens / 8][4] = {};
    for (int panel = 0; panel < panels; ++panel) {
        waitForStage(p.stages);
        __syncthreads();  // the panel is there, and all have done with the stage copied to next
        copyNext();
        enterWeights(panel);
        multiplyPanel<kFormat, kTokens>(weights, nextStage(), planes, acc);
    }
    const BlockShare share{tile.expert, tile.first, tile.count,
                           static_cast<int>(blockIdx.x) * kBlockRows};
    const int warpRow = 16 * (static_cast<int>(threadIdx.x) / kWarp);
    MOESCOPE_UNROLL
    for (int pair = 0; pair < 2; ++pair) storeRows(p, share, acc[pair], warpRow + 64 * pair);
    padHidden<kBlockRows, kProductThreads>(p, share);
}

}  // namespace moescope::cuda
