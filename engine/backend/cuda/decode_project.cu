// SPDX-License-Identifier: Apache-2.0
// Projections of few tokens, with the norm in front of them and, for the router, the choice behind.
//
// A root-mean-square norm is a weight for each column and one factor for the row: products are
// taken of the weighted row while the factor is still being summed up, and multiplied by it at the
// end.
#include <algorithm>

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Largest activations that are copied to shared memory, bytes.
constexpr int kMaxStaged = 100 << 10;

struct Args {
    DecodeProjection p;
    PieceShape shape;
    std::int32_t tilesPerBlock;
    std::int32_t stride;  // of staged rows, elements
    std::int32_t staged;  // bytes of them; 0: read from global memory
};

/// Ids among `chosen` (n) that occur, ascending, by one warp: distinct[0] of them.
__device__ void collectDistinct(const std::int32_t* chosen, int n, int nExpert,
                                std::int32_t* distinct) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    int count = 0;
    for (int first = 0; first < nExpert; first += kWarp) {
        bool used = false;
        for (int i = 0; i < n; ++i) used = used || chosen[i] == first + lane;
        const unsigned mask = __ballot_sync(kAllLanes, used);
        if (used) distinct[1 + count + __popc(mask & ((1U << lane) - 1U))] = first + lane;
        count += __popc(mask);
    }
    if (lane == 0) distinct[0] = count;
}

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
__global__ void __launch_bounds__(kBlockThreads) decodeProjectKernel(const Args a) {
    __shared__ CopyBarrier barriers[kMaxBuffers];
    __shared__ float sums[kBlockWarps][kDecodeTokens];
    const DecodeProjection& p = a.p;
    auto* memory = dynamicShared<std::byte>();
    auto* partial = reinterpret_cast<float*>(memory + a.shape.ringBytes() + a.staged);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int first = static_cast<int>(blockIdx.x) * a.tilesPerBlock;
    const int tiles = min(a.tilesPerBlock, p.weights.tiles() - first);
    const int pieces = tiles * a.shape.perTile;

    // Weights do not depend on the kernel before: they are under way while it ends.
    PieceRing<F> ring(p.weights, a.shape, barriers, memory);
    const auto pieceOf = [&](int i) {
        return ring.piece(0, first + i / a.shape.perTile, i % a.shape.perTile);
    };
    prepareBarriers(barriers, a.shape.buffers);
    for (int i = 0; i < min(pieces, a.shape.buffers); ++i) ring.fetch(i, pieceOf(i));
    letNextKernelBegin();
    waitForPreviousKernel();

    PairRows x = p.x;
    if (a.staged > 0) {
        x.high = reinterpret_cast<std::uint16_t*>(memory + a.shape.ringBytes());
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
    float acc[4] = {0, 0, 0, 0};
    for (int i = 0; i < pieces; ++i) {
        ring.wait(i);
        ring.multiply(acc, i, pieceOf(i), high, low);
        if ((i + 1) % a.shape.perTile == 0) {
            storePartial(partial + (i / a.shape.perTile * kBlockWarps + warp) * slice, acc,
                         p.tokens);
            for (float& value : acc) value = 0;
        }
        if (i + a.shape.buffers >= pieces) continue;
        __syncthreads();  // all warps are done with the buffer
        ring.fetch(i + a.shape.buffers, pieceOf(i + a.shape.buffers));
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < tiles * slice; i += kBlockThreads) {
        const int tile = i / slice;
        const int t = i % slice / kTileRows;
        const int row = (first + tile) * kTileRows + i % kTileRows;
        if (row >= p.weights.rows) continue;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w)
            sum += partial[(tile * kBlockWarps + w) * slice + i % slice];
        sum *= scaleOf(t);
        if (p.bias != nullptr) sum += p.bias[row];
        float& out = p.out[std::int64_t{t} * p.outStride + row];
        out = p.add ? out + sum : sum;
    }
    if (p.counter == nullptr || !isLastBlock(p.counter)) return;
    const int topK = p.rule.topK;
    auto* chosen = reinterpret_cast<std::int32_t*>(partial);  // (n_tokens, top_k)
    auto* weights = reinterpret_cast<float*>(chosen + p.tokens * topK);
    for (int t = warp; t < p.tokens; t += kBlockWarps) {
        chooseForToken(p.rule, p.out + std::int64_t{t} * p.outStride, chosen + t * topK,
                       weights + t * topK);
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < p.tokens * topK; i += kBlockThreads) {
        p.choice.experts[i] = chosen[i];
        p.choice.weights[i] = weights[i];
    }
    if (warp == 0) collectDistinct(chosen, p.tokens * topK, p.rule.nExpert, p.choice.distinct);
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

template <WeightFormat F>
void launchProject(const DecodeProjection& p, int multiprocessors, cudaStream_t stream) {
    constexpr int kBlockBytes = 48 << 10;  // of weights: three blocks a multiprocessor hide latency
    Args a{p, {}, 1, 0, 0};
    const int tiles = p.weights.tiles();
    const int tileBytes = static_cast<int>(16 * p.weights.tileUnits());
    a.tilesPerBlock = std::clamp(kBlockBytes / std::max(1, tileBytes), 1, kMaxBuffers);
    while (a.tilesPerBlock > 1 && tiles < 3 * multiprocessors * a.tilesPerBlock)
        a.tilesPerBlock /= 2;
    a.shape = pieceShape(p.weights, a.tilesPerBlock);
    // 16 bytes more than a row, so that the rows of several tokens lie in different banks.
    a.stride = p.weights.paddedCols() + 8;
    a.staged = (4 * a.stride * p.tokens + 127) / 128 * 128;
    if (p.x.high != nullptr && a.staged > kMaxStaged) a.staged = 0;
    const int partial =
        std::max(a.tilesPerBlock * kBlockWarps * p.tokens * kTileRows, 2 * p.tokens * p.rule.topK);
    const auto bytes = static_cast<std::size_t>(a.shape.ringBytes() + a.staged + 4 * partial);
    const auto grid = static_cast<unsigned>((tiles + a.tilesPerBlock - 1) / a.tilesPerBlock);
    launch({dim3(grid), dim3(kBlockThreads), bytes, stream, true}, decodeProjectKernel<F>, a);
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
