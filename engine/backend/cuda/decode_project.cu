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
    WeightStream m;
    std::int32_t split;   // warps that share a tile
    std::int32_t stride;  // of staged rows, elements
    std::int32_t staged;  // bytes of them; 0: read from global memory
};

/// Four columns of a row, from a multiple of four on.
__device__ __forceinline__ void storeFour(const PairRows& rows, int row, int column,
                                          const float (&x)[4]) {
    const std::uint32_t first = packBf16(x[0], x[1]);
    const std::uint32_t second = packBf16(x[2], x[3]);
    const uint4 words = make_uint4(
        first, packBf16(x[0] - fromBf16(first & 0xFFFFU), x[1] - fromBf16(first >> 16U)), second,
        packBf16(x[2] - fromBf16(second & 0xFFFFU), x[3] - fromBf16(second >> 16U)));
    const int at = 8 * octetSlot(rows.format, column) + column % 8;
    *reinterpret_cast<uint4*>(rows.words + std::int64_t{row} * rows.stride + at) = words;
}

/// Weighted hidden rows into `rows` and, for the first block where asked for, into keepNormed.
/// sums: (kBlockWarps, kDecodeTokens), receives each warp's part of the sum of squares of each
/// token.
__device__ void stageWeighted(const Args& a, const PairRows& rows, bool keep,
                              float (*sums)[kDecodeTokens]) {
    const DecodeProjection& p = a.p;
    const int width = a.m.cols;
    const int padded = a.m.paddedCols;
    const float offset = p.norm.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
    // All loads of a token are under way before the first is used.
    constexpr int kBatch = 3;
    constexpr int kStep = 4 * kBlockThreads;
    for (int t = 0; t < p.tokens; ++t) {
        float squares = 0;
        const float* row = p.hidden + std::int64_t{t} * width;
        for (int first = 4 * static_cast<int>(threadIdx.x); first < padded;
             first += kBatch * kStep) {
            float4 hidden[kBatch];
            float4 weight[kBatch];
            MOESCOPE_UNROLL
            for (int j = 0; j < kBatch; ++j) {
                const int i = first + j * kStep;
                hidden[j] =
                    i < width ? *reinterpret_cast<const float4*>(row + i) : make_float4(0, 0, 0, 0);
                weight[j] = i < width ? *reinterpret_cast<const float4*>(p.norm.weight + i)
                                      : make_float4(0, 0, 0, 0);
            }
            MOESCOPE_UNROLL
            for (int j = 0; j < kBatch; ++j) {
                const int i = first + j * kStep;
                if (i >= padded) break;
                const float4 h = hidden[j];
                const float4 w = weight[j];
                squares += h.x * h.x + h.y * h.y + h.z * h.z + h.w * h.w;
                const float x[4] = {h.x * (w.x + offset), h.y * (w.y + offset),
                                    h.z * (w.z + offset), h.w * (w.w + offset)};
                storeFour(rows, t, i, x);
                // With zeros behind the last column: another layer may have left something there.
                if (keep && i < p.keepNormed.stride) storeFour(p.keepNormed, t, i, x);
            }
        }
        squares = warpSum(squares);
        if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp][t] = squares;
    }
}

/// The same for any norm and width: normalised already.
__device__ void stageNormed(const Args& a, const PairRows& rows, bool keep) {
    const DecodeProjection& p = a.p;
    const int width = a.m.cols;
    for (int t = 0; t < p.tokens; ++t) {
        const float* row = p.hidden + std::int64_t{t} * width;
        const NormOfRow norm = normOfRow(p.norm, row, width);
        for (int i = static_cast<int>(threadIdx.x); i < p.weights.paddedCols();
             i += kBlockThreads) {
            const float x = i < width ? norm.of(p.norm, row[i], i) : 0.0F;
            storePair(rows, t, i, x);
            if (keep && i < p.keepNormed.stride) storePair(p.keepNormed, t, i, x);
        }
    }
}

__device__ void stageCopies(const Args& a, const PairRows& rows) {
    for (int t = 0; t < a.p.tokens; ++t) {
        const std::uint32_t* from = a.p.x.words + std::int64_t{t} * a.p.x.stride;
        for (int i = 4 * static_cast<int>(threadIdx.x); i < a.m.paddedCols;
             i += 4 * kBlockThreads) {
            *reinterpret_cast<uint4*>(rows.words + t * rows.stride + i) =
                *reinterpret_cast<const uint4*>(from + i);
        }
    }
}

template <WeightFormat F, bool kStaged>
__global__ void __launch_bounds__(kBlockThreads, 3) decodeProjectKernel(const Args a) {
    __shared__ CopyBarrier barriers[kBlockWarps * kRingGroups];
    __shared__ float sums[kBlockWarps][kDecodeTokens];
    const DecodeProjection& p = a.p;
    auto* memory = dynamicShared<std::byte>();
    auto* partial = reinterpret_cast<float*>(memory + ringBytes(F) + a.staged);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int part = warp % a.split;
    const int begin = part * a.m.groups / a.split;
    const int end = (part + 1) * a.m.groups / a.split;  // groups of a tile for this warp
    const int tiles = a.m.tiles;
    const int step = static_cast<int>(gridDim.x) * tilesPerBlock;
    const int myTile = static_cast<int>(blockIdx.x) * tilesPerBlock + warp / a.split;

    // Weights do not depend on the kernel before: they are under way while it ends.
    WeightRing<F> ring(a.m, memory, barriers);
    int fetchTile = begin < end ? myTile : tiles;
    int fetchGroup = begin;
    const auto fetch = [&] {
        if (fetchTile >= tiles) return;
        ring.fetch(a.m.codes + std::int64_t{fetchTile} * a.m.tileCodes,
                   a.m.scales + std::int64_t{fetchTile} * a.m.tileScales, fetchGroup);
        if (++fetchGroup == end) {
            fetchGroup = begin;
            fetchTile += step;
        }
    };
    for (int i = 0; i < kRingGroups; ++i) fetch();
    letNextKernelBegin();
    waitForPreviousKernel();

    PairRows x = p.x;
    if (kStaged) {
        x.words = reinterpret_cast<std::uint32_t*>(memory + ringBytes(F));
        x.stride = a.stride;
        x.format = F;
    }
    const bool keep = p.keepNormed.words != nullptr && blockIdx.x == 0;
    const bool weighted = p.x.words == nullptr && !p.norm.none &&
                          p.norm.kind != NormKind::LayerNorm && a.m.cols % 4 == 0;
    if (weighted) {
        stageWeighted(a, x, keep, sums);
    } else if (p.x.words == nullptr) {
        stageNormed(a, x, keep);
    } else if (kStaged) {
        stageCopies(a, x);
    }
    __syncthreads();
    const auto scaleOf = [&](int t) {
        if (!weighted) return 1.0F;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w) sum += sums[w][t];
        return 1.0F / sqrtf(sum / static_cast<float>(a.m.cols) + p.norm.eps);
    };
    if (keep && static_cast<int>(threadIdx.x) < p.tokens)
        p.keepNormed.scale[threadIdx.x] = scaleOf(static_cast<int>(threadIdx.x));

    const TokenRow row = rowOfLane(x, p.tokens);
    const int slice = p.tokens * kTileRows;
    const int results = tilesPerBlock * slice;
    bool odd = false;
    for (int first = static_cast<int>(blockIdx.x) * tilesPerBlock, tile = myTile; first < tiles;
         first += step, tile += step) {
        // Two sets of sums take turns: one barrier a round is enough.
        float* sumsOfRound = partial + (odd ? kBlockWarps * slice : 0);
        odd = !odd;
        Accumulators acc;
        if (tile < tiles) {
            for (int group = begin; group < end; ++group) {
                ring.template multiply<kStaged>(acc, group, row);
                fetch();
            }
        }
        storePartial(sumsOfRound + warp * slice, resultOf(acc), p.tokens);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < results; i += kBlockThreads) {
            const int local = i / slice;
            const int t = i % slice / kTileRows;
            const int row = (first + local) * kTileRows + i % kTileRows;
            if (row >= a.m.rows) continue;
            float sum = 0;
            for (int w = 0; w < a.split; ++w)
                sum += sumsOfRound[(local * a.split + w) * slice + i % slice];
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
    Args a{p, streamOf(p.weights), splitFor(p.weights, resident), 0, 0};
    // 32 bytes more than a row, so that the rows of several tokens lie in different banks.
    a.stride = p.weights.paddedCols() + 8;
    a.staged = (4 * a.stride * p.tokens + 127) / 128 * 128;
    if (p.x.words != nullptr && a.staged > kMaxStaged) a.staged = 0;
    const int partial = 4 * 2 * kBlockWarps * p.tokens * kTileRows;
    const int tilesPerBlock = kBlockWarps / a.split;
    const int blocks = (p.weights.tiles() + tilesPerBlock - 1) / tilesPerBlock;
    // As many as are resident together: one that goes on to another tile has its activations
    // already.
    const auto grid = static_cast<unsigned>(std::min(blocks, resident));
    launch({dim3(grid), dim3(kBlockThreads),
            static_cast<std::size_t>(ringBytes(F) + a.staged + partial), stream, true},
           a.staged > 0 ? decodeProjectKernel<F, true> : decodeProjectKernel<F, false>, a);
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
