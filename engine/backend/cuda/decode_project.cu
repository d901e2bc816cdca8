// SPDX-License-Identifier: Apache-2.0
// Projections of few tokens, with the norm in front of them and, for the router, the choice behind.
#include <algorithm>

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Largest staged activations, bytes: two blocks on a multiprocessor still fit.
constexpr std::size_t kMaxStaged = std::size_t{100} << 10;

struct Args {
    DecodeProjection p;
    std::int32_t split;   // warps that share a tile
    std::int32_t stride;  // of staged rows, elements
    bool staged;          // activations are copied to, or normalised into, shared memory
};

/// Ids that occur in `experts`, ascending, by one warp: distinct[0] of them.
__device__ void collectDistinct(const RouterRule& rule, int tokens, const RouterChoice& choice) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    int count = 0;
    for (int first = 0; first < rule.nExpert; first += kWarp) {
        bool used = false;
        for (int i = 0; i < tokens * rule.topK; ++i)
            used = used || choice.experts[i] == first + lane;
        const unsigned mask = __ballot_sync(kAllLanes, used);
        if (used) choice.distinct[1 + count + __popc(mask & ((1U << lane) - 1U))] = first + lane;
        count += __popc(mask);
    }
    if (lane == 0) choice.distinct[0] = count;
}

/// Puts the activations of all tokens into shared memory, and returns where.
__device__ PairRows stage(const Args& a) {
    const DecodeProjection& p = a.p;
    PairRows rows;
    rows.high = dynamicShared<std::uint16_t>();
    rows.low = rows.high + p.tokens * a.stride;
    rows.stride = a.stride;
    const int width = p.weights.cols;
    const int padded = p.weights.paddedCols();
    const auto thread = static_cast<int>(threadIdx.x);
    for (int t = 0; t < p.tokens; ++t) {
        if (p.x.high != nullptr) {
            for (int i = 8 * thread; i < padded; i += 8 * kBlockThreads) {
                const std::int64_t from = std::int64_t{t} * p.x.stride + i;
                *reinterpret_cast<uint4*>(rows.high + t * a.stride + i) =
                    *reinterpret_cast<const uint4*>(p.x.high + from);
                *reinterpret_cast<uint4*>(rows.low + t * a.stride + i) =
                    *reinterpret_cast<const uint4*>(p.x.low + from);
            }
            continue;
        }
        const float* row = p.hidden + std::int64_t{t} * width;
        const NormOfRow norm = normOfRow(p.norm, row, width);
        for (int i = thread; i < padded; i += kBlockThreads) {
            const float x = i < width ? norm.of(p.norm, row[i], i) : 0.0F;
            storePair(rows, t, i, x);
            if (p.keepNormed.high != nullptr && blockIdx.x == 0 && i < width)
                storePair(p.keepNormed, t, i, x);
        }
    }
    __syncthreads();
    return rows;
}

/// The block that is the last to come here, of the whole grid, returns true (on every thread).
__device__ bool isLastBlock(unsigned* counter) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1U) + 1 == gridDim.x;
        if (last) *counter = 0;
        __threadfence();
    }
    __syncthreads();
    return last;
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads, F == WeightFormat::Bf16Pair ? 2 : 3)
    decodeProjectKernel(const Args a) {
    __shared__ float partial[kBlockWarps][kDecodeTokens][kTileRows];
    const DecodeProjection& p = a.p;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int part = warp % a.split;
    const int tiles = p.weights.tiles();
    const int stride = static_cast<int>(gridDim.x) * tilesPerBlock;
    int tile = static_cast<int>(blockIdx.x) * tilesPerBlock + warp / a.split;

    letNextKernelBegin();
    WeightGroup<F> ahead;
    TileReader<F> reader(p.weights, 0, min(tile, tiles - 1));
    const int begin = part * reader.groups() / a.split;
    const int end = (part + 1) * reader.groups() / a.split;
    // Weights do not depend on the kernel before: they are under way while it ends.
    if (begin < end) reader.load(ahead, begin);
    waitForPreviousKernel();

    const PairRows x = a.staged ? stage(a) : p.x;
    const int token = lane / 4;
    const bool mine = token < p.tokens;
    const std::uint16_t* high = mine ? x.high + std::int64_t{token} * x.stride : nullptr;
    const std::uint16_t* low = mine ? x.low + std::int64_t{token} * x.stride : nullptr;
    for (int first = static_cast<int>(blockIdx.x) * tilesPerBlock; first < tiles; first += stride) {
        float acc[4] = {0, 0, 0, 0};
        if (begin < end) multiplyRange(acc, reader, ahead, begin, end, high, low);
        tile += stride;
        reader = TileReader<F>(p.weights, 0, min(tile, tiles - 1));
        if (begin < end && first + stride < tiles) reader.load(ahead, begin);
        const float2 y = resultOf(acc);
        partial[warp][token][2 * (lane % 4)] = y.x;
        partial[warp][token][2 * (lane % 4) + 1] = y.y;
        __syncthreads();
        const int results = tilesPerBlock * kTileRows * p.tokens;
        for (int i = static_cast<int>(threadIdx.x); i < results; i += kBlockThreads) {
            const int r = i % kTileRows;
            const int t = i / kTileRows % p.tokens;
            const int local = i / kTileRows / p.tokens;
            const int row = (first + local) * kTileRows + r;
            if (row >= p.weights.rows) continue;
            float sum = 0;
            for (int s = 0; s < a.split; ++s) sum += partial[local * a.split + s][t][r];
            if (p.bias != nullptr) sum += p.bias[row];
            float& out = p.out[std::int64_t{t} * p.outStride + row];
            out = p.add ? out + sum : sum;
        }
        __syncthreads();
    }
    if (p.counter == nullptr || !isLastBlock(p.counter)) return;
    for (int t = warp; t < p.tokens; t += kBlockWarps) {
        chooseForToken(p.rule, p.out + std::int64_t{t} * p.outStride,
                       p.choice.experts + t * p.rule.topK, p.choice.weights + t * p.rule.topK);
    }
    __syncthreads();
    if (warp == 0) collectDistinct(p.rule, p.tokens, p.choice);
}

__global__ void __launch_bounds__(kBlockThreads) normRowsKernel(const NormRows n) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* in = n.in + row * n.width;
    const NormOfRow norm = normOfRow(n.norm, in, n.width);
    for (int i = static_cast<int>(threadIdx.x); i < n.width; i += kBlockThreads)
        storePair(n.out, row, i, norm.of(n.norm, in[i], i));
}

__global__ void __launch_bounds__(kBlockThreads) addNormedKernel(const AddNormed a) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* branch = a.branch + row * a.width;
    const NormOfRow norm = normOfRow(a.norm, branch, a.width);
    for (int i = static_cast<int>(threadIdx.x); i < a.width; i += kBlockThreads)
        a.hidden[row * a.width + i] += norm.of(a.norm, branch[i], i);
}

/// Warps that share a tile: as many as give every multiprocessor several blocks to hide latency
/// with.
int splitFor(const DeviceMatrix& m, int groups) {
    int split = 1;
    while (split < kBlockWarps && split < groups && m.tiles() * split < 16 * 1024) split *= 2;
    return split;
}

template <WeightFormat F>
void launchProject(const DecodeProjection& p, int multiprocessors, cudaStream_t stream) {
    Args a{p, 1, 0, false};
    const int groups = (p.weights.chunks() + kGroupChunks - 1) / kGroupChunks;
    a.split = splitFor(p.weights, groups);
    // 16 bytes more than a row, so that the rows of several tokens lie in different banks.
    a.stride = p.weights.paddedCols() + 8;
    const std::size_t bytes =
        std::size_t{4} * static_cast<std::size_t>(a.stride) * static_cast<std::size_t>(p.tokens);
    a.staged = p.x.high == nullptr || bytes <= kMaxStaged;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int blocks = (p.weights.tiles() + tilesPerBlock - 1) / tilesPerBlock;
    // Few enough to stay resident: a block that goes on to another tile has its activations
    // already.
    const int resident = multiprocessors * (F == WeightFormat::Bf16Pair ? 2 : 3);
    const int grid = blocks <= 2 * resident ? blocks : resident;
    launch({dim3(static_cast<unsigned>(grid)), dim3(kBlockThreads), a.staged ? bytes : 0, stream,
            true},
           decodeProjectKernel<F>, a);
}

}  // namespace

void decodeProject(const DecodeProjection& p, int multiprocessors, cudaStream_t stream) {
    switch (p.weights.format) {
        case WeightFormat::Bf16:
            return launchProject<WeightFormat::Bf16>(p, multiprocessors, stream);
        case WeightFormat::Bf16Pair:
            return launchProject<WeightFormat::Bf16Pair>(p, multiprocessors, stream);
        case WeightFormat::Q8_0:
            return launchProject<WeightFormat::Q8_0>(p, multiprocessors, stream);
        case WeightFormat::Mxfp4:
            return launchProject<WeightFormat::Mxfp4>(p, multiprocessors, stream);
    }
}

void normRows(const NormRows& n, cudaStream_t stream) {
    launch({dim3(static_cast<unsigned>(n.rows)), dim3(kBlockThreads), 0, stream, true},
           normRowsKernel, n);
}

void addNormed(const AddNormed& a, cudaStream_t stream) {
    launch({dim3(static_cast<unsigned>(a.tokens)), dim3(kBlockThreads), 0, stream, true},
           addNormedKernel, a);
}

}  // namespace moescope::cuda
