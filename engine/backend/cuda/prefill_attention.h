// SPDX-License-Identifier: Apache-2.0
// The flash attention kernel of prefill; see prefill_attention.cu.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/prefill.h"
#include "engine/backend/cuda/tensor_core.h"

namespace moescope::cuda {

template <int kHeadDim, bool kExact>
struct FlashShape {
    /// Large heads leave registers for fewer warps and no queries, and memory for fewer keys.
    static constexpr bool kLarge = kHeadDim > 128;
    static constexpr int kWarps = kLarge ? 4 : 8;
    static constexpr int kThreads = kWarps * kWarp;
    /// Of a multiprocessor: one block's products hide another's softmax where registers allow.
    static constexpr int kBlocks = kHeadDim <= 64 && !kExact ? 2 : 1;
    static constexpr int kRows = 16 * kWarps;
    static constexpr int kKeys = kLarge || (kExact && kHeadDim == 128) ? 32 : 64;
    /// One 16-byte part more than a row has: rows then begin in different banks for ldmatrix.
    static constexpr int kRowBytes = 2 * kHeadDim + 16;
    static constexpr int kTileBytes = kKeys * kRowBytes;
    static constexpr std::size_t kSharedBytes = std::size_t{2} * 2 * kTileBytes;
};
/// Query heads that may share a key head.
inline constexpr int kFlashMaxGroup = FlashShape<256, true>::kRows;

__device__ __forceinline__ int firstVisibleKey(const PrefillAttention& a, int position) {
    return a.window <= 0 ? 0 : max(0, position - a.window + 1);
}

/// Two numbers as halves, and what rounding took from them as halves.
__device__ __forceinline__ void splitHalves(float x, float y, std::uint32_t& high,
                                            std::uint32_t& low) {
    high = packHalf(x, y);
    const float2 rounded = unpackHalf(high);
    low = packHalf(x - rounded.x, y - rounded.y);
}

/// The block's run, read from the parameters wherever it is needed: registers are all in use.
__device__ __forceinline__ const PrefillRun& runOf(const PrefillAttention& a) {
    return a.runs[blockIdx.z];
}

/// What a block attends: its tokens, its key head, the keys that any of its rows sees.
struct FlashBlock {
    int firstToken, tokens;  ///< within the run
    int group, kvHead;
    int firstKey, lastKey;
};

/// A row of a warp: the query of one token and head.
struct FlashRow {
    bool valid = false;
    int token = 0, head = 0;  ///< within the step
    int firstKey = 0, lastKey = -1;
};

__device__ __forceinline__ FlashRow flashRow(const PrefillAttention& a, const FlashBlock& block,
                                             int index) {
    FlashRow row;
    if (index >= block.tokens * block.group) return row;
    row.valid = true;
    const int token = block.firstToken + index / block.group;
    row.token = runOf(a).first + token;
    row.head = block.kvHead * block.group + index % block.group;
    row.lastKey = runOf(a).position + token;
    row.firstKey = firstVisibleKey(a, row.lastKey);
    return row;
}

/// Queries as operand A, in two halves. Scores then are logarithms to the base 2.
template <bool kExact>
__device__ __forceinline__ void loadQuery(const PrefillAttention& a, const FlashRow (&rows)[2],
                                          int step, std::uint32_t (&high)[4],
                                          std::uint32_t (&low)[4]) {
    constexpr float kLog2E = 1.44269504088896340736F;
    const float scale = a.scale * kLog2E;
    const int column = 16 * step + static_cast<int>(threadIdx.x) % 4 * 2;
    MOESCOPE_UNROLL
    for (int i = 0; i < 4; ++i) {
        const FlashRow& row = rows[i % 2];
        float2 q = make_float2(0.0F, 0.0F);
        if (row.valid) {
            q = *reinterpret_cast<const float2*>(a.queries +
                                                 std::int64_t{row.token} * a.queryStride +
                                                 row.head * a.headDim + column + i / 2 * 8);
        }
        if constexpr (kExact) {
            splitHalves(q.x * scale, q.y * scale, high[i], low[i]);
        } else {
            high[i] = packHalf(q.x * scale, q.y * scale);
        }
    }
}

/// Begins to copy keys and values of positions base, base + 1, ...; zeros for those that no row
/// sees, since what lies there may not be numbers.
template <int kHeadDim, bool kExact>
__device__ __forceinline__ void copyKeys(const PrefillAttention& a, const FlashBlock& block,
                                         int base, std::byte* keys) {
    using Shape = FlashShape<kHeadDim, kExact>;
    constexpr int kParts = kHeadDim / 8;
    const std::int64_t width = std::int64_t{a.nKvHead} * kHeadDim;
    for (int i = static_cast<int>(threadIdx.x); i < Shape::kKeys * kParts; i += Shape::kThreads) {
        const int position = base + i / kParts;
        const int part = i % kParts;
        const bool valid = position <= block.lastKey;
        const std::int64_t from =
            (valid ? position % runOf(a).rows : 0) * width + block.kvHead * kHeadDim + part * 8;
        std::byte* const to = keys + i / kParts * Shape::kRowBytes + part * 16;
        copyAsync16OrZero(to, runOf(a).keys + from, valid);
        copyAsync16OrZero(to + Shape::kTileBytes, runOf(a).values + from, valid);
    }
}

/// The running softmax of a warp's 16 rows; a lane has two of them, and of each the columns
/// 8 j + 2 t, 8 j + 2 t + 1.
template <int kHeadDim>
struct FlashState {
    float sums[kHeadDim / 8][4] = {};
    float largest[2] = {-INFINITY, -INFINITY};
    float total[2] = {};  ///< of this lane's columns
};

/// Scores to weights relative to the new maximum; what is summed already shrinks.
template <int kHeadDim, int kColumns8>
__device__ __forceinline__ void updateSoftmax(FlashState<kHeadDim>& state,
                                              float (&scores)[kColumns8][4]) {
    MOESCOPE_UNROLL
    for (int r = 0; r < 2; ++r) {
        float largest = state.largest[r];
        MOESCOPE_UNROLL
        for (int j = 0; j < kColumns8; ++j) {
            largest = fmaxf(largest, fmaxf(scores[j][2 * r], scores[j][2 * r + 1]));
        }
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
        // A row that has seen nothing yet has no maximum to subtract.
        const float base = largest == -INFINITY ? 0.0F : largest;
        const float shrink = exp2f(state.largest[r] - base);
        state.largest[r] = largest;
        float total = state.total[r] * shrink;
        MOESCOPE_UNROLL
        for (int j = 0; j < kColumns8; ++j) {
            MOESCOPE_UNROLL
            for (int e = 2 * r; e < 2 * r + 2; ++e) {
                scores[j][e] = exp2f(scores[j][e] - base);
                total += scores[j][e];
            }
        }
        state.total[r] = total;
        MOESCOPE_UNROLL
        for (int n = 0; n < kHeadDim / 8; ++n) {
            state.sums[n][2 * r] *= shrink;
            state.sums[n][2 * r + 1] *= shrink;
        }
    }
}

/// scores += queries times the keys of a tile, for 16 dimensions.
template <int kHeadDim, bool kExact, int kColumns8>
__device__ __forceinline__ void multiplyKeys(const std::byte* keys, int step,
                                             const std::uint32_t (&high)[4],
                                             const std::uint32_t (&low)[4],
                                             float (&scores)[kColumns8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const std::byte* const mine =
        keys + (lane / 16 * 8 + lane % 8) * FlashShape<kHeadDim, kExact>::kRowBytes +
        (2 * step + lane / 8 % 2) * 16;
    MOESCOPE_UNROLL
    for (int j = 0; j < kColumns8 / 2; ++j) {
        std::uint32_t b[4];
        loadMatrices(b, mine + 16 * j * FlashShape<kHeadDim, kExact>::kRowBytes);
        MOESCOPE_UNROLL
        for (int n = 0; n < 2; ++n) {
            if constexpr (kExact) {
                multiplyAccumulateHalf(scores[2 * j + n], low, b[2 * n], b[2 * n + 1]);
            }
            multiplyAccumulateHalf(scores[2 * j + n], high, b[2 * n], b[2 * n + 1]);
        }
    }
}

/// sums += weights times values.
template <int kHeadDim, bool kExact, int kColumns8>
__device__ __forceinline__ void multiplyValues(const std::byte* values,
                                               const float (&weights)[kColumns8][4],
                                               float (&sums)[kHeadDim / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const std::byte* const mine =
        values + lane % 16 * FlashShape<kHeadDim, kExact>::kRowBytes + lane / 16 * 16;
    MOESCOPE_UNROLL
    for (int step = 0; step < kColumns8 / 2; ++step) {
        std::uint32_t high[4], low[4];
        MOESCOPE_UNROLL
        for (int i = 0; i < 4; ++i) {
            const float* const pair = &weights[2 * step + i / 2][i % 2 * 2];
            if constexpr (kExact) {
                splitHalves(pair[0], pair[1], high[i], low[i]);
            } else {
                high[i] = packHalf(pair[0], pair[1]);
            }
        }
        MOESCOPE_UNROLL
        for (int j = 0; j < kHeadDim / 16; ++j) {
            std::uint32_t b[4];
            loadMatricesTransposed(
                b, mine + 16 * step * FlashShape<kHeadDim, kExact>::kRowBytes + 32 * j);
            MOESCOPE_UNROLL
            for (int n = 0; n < 2; ++n) {
                if constexpr (kExact) {
                    multiplyAccumulateHalf(sums[2 * j + n], low, b[2 * n], b[2 * n + 1]);
                }
                multiplyAccumulateHalf(sums[2 * j + n], high, b[2 * n], b[2 * n + 1]);
            }
        }
    }
}

/// Divides by the denominator, sink included, and stores a row.
template <int kHeadDim>
__device__ __forceinline__ void storeRow(const PrefillAttention& a, const FlashRow& row, int r,
                                         FlashState<kHeadDim>& state) {
    constexpr float kLog2E = 1.44269504088896340736F;
    float total = state.total[r];
    total += __shfl_xor_sync(kAllLanes, total, 1);
    total += __shfl_xor_sync(kAllLanes, total, 2);
    if (!row.valid) return;
    float factor = 1.0F;
    if (a.sinks != nullptr) {
        const float sink = a.sinks[row.head] * kLog2E;
        const float largest = fmaxf(state.largest[r], sink);
        factor = exp2f(state.largest[r] - largest);
        total = total * factor + exp2f(sink - largest);
    }
    factor /= total;
    const int t = static_cast<int>(threadIdx.x) % 4;
    const std::int64_t start = std::int64_t{row.token} * a.out.stride;
    const auto store = [&](int n, std::uint32_t& high, std::uint32_t& low) {
        const float x = state.sums[n][2 * r] * factor;
        const float y = state.sums[n][2 * r + 1] * factor;
        high = packBf16(x, y);
        low = packBf16(x - fromBf16(high & 0xFFFFU), y - fromBf16(high >> 16U));
    };
    // Where lanes have octets of 32 columns in turn, four of this lane's pairs lie side by side.
    const bool wide = kHeadDim % 32 == 0 && a.out.format != WeightFormat::Mxfp4;
    MOESCOPE_UNROLL
    for (int n = 0; n < kHeadDim / 8; n += 2) {
        std::uint32_t high[4], low[4];
        const int column = row.head * kHeadDim + 8 * n + 2 * t;
        if (wide && kHeadDim % 32 == 0) {
            if (n % 4 != 0) continue;
            MOESCOPE_UNROLL
            for (int i = 0; i < 4; ++i) store((n + i) % (kHeadDim / 8), high[i], low[i]);
            const std::int64_t to = start + operandPosition(a.out.format, column);
            *reinterpret_cast<uint4*>(a.out.high + to) =
                make_uint4(high[0], high[1], high[2], high[3]);
            if (a.out.low != nullptr) {
                *reinterpret_cast<uint4*>(a.out.low + to) =
                    make_uint4(low[0], low[1], low[2], low[3]);
            }
        } else {
            MOESCOPE_UNROLL
            for (int i = 0; i < 2; ++i) {
                store(n + i, high[i], low[i]);
                const std::int64_t to = start + operandPosition(a.out.format, column + 8 * i);
                *reinterpret_cast<std::uint32_t*>(a.out.high + to) = high[i];
                if (a.out.low != nullptr) {
                    *reinterpret_cast<std::uint32_t*>(a.out.low + to) = low[i];
                }
            }
        }
    }
}

/// kExact: queries and weights as two halves each.
template <int kHeadDim, bool kExact>
__global__ void __launch_bounds__(FlashShape<kHeadDim, kExact>::kThreads,
                                  FlashShape<kHeadDim, kExact>::kBlocks)
    flashKernel(const __grid_constant__ PrefillAttention a) {
    using Shape = FlashShape<kHeadDim, kExact>;
    constexpr int kSteps = kHeadDim / 16;
    constexpr int kColumns8 = Shape::kKeys / 8;
    letNextKernelBegin();
    waitForPreviousKernel();
    FlashBlock block;
    block.group = a.nHead / a.nKvHead;
    block.kvHead = static_cast<int>(blockIdx.y);
    const int tokensOfBlock = Shape::kRows / block.group;
    // The last tokens see most keys: they begin first.
    const int blocks = (runOf(a).tokens + tokensOfBlock - 1) / tokensOfBlock;
    block.firstToken = (blocks - 1 - static_cast<int>(blockIdx.x)) * tokensOfBlock;
    if (block.firstToken < 0) return;  // another run is longer
    block.tokens = min(tokensOfBlock, runOf(a).tokens - block.firstToken);
    block.firstKey = firstVisibleKey(a, runOf(a).position + block.firstToken);
    block.lastKey = runOf(a).position + block.firstToken + block.tokens - 1;
    std::byte* const shared = dynamicShared<std::byte>();
    const auto stage = [&](int tile) { return shared + tile % 2 * 2 * Shape::kTileBytes; };

    const int tiles = (block.lastKey - block.firstKey) / Shape::kKeys + 1;
    copyKeys<kHeadDim, kExact>(a, block, block.firstKey, stage(0));
    copyCommit();

    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int index = 16 * warp + lane / 4;
    const FlashRow rows[2] = {flashRow(a, block, index), flashRow(a, block, index + 8)};
    // What all and what any of the warp's rows see: they are in order of their tokens.
    const FlashRow top = flashRow(a, block, 16 * warp);
    const FlashRow bottom = flashRow(a, block, min(16 * warp + 15, block.tokens * block.group - 1));
    std::uint32_t high[Shape::kLarge ? 1 : kSteps][4], low[Shape::kLarge ? 1 : kSteps][4];
    if constexpr (!Shape::kLarge) {
        MOESCOPE_UNROLL
        for (int s = 0; s < kSteps; ++s) loadQuery<kExact>(a, rows, s, high[s], low[s]);
    }

    FlashState<kHeadDim> state;
    for (int tile = 0; tile < tiles; ++tile) {
        const int base = block.firstKey + tile * Shape::kKeys;
        copyWait<0>();
        __syncthreads();
        if (tile + 1 < tiles)
            copyKeys<kHeadDim, kExact>(a, block, base + Shape::kKeys, stage(tile + 1));
        copyCommit();
        const bool seen = top.valid && base <= bottom.lastKey && base + Shape::kKeys > top.firstKey;
        if (!seen) continue;
        float scores[kColumns8][4] = {};
        if constexpr (Shape::kLarge) {
#pragma unroll 1
            for (int s = 0; s < kSteps; ++s) {
                loadQuery<kExact>(a, rows, s, high[0], low[0]);
                multiplyKeys<kHeadDim, kExact>(stage(tile), s, high[0], low[0], scores);
            }
        } else {
            MOESCOPE_UNROLL
            for (int s = 0; s < kSteps; ++s) {
                multiplyKeys<kHeadDim, kExact>(stage(tile), s, high[s], low[s], scores);
            }
        }
        const bool allSeen = base + Shape::kKeys - 1 <= top.lastKey && base >= bottom.firstKey;
        if (!allSeen) {
            MOESCOPE_UNROLL
            for (int j = 0; j < kColumns8; ++j) {
                MOESCOPE_UNROLL
                for (int e = 0; e < 4; ++e) {
                    const int key = base + 8 * j + lane % 4 * 2 + e % 2;
                    const FlashRow& row = rows[e / 2];
                    if (key < row.firstKey || key > row.lastKey) scores[j][e] = -INFINITY;
                }
            }
        }
        updateSoftmax(state, scores);
        multiplyValues<kHeadDim, kExact>(stage(tile) + Shape::kTileBytes, scores, state.sums);
    }
    storeRow(a, rows[0], 0, state);
    storeRow(a, rows[1], 1, state);
    if (block.kvHead + 1 == a.nKvHead) {
        for (int i = warp; i < block.tokens; i += Shape::kWarps) {
            padOperand(a.out, runOf(a).first + block.firstToken + i, a.nHead * kHeadDim, lane,
                       kWarp);
        }
    }
}

}  // namespace moescope::cuda
