// SPDX-License-Identifier: Apache-2.0
// Projections of few tokens, with the norm in front of them.
//
// A root-mean-square norm is a weight for each column and one factor for the row: products are
// taken of the weighted row while the factor is still being summed up, and multiplied by it at the
// end.
#include <algorithm>

#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Largest activations that are copied to shared memory, bytes.
constexpr int kMaxStaged = 100 << 10;

struct Args {
    DecodeProjection p;
    std::int32_t split;   // warps that share a tile
    std::int32_t groups;  // of a tile
    std::int32_t stride;  // of staged rows, elements
    std::int32_t staged;  // bytes of them; 0: read from global memory
};

/// Four columns of a staged row.
__device__ __forceinline__ void storeFour(const PairRows& rows, int row, int column,
                                          const float (&x)[4]) {
    const uint2 high = make_uint2(packBf16(x[0], x[1]), packBf16(x[2], x[3]));
    const uint2 low =
        make_uint2(packBf16(x[0] - fromBf16(high.x & 0xFFFFU), x[1] - fromBf16(high.x >> 16U)),
                   packBf16(x[2] - fromBf16(high.y & 0xFFFFU), x[3] - fromBf16(high.y >> 16U)));
    const std::int64_t at = std::int64_t{row} * rows.stride + column;
    *reinterpret_cast<uint2*>(rows.high + at) = high;
    *reinterpret_cast<uint2*>(rows.low + at) = low;
}

/// Weighted hidden rows into `rows` and, for the first block where asked for, into keepNormed.
/// Returns this thread's part of the sum of squares of each token through `squares`.
__device__ void stageWeighted(const DecodeProjection& p, const PairRows& rows, bool keep,
                              float (&squares)[kDecodeTokens]) {
    const int width = p.weights.cols;
    const int padded = p.weights.paddedCols();
    const float offset = p.norm.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
    MOESCOPE_UNROLL
    for (int t = 0; t < kDecodeTokens; ++t) {
        squares[t] = 0;
        if (t >= p.tokens) continue;
        const float* row = p.hidden + std::int64_t{t} * width;
        for (int i = 4 * static_cast<int>(threadIdx.x); i < padded; i += 4 * kBlockThreads) {
            float x[4] = {0, 0, 0, 0};
            if (i < width) {
                const float4 h = *reinterpret_cast<const float4*>(row + i);
                const float4 w = *reinterpret_cast<const float4*>(p.norm.weight + i);
                squares[t] += h.x * h.x + h.y * h.y + h.z * h.z + h.w * h.w;
                x[0] = h.x * (w.x + offset);
                x[1] = h.y * (w.y + offset);
                x[2] = h.z * (w.z + offset);
                x[3] = h.w * (w.w + offset);
            }
            storeFour(rows, t, i, x);
            if (keep && i < width) storeFour(p.keepNormed, t, i, x);
        }
    }
}

/// The same for any norm and width: normalised already.
__device__ void stageNormed(const DecodeProjection& p, const PairRows& rows, bool keep) {
    const int width = p.weights.cols;
    for (int t = 0; t < p.tokens; ++t) {
        const float* row = p.hidden + std::int64_t{t} * width;
        const NormOfRow norm = normOfRow(p.norm, row, width);
        for (int i = static_cast<int>(threadIdx.x); i < p.weights.paddedCols();
             i += kBlockThreads) {
            const float x = i < width ? norm.of(p.norm, row[i], i) : 0.0F;
            storePair(rows, t, i, x);
            if (keep && i < width) storePair(p.keepNormed, t, i, x);
        }
    }
}

__device__ void stageCopies(const DecodeProjection& p, const PairRows& rows) {
    const int padded = p.weights.paddedCols();
    for (int t = 0; t < p.tokens; ++t) {
        for (int i = 8 * static_cast<int>(threadIdx.x); i < padded; i += 8 * kBlockThreads) {
            const std::int64_t from = std::int64_t{t} * p.x.stride + i;
            *reinterpret_cast<uint4*>(rows.high + t * rows.stride + i) =
                *reinterpret_cast<const uint4*>(p.x.high + from);
            *reinterpret_cast<uint4*>(rows.low + t * rows.stride + i) =
                *reinterpret_cast<const uint4*>(p.x.low + from);
        }
    }
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads, 3) decodeProjectKernel(const Args a) {
    __shared__ CopyBarrier barriers[kBlockWarps * kRingGroups];
    __shared__ float sums[kBlockWarps][kDecodeTokens];
    const DecodeProjection& p = a.p;
    auto* memory = dynamicShared<std::byte>();
    auto* partial = reinterpret_cast<float*>(memory + ringBytes(F) + a.staged);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int part = warp % a.split;
    const int begin = part * a.groups / a.split;
    const int count = (part + 1) * a.groups / a.split - begin;  // groups of a tile for this warp
    const int tiles = p.weights.tiles();
    const auto tileOf = [&](int round) {
        return (static_cast<int>(blockIdx.x) + round * static_cast<int>(gridDim.x)) *
                   tilesPerBlock +
               warp / a.split;
    };

    // Weights do not depend on the kernel before: they are under way while it ends.
    WeightRing<F> ring(p.weights, memory, barriers);
    const auto fetch = [&](int index) {
        if (count == 0) return;
        const int tile = tileOf(index / count);
        if (tile < tiles) ring.fetch(index, {0, tile, begin + index % count});
    };
    for (int i = 0; i < kRingGroups; ++i) fetch(i);
    letNextKernelBegin();
    waitForPreviousKernel();

    PairRows x = p.x;
    if (a.staged > 0) {
        x.high = reinterpret_cast<std::uint16_t*>(memory + ringBytes(F));
        x.low = x.high + p.tokens * a.stride;
        x.stride = a.stride;
    }
    const bool keep = p.keepNormed.high != nullptr && blockIdx.x == 0;
    const bool weighted = p.x.high == nullptr && !p.norm.none &&
                          p.norm.kind != NormKind::LayerNorm && p.weights.cols % 4 == 0;
    if (weighted) {
        float squares[kDecodeTokens];
        stageWeighted(p, x, keep, squares);
        MOESCOPE_UNROLL
        for (int t = 0; t < kDecodeTokens; ++t) {
            if (t >= p.tokens) break;
            const float sum = warpSum(squares[t]);
            if (lane == 0) sums[warp][t] = sum;
        }
    } else if (p.x.high == nullptr) {
        stageNormed(p, x, keep);
    } else if (a.staged > 0) {
        stageCopies(p, x);
    }
    __syncthreads();
    const auto scaleOf = [&](int t) {
        if (!weighted) return 1.0F;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w) sum += sums[w][t];
        return 1.0F / sqrtf(sum / static_cast<float>(p.weights.cols) + p.norm.eps);
    };
    if (keep && static_cast<int>(threadIdx.x) < p.tokens)
        p.keepNormed.scale[threadIdx.x] = scaleOf(static_cast<int>(threadIdx.x));

    const int token = lane / 4;
    const bool mine = token < p.tokens;
    const std::uint16_t* high = mine ? x.high + std::int64_t{token} * x.stride : nullptr;
    const std::uint16_t* low = mine ? x.low + std::int64_t{token} * x.stride : nullptr;
    const int slice = p.tokens * kTileRows;
    int index = 0;
    for (int round = 0;; ++round) {
        const int first =
            (static_cast<int>(blockIdx.x) + round * static_cast<int>(gridDim.x)) * tilesPerBlock;
        if (first >= tiles) break;
        // Two sets of sums take turns: one barrier a round is enough.
        float* sumsOfRound = partial + round % 2 * kBlockWarps * slice;
        Accumulators acc;
        if (tileOf(round) < tiles) {
            for (int j = 0; j < count; ++j, ++index) {
                ring.multiply(acc, index, begin + j, high, low);
                fetch(index + kRingGroups);
            }
        }
        storePartial(sumsOfRound + warp * slice, resultOf(acc), p.tokens);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < tilesPerBlock * slice; i += kBlockThreads) {
            const int tile = i / slice;
            const int t = i % slice / kTileRows;
            const int row = (first + tile) * kTileRows + i % kTileRows;
            if (row >= p.weights.rows) continue;
            float sum = 0;
            for (int w = 0; w < a.split; ++w)
                sum += sumsOfRound[(tile * a.split + w) * slice + i % slice];
            sum *= scaleOf(t);
            if (p.bias != nullptr) sum += p.bias[row];
            float& out = p.out[std::int64_t{t} * p.outStride + row];
            out = p.add ? out + sum : sum;
        }
    }
}

__global__ void __launch_bounds__(kBlockThreads) normRowsKernel(const NormRows n) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* in = n.in + row * n.width;
    const NormOfRow norm = normOfRow(n.norm, in, n.width);
    for (int i = static_cast<int>(threadIdx.x); i < n.width; i += kBlockThreads)
        storePair(n.out, row, i, norm.of(n.norm, in[i], i));
    if (threadIdx.x == 0) n.out.scale[row] = 1.0F;
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

/// Warps that share a tile: all of a block, but for matrices of so many tiles that each warp has
/// some to itself.
int splitFor(const DeviceMatrix& m, int resident) {
    int split = kBlockWarps;
    while (split > 1 && (split > groupsOf(m) || m.tiles() > 4 * resident * kBlockWarps / split))
        split /= 2;
    return split;
}

template <WeightFormat F>
void launchProject(const DecodeProjection& p, int multiprocessors, cudaStream_t stream) {
    const int resident = 3 * multiprocessors;
    Args a{p, splitFor(p.weights, resident), groupsOf(p.weights), 0, 0};
    // 16 bytes more than a row, so that the rows of several tokens lie in different banks.
    a.stride = p.weights.paddedCols() + 8;
    a.staged = (4 * a.stride * p.tokens + 127) / 128 * 128;
    if (p.x.high != nullptr && a.staged > kMaxStaged) a.staged = 0;
    const int partial = 4 * 2 * kBlockWarps * p.tokens * kTileRows;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int blocks = (p.weights.tiles() + tilesPerBlock - 1) / tilesPerBlock;
    // As many as are resident together: one that goes on to another tile has its activations
    // already.
    const auto grid = static_cast<unsigned>(std::min(blocks, resident));
    launch({dim3(grid), dim3(kBlockThreads),
            static_cast<std::size_t>(ringBytes(F) + a.staged + partial), stream, true},
           decodeProjectKernel<F>, a);
}

}  // namespace

int decodeTokensThatFit(int width) noexcept {
    constexpr int kActivations = 100 << 10;  // beside a ring of weights and the sums
    return std::clamp(kActivations / (4 * (width + 128)), 1, kDecodeTokens);
}

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
