// SPDX-License-Identifier: Apache-2.0
// The experts of few tokens: work is shared out by output rows, each distinct expert read once.
#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

struct UpArgs {
    DecodeExpertsUp e;
    std::int32_t split;
    std::int32_t stride;  // of staged rows
    bool staged;
};
struct DownArgs {
    DecodeExpertsDown e;
    std::int32_t split;
};

/// The place that `expert` has among a token's choices, or -1.
__device__ __forceinline__ int placeOf(const RouterChoice& choice, int token, int topK,
                                       int expert) {
    for (int k = 0; k < topK; ++k) {
        if (choice.experts[token * topK + k] == expert) return k;
    }
    return -1;
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads, F == WeightFormat::Bf16Pair ? 2 : 3)
    decodeExpertsUpKernel(const UpArgs a) {
    __shared__ float partial[kBlockWarps][kDecodeTokens][kTileRows];
    const DecodeExpertsUp& e = a.e;
    letNextKernelBegin();
    waitForPreviousKernel();
    if (static_cast<int>(blockIdx.y) >= e.choice.distinct[0]) return;
    const int expert = e.choice.distinct[1 + blockIdx.y];
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int first = static_cast<int>(blockIdx.x) * tilesPerBlock;
    const int tiles = e.gateUp.tiles();
    const int tile = first + warp / a.split;
    const int part = warp % a.split;

    WeightGroup<F> ahead;
    const TileReader<F> reader(e.gateUp, expert, min(tile, tiles - 1));
    const int begin = part * reader.groups() / a.split;
    const int end = (part + 1) * reader.groups() / a.split;
    if (begin < end) reader.load(ahead, begin);

    PairRows x = e.x;
    if (a.staged) {
        x.high = dynamicShared<std::uint16_t>();
        x.low = x.high + e.tokens * a.stride;
        x.stride = a.stride;
        for (int t = 0; t < e.tokens; ++t) {
            for (int i = 8 * static_cast<int>(threadIdx.x); i < e.gateUp.paddedCols();
                 i += 8 * kBlockThreads) {
                const std::int64_t from = std::int64_t{t} * e.x.stride + i;
                *reinterpret_cast<uint4*>(x.high + t * a.stride + i) =
                    *reinterpret_cast<const uint4*>(e.x.high + from);
                *reinterpret_cast<uint4*>(x.low + t * a.stride + i) =
                    *reinterpret_cast<const uint4*>(e.x.low + from);
            }
        }
        __syncthreads();
    }
    const int token = lane / 4;
    const bool mine = token < e.tokens && placeOf(e.choice, token, e.topK, expert) >= 0;
    float acc[4] = {0, 0, 0, 0};
    if (begin < end) {
        multiplyRange(acc, reader, ahead, begin, end,
                      mine ? x.high + std::int64_t{token} * x.stride : nullptr,
                      mine ? x.low + std::int64_t{token} * x.stride : nullptr);
    }
    const float2 y = resultOf(acc);
    partial[warp][token][2 * (lane % 4)] = y.x;
    partial[warp][token][2 * (lane % 4) + 1] = y.y;
    __syncthreads();

    const int perRow = e.gated ? 2 : 1;  // stored rows for one of the hidden vector
    const int results = tilesPerBlock * kTileRows / perRow * e.tokens;
    for (int i = static_cast<int>(threadIdx.x); i < results; i += kBlockThreads) {
        const int local = i % (tilesPerBlock * kTileRows / perRow) * perRow;
        const int t = i / (tilesPerBlock * kTileRows / perRow);
        const int place = placeOf(e.choice, t, e.topK, expert);
        const int row = first * kTileRows + local;
        if (place < 0 || row >= e.gateUp.rows) continue;
        float values[2] = {0, 0};
        for (int r = 0; r < perRow; ++r) {
            float sum = 0;
            for (int s = 0; s < a.split; ++s)
                sum += partial[(local + r) / kTileRows * a.split + s][t][(local + r) % kTileRows];
            if (e.bias != nullptr) sum += e.bias[std::int64_t{expert} * e.gateUp.rows + row + r];
            values[r] = sum;
        }
        storePair(e.hidden, std::int64_t{t} * e.topK + place, row / perRow,
                  e.gated ? gatedActivated(e.activation, e.swigluAlpha, e.swigluLimit, values[0],
                                           values[1])
                          : activated(e.activation, values[0]));
    }
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads, F == WeightFormat::Bf16Pair ? 2 : 3)
    decodeExpertsDownKernel(const DownArgs a) {
    __shared__ float partial[kBlockWarps][kDecodeTokens][kTileRows];
    const DecodeExpertsDown& e = a.e;
    letNextKernelBegin();
    waitForPreviousKernel();
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int tile = static_cast<int>(blockIdx.x);
    const int token = lane / 4;
    const int units = e.choice.distinct[0] * a.split;
    float2 total = make_float2(0, 0);
    for (int unit = warp; unit < units; unit += kBlockWarps) {
        const int expert = e.choice.distinct[1 + unit / a.split];
        const int part = unit % a.split;
        const TileReader<F> reader(e.down, expert, tile);
        const int begin = part * reader.groups() / a.split;
        const int end = (part + 1) * reader.groups() / a.split;
        if (begin >= end) continue;
        WeightGroup<F> ahead;
        reader.load(ahead, begin);
        const int place = token < e.tokens ? placeOf(e.choice, token, e.topK, expert) : -1;
        const std::int64_t slot = std::int64_t{token} * e.topK + place;
        float acc[4] = {0, 0, 0, 0};
        multiplyRange(acc, reader, ahead, begin, end,
                      place >= 0 ? e.hidden.high + slot * e.hidden.stride : nullptr,
                      place >= 0 ? e.hidden.low + slot * e.hidden.stride : nullptr);
        if (place < 0) continue;
        const float weight = e.choice.weights[slot];
        const float2 y = resultOf(acc);
        total.x += weight * y.x;
        total.y += weight * y.y;
    }
    partial[warp][token][2 * (lane % 4)] = total.x;
    partial[warp][token][2 * (lane % 4) + 1] = total.y;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * e.tokens; i += kBlockThreads) {
        const int r = i % kTileRows;
        const int t = i / kTileRows;
        const int row = tile * kTileRows + r;
        if (row >= e.down.rows) continue;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w) sum += partial[w][t][r];
        if (e.bias != nullptr) {
            for (int k = 0; k < e.topK; ++k) {
                sum += e.choice.weights[t * e.topK + k] *
                       e.bias[std::int64_t{e.choice.experts[t * e.topK + k]} * e.down.rows + row];
            }
        }
        float& out = e.out[std::int64_t{t} * e.down.rows + row];
        out = e.add ? out + sum : sum;
    }
}

/// Warps that share a tile of one expert.
int upSplit(const DecodeExpertsUp& e, int groups) {
    int split = 1;
    while (split < kBlockWarps && 2 * split < groups && e.gateUp.tiles() * e.topK * split < 4096)
        split *= 2;
    return split;
}

template <WeightFormat F>
void launchUp(const DecodeExpertsUp& e, cudaStream_t stream) {
    constexpr std::size_t kMaxStaged = std::size_t{100} << 10;
    UpArgs a{e, 1, e.gateUp.paddedCols() + 8, false};
    a.split = upSplit(e, (e.gateUp.chunks() + kGroupChunks - 1) / kGroupChunks);
    const std::size_t bytes =
        std::size_t{4} * static_cast<std::size_t>(a.stride) * static_cast<std::size_t>(e.tokens);
    a.staged = bytes <= kMaxStaged;
    const int tilesPerBlock = kBlockWarps / a.split;
    const auto blocks =
        static_cast<unsigned>((e.gateUp.tiles() + tilesPerBlock - 1) / tilesPerBlock);
    const auto experts = static_cast<unsigned>(min(e.tokens * e.topK, e.nExpert));
    launch({dim3(blocks, experts), dim3(kBlockThreads), a.staged ? bytes : 0, stream, true},
           decodeExpertsUpKernel<F>, a);
}

template <WeightFormat F>
void launchDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    DownArgs a{e, 1};
    const int groups = (e.down.chunks() + kGroupChunks - 1) / kGroupChunks;
    while (a.split * e.topK * 2 <= kBlockWarps && 2 * a.split <= groups) a.split *= 2;
    launch({dim3(static_cast<unsigned>(e.down.tiles())), dim3(kBlockThreads), 0, stream, true},
           decodeExpertsDownKernel<F>, a);
}

}  // namespace

void decodeExpertsUp(const DecodeExpertsUp& e, cudaStream_t stream) {
    switch (e.gateUp.format) {
        case WeightFormat::Bf16:
            return launchUp<WeightFormat::Bf16>(e, stream);
        case WeightFormat::Bf16Pair:
            return launchUp<WeightFormat::Bf16Pair>(e, stream);
        case WeightFormat::Q8_0:
            return launchUp<WeightFormat::Q8_0>(e, stream);
        case WeightFormat::Mxfp4:
            return launchUp<WeightFormat::Mxfp4>(e, stream);
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
