// SPDX-License-Identifier: Apache-2.0
// The experts of few tokens: work is shared out by output rows, each distinct expert is read once.
#include <algorithm>

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Activations that are copied to shared memory, bytes, at most.
constexpr int kMaxStaged = 64 << 10;

struct UpArgs {
    DecodeExpertsUp e;
    WeightStream m;
    std::int32_t split;   // warps that share a tile
    std::int32_t stride;  // of staged rows, elements; 0: rows are read from global memory
};
struct DownArgs {
    DecodeExpertsDown e;
    WeightStream m;
    std::int32_t split;
};

/// The place that `expert` has among a token's choices, or -1. experts: (n_tokens, top_k).
__device__ __forceinline__ int placeOf(const std::int32_t* experts, int token, int topK,
                                       int expert) {
    for (int k = 0; k < topK; ++k) {
        if (experts[token * topK + k] == expert) return k;
    }
    return -1;
}

/// A block's own copy of who chose what.
struct Choice {
    std::int32_t experts[kDecodeTokens * kMaxTopK];
    float weights[kDecodeTokens * kMaxTopK];
    std::int32_t distinct[1 + kDecodeTokens * kMaxTopK];
};

/// Every block chooses for itself, which is faster than waiting for one that chooses for all; the
/// first one also tells the others that come later.
__device__ void choose(const DecodeExpertsUp& e, Choice& choice) {
    const int n = e.tokens * e.topK;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    if (e.routerLogits != nullptr) {
        for (int t = warp; t < e.tokens; t += kBlockWarps) {
            chooseForToken(e.rule, e.routerLogits + std::int64_t{t} * e.nExpert,
                           choice.experts + t * e.topK, choice.weights + t * e.topK);
        }
    } else {
        for (int i = static_cast<int>(threadIdx.x); i < n; i += kBlockThreads)
            choice.experts[i] = e.choice.experts[i];
    }
    __syncthreads();
    if (warp == 0) collectDistinct(choice.experts, n, e.nExpert, choice.distinct);
    __syncthreads();
    if (e.routerLogits == nullptr || blockIdx.x != 0 || blockIdx.y != 0) return;
    for (int i = static_cast<int>(threadIdx.x); i <= n; i += kBlockThreads) {
        if (i <= choice.distinct[0]) e.choice.distinct[i] = choice.distinct[i];
        if (i == n) continue;
        e.choice.experts[i] = choice.experts[i];
        e.choice.weights[i] = choice.weights[i];
    }
}

template <WeightFormat F, bool kStaged>
__global__ void __launch_bounds__(kBlockThreads, 3) decodeExpertsUpKernel(const UpArgs a) {
    __shared__ CopyBarrier barriers[kBlockWarps * kRingGroups];
    __shared__ float partial[kBlockWarps][kDecodeTokens * kTileRows];
    __shared__ Choice choice;
    const DecodeExpertsUp& e = a.e;
    auto* memory = dynamicShared<std::byte>();
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int first = static_cast<int>(blockIdx.x) * tilesPerBlock;
    const int tile = first + warp / a.split;
    const int part = warp % a.split;
    const int begin = part * a.m.groups / a.split;
    const int end = tile < a.m.tiles ? (part + 1) * a.m.groups / a.split : begin;

    WeightRing<F> ring(a.m, memory, barriers);
    letNextKernelBegin();
    waitForPreviousKernel();
    choose(e, choice);
    if (static_cast<int>(blockIdx.y) >= choice.distinct[0]) return;
    const int expert = choice.distinct[1 + blockIdx.y];
    const std::byte* codes =
        a.m.codes + expert * a.m.matrixCodes + std::int64_t{tile} * a.m.tileCodes;
    const std::byte* scales =
        a.m.scales + expert * a.m.matrixScales + std::int64_t{tile} * a.m.tileScales;
    for (int group = begin; group < min(begin + kRingGroups, end); ++group)
        ring.fetch(codes, scales, group);
    PairRows x = e.x;
    if (kStaged) {
        x.words = reinterpret_cast<std::uint32_t*>(memory + ringBytes(F));
        x.stride = a.stride;
        for (int t = 0; t < e.tokens; ++t) {
            const std::uint32_t* from = e.x.words + std::int64_t{t} * e.x.stride;
            for (int i = 4 * static_cast<int>(threadIdx.x); i < a.m.paddedCols;
                 i += 4 * kBlockThreads) {
                *reinterpret_cast<uint4*>(x.words + t * x.stride + i) =
                    *reinterpret_cast<const uint4*>(from + i);
            }
        }
        __syncthreads();
    }
    const TokenRow row = rowOfLane(x, e.tokens);
    Accumulators acc;
    for (int group = begin; group < end; ++group) {
        ring.template multiply<kStaged>(acc, group, row);
        if (group + kRingGroups < end) ring.fetch(codes, scales, group + kRingGroups);
    }
    storePartial(partial[warp], resultOf(acc), e.tokens);
    __syncthreads();
    const int perRow = e.gated ? 2 : 1;  // stored rows for one number of the hidden vector
    const int rows = tilesPerBlock * kTileRows / perRow;
    for (int i = static_cast<int>(threadIdx.x); i < rows * e.tokens; i += kBlockThreads) {
        const int local = i % rows * perRow;
        const int t = i / rows;
        const int place = placeOf(choice.experts, t, e.topK, expert);
        const int row = first * kTileRows + local;
        if (place < 0 || row >= a.m.rows) continue;
        float values[2] = {0, 0};
        for (int r = 0; r < perRow; ++r) {
            const int warpOfTile = (local + r) / kTileRows * a.split;
            const int at = t * kTileRows + (local + r) % kTileRows;
            float sum = 0;
            for (int w = 0; w < a.split; ++w) sum += partial[warpOfTile + w][at];
            sum *= e.x.scale[t];
            if (e.bias != nullptr) sum += e.bias[std::int64_t{expert} * a.m.rows + row + r];
            values[r] = sum;
        }
        storePair(e.hidden, std::int64_t{t} * e.topK + place, row / perRow,
                  e.gated ? gatedActivated(e.activation, e.swigluAlpha, e.swigluLimit, values[0],
                                           values[1])
                          : activated(e.activation, values[0]));
    }
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads, 3) decodeExpertsDownKernel(const DownArgs a) {
    __shared__ CopyBarrier barriers[kBlockWarps * kRingGroups];
    __shared__ float partial[kBlockWarps][kDecodeTokens * kTileRows];
    const DecodeExpertsDown& e = a.e;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int tile = static_cast<int>(blockIdx.x);
    const int token = lane / 4;
    // The split divides the warps: a warp has the same part of every expert that it takes.
    const int part = warp % a.split;
    const int begin = part * a.m.groups / a.split;
    const int end = (part + 1) * a.m.groups / a.split;
    const int step = kBlockWarps / a.split;  // experts that the block has at a time

    WeightRing<F> ring(a.m, dynamicShared<std::byte>(), barriers);
    letNextKernelBegin();
    waitForPreviousKernel();
    const int experts = begin < end ? e.choice.distinct[0] : 0;
    int fetchExpert = warp / a.split;
    int fetchGroup = begin;
    const auto fetch = [&] {
        if (fetchExpert >= experts) return;
        const std::int64_t expert = e.choice.distinct[1 + fetchExpert];
        ring.fetch(a.m.codes + expert * a.m.matrixCodes + std::int64_t{tile} * a.m.tileCodes,
                   a.m.scales + expert * a.m.matrixScales + std::int64_t{tile} * a.m.tileScales,
                   fetchGroup);
        if (++fetchGroup == end) {
            fetchGroup = begin;
            fetchExpert += step;
        }
    };
    for (int i = 0; i < kRingGroups; ++i) fetch();
    // The rows that this warp will read, on their way to the first-level cache.
    for (int nth = warp / a.split; nth < experts; nth += step) {
        for (int t = 0; t < e.tokens; ++t) {
            const int place = placeOf(e.choice.experts, t, e.topK, e.choice.distinct[1 + nth]);
            if (place < 0) continue;
            const std::uint32_t* row =
                e.hidden.words + (std::int64_t{t} * e.topK + place) * e.hidden.stride;
            constexpr int kColumns = kGroupChunks * chunkColumns(F);
            for (int i = begin * kColumns + 32 * lane; i < min(end * kColumns, a.m.paddedCols);
                 i += 32 * kWarp)
                prefetchLine(row + i);
        }
    }

    float2 total = make_float2(0, 0);
    for (int nth = warp / a.split; nth < experts; nth += step) {
        const int expert = e.choice.distinct[1 + nth];
        const int place = token < e.tokens ? placeOf(e.choice.experts, token, e.topK, expert) : -1;
        const std::int64_t slot = place >= 0 ? std::int64_t{token} * e.topK + place : 0;
        const float weight = place >= 0 ? e.choice.weights[slot] : 0.0F;
        const TokenRow row{e.hidden.words + slot * e.hidden.stride, place >= 0};
        Accumulators acc;
        for (int group = begin; group < end; ++group) {
            ring.template multiply<false>(acc, group, row);
            fetch();
        }
        const float2 y = resultOf(acc);
        if (place < 0) continue;
        total.x += weight * y.x;
        total.y += weight * y.y;
    }
    storePartial(partial[warp], total, e.tokens);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * e.tokens; i += kBlockThreads) {
        const int t = i / kTileRows;
        const int row = tile * kTileRows + i % kTileRows;
        if (row >= a.m.rows) continue;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w) sum += partial[w][i];
        if (e.bias != nullptr) {
            for (int k = 0; k < e.topK; ++k) {
                sum += e.choice.weights[t * e.topK + k] *
                       e.bias[std::int64_t{e.choice.experts[t * e.topK + k]} * a.m.rows + row];
            }
        }
        float& out = e.out[std::int64_t{t} * a.m.rows + row];
        out = e.add ? out + sum : sum;
    }
}

template <WeightFormat F>
void launchUp(const DecodeExpertsUp& e, int multiprocessors, cudaStream_t stream) {
    UpArgs a{e, streamOf(e.gateUp), 1, e.gateUp.paddedCols() + 8};
    const int tiles = e.gateUp.tiles();
    const int experts = std::min(e.tokens * e.topK, e.nExpert);
    const auto blocksOf = [&](int split) {
        const int tilesPerBlock = kBlockWarps / split;
        return (tiles + tilesPerBlock - 1) / tilesPerBlock;
    };
    while (a.split < kBlockWarps && 2 * a.split <= a.m.groups &&
           blocksOf(a.split) * experts < 2 * multiprocessors)
        a.split *= 2;
    int staged = 4 * a.stride * e.tokens;
    if (staged > kMaxStaged) staged = a.stride = 0;
    launch({dim3(static_cast<unsigned>(blocksOf(a.split)), static_cast<unsigned>(experts)),
            dim3(kBlockThreads), static_cast<std::size_t>(ringBytes(F) + staged), stream, true},
           staged > 0 ? decodeExpertsUpKernel<F, true> : decodeExpertsUpKernel<F, false>, a);
}

template <WeightFormat F>
void launchDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    DownArgs a{e, streamOf(e.down), 1};
    while (2 * a.split * e.topK <= kBlockWarps && 2 * a.split <= a.m.groups) a.split *= 2;
    launch({dim3(static_cast<unsigned>(e.down.tiles())), dim3(kBlockThreads),
            static_cast<std::size_t>(ringBytes(F)), stream, true},
           decodeExpertsDownKernel<F>, a);
}

}  // namespace

void decodeExpertsUp(const DecodeExpertsUp& e, int multiprocessors, cudaStream_t stream) {
    switch (e.gateUp.format) {
        case WeightFormat::Bf16:
            return launchUp<WeightFormat::Bf16>(e, multiprocessors, stream);
        case WeightFormat::Bf16Pair:
            return launchUp<WeightFormat::Bf16Pair>(e, multiprocessors, stream);
        case WeightFormat::Q8_0:
            return launchUp<WeightFormat::Q8_0>(e, multiprocessors, stream);
        case WeightFormat::Mxfp4:
            return launchUp<WeightFormat::Mxfp4>(e, multiprocessors, stream);
    }
}

void decodeExpertsDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    switch (e.down.format) {
        case WeightFormat::Bf16:
            return launchDown<WeightFormat::Bf16>(e, stream);
        case WeightFormat::Bf16Pair:
            return launchDown<WeightFormat::Bf16Pair>(e, stream);
        case WeightFormat::Q8_0:
            return launchDown<WeightFormat::Q8_0>(e, stream);
        case WeightFormat::Mxfp4:
            return launchDown<WeightFormat::Mxfp4>(e, stream);
    }
}

}  // namespace moescope::cuda
