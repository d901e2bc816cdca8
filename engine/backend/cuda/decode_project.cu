// SPDX-License-Identifier: Apache-2.0
// Projections of few tokens, with the norm in front of them.
//
// A root-mean-square norm is a weight for each column and one factor for the row: products are
// taken of the weighted row while the factor is still being summed up, and multiplied by it at the
// end.
#include <algorithm>

#include "engine/backend/cuda/decode_ring.h"
#include "engine/backend/cuda/device_limits.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Largest activations that are copied to shared memory, bytes.
constexpr int kMaxStaged = 100 << 10;

struct Args {
    DecodeProjection p;
    WeightStream m;
    std::int32_t stride;  // of staged rows, elements
    std::int32_t staged;  // bytes of them; 0: read from global memory
    std::int32_t depth;   // of the rings
};

/// Four columns of a row, from a multiple of four on.
__device__ __forceinline__ void storeFour(const PairRows& rows, int row, int column,
                                          const float (&x)[4]) {
    const std::uint32_t first = packBf16(x[0], x[1]);
    const std::uint32_t second = packBf16(x[2], x[3]);
    auto* to = reinterpret_cast<uint2*>(rows.words + std::int64_t{row} * rows.stride +
                                        8 * octetSlot(rows.format, column) + column % 8 / 2);
    to[0] = make_uint2(first, second);
    to[2] = make_uint2(packBf16(x[0] - fromBf16(first & 0xFFFFU), x[1] - fromBf16(first >> 16U)),
                       packBf16(x[2] - fromBf16(second & 0xFFFFU), x[3] - fromBf16(second >> 16U)));
}

/// Columns that a thread stages at a time: all loads are under way before the first is used.
constexpr int kStageBatch = 3;
constexpr int kStageStep = 4 * kBlockThreads;

/// Norm weights of this thread's columns from `first` on.
__device__ __forceinline__ void loadNormWeights(const Args& a, int first,
                                                float4 (&weights)[kStageBatch]) {
    MOESCOPE_UNROLL
    for (int j = 0; j < kStageBatch; ++j) {
        const int i = first + j * kStageStep;
        weights[j] = i < a.m.cols ? *reinterpret_cast<const float4*>(a.p.norm.weight + i)
                                  : make_float4(0, 0, 0, 0);
    }
}

/// Weighted hidden rows into the first `padded` columns of `rows`, with zeros behind the last one:
/// another layer may have left something there. early: loadNormWeights of the thread's first
/// columns. sums: (kBlockWarps, kDecodeTokens), receives each warp's part of the sum of squares of
/// each token.
__device__ __forceinline__ void stageWeighted(const Args& a, const PairRows& rows, int padded,
                                              const float4 (&early)[kStageBatch],
                                              float (*sums)[kDecodeTokens]) {
    const DecodeProjection& p = a.p;
    const int width = a.m.cols;
    const float offset = p.norm.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
    const int begin = 4 * static_cast<int>(threadIdx.x);
    for (int t = 0; t < p.tokens; ++t) {
        float squares = 0;
        const float* row = p.hidden + std::int64_t{t} * width;
        for (int first = begin; first < padded; first += kStageBatch * kStageStep) {
            float4 hidden[kStageBatch];
            float4 weight[kStageBatch];
            MOESCOPE_UNROLL
            for (int j = 0; j < kStageBatch; ++j) {
                const int i = first + j * kStageStep;
                hidden[j] =
                    i < width ? *reinterpret_cast<const float4*>(row + i) : make_float4(0, 0, 0, 0);
                weight[j] = early[j];
            }
            if (first != begin) loadNormWeights(a, first, weight);
            MOESCOPE_UNROLL
            for (int j = 0; j < kStageBatch; ++j) {
                const int i = first + j * kStageStep;
                if (i >= padded) break;
                const float4 h = hidden[j];
                const float4 w = weight[j];
                squares += h.x * h.x + h.y * h.y + h.z * h.z + h.w * h.w;
                const float x[4] = {h.x * (w.x + offset), h.y * (w.y + offset),
                                    h.z * (w.z + offset), h.w * (w.w + offset)};
                storeFour(rows, t, i, x);
            }
        }
        squares = warpSum(squares);
        if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp][t] = squares;
    }
}

/// The same for any norm and width: normalised already.
__device__ void stageNormed(const Args& a, const PairRows& rows, int padded) {
    const DecodeProjection& p = a.p;
    const int width = a.m.cols;
    for (int t = 0; t < p.tokens; ++t) {
        const float* row = p.hidden + std::int64_t{t} * width;
        const NormOfRow norm = normOfRow(p.norm, row, width);
        for (int i = static_cast<int>(threadIdx.x); i < padded; i += kBlockThreads)
            storePair(rows, t, i, i < width ? norm.of(p.norm, row[i], i) : 0.0F);
    }
}

/// One number of a round's results: of token `token`, row `row` of the matrix.
struct Result {
    int token, row;
    SumPlace sum;
};
/// first: of the round's `bands` bands.
__device__ __forceinline__ Result resultAt(const WeightStream& m, int i, int first, int bands) {
    const int rowsOfBand = m.bandTiles * kTileRows;
    const int rows = bands * rowsOfBand;
    const int token = fewTimes(i, rows);
    const int local = i - token * rows;
    const int band = m.bandTiles == 1 ? local / kTileRows : local / kBandRows;
    return {token, first * rowsOfBand + local,
            RoundSums::placeOf(bands, m.groups, band, token, local - band * rowsOfBand)};
}

template <WeightFormat F, bool kStaged, bool kWide>
__global__ void __launch_bounds__(kBlockThreads, kWide ? 2 : kResidentBlocks)
    decodeProjectKernel(const Args a) {
    __shared__ Barrier barriers[kBlockWarps * kMaxDepth];
    __shared__ Barrier staged;
    __shared__ float sums[kBlockWarps][kDecodeTokens];
    const DecodeProjection& p = a.p;
    auto* memory = dynamicShared<std::byte>();
    auto* partial =
        reinterpret_cast<float*>(memory + ringBytes(F, a.m.bandTiles, a.depth) + a.staged);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int groups = a.m.groups;
    // The last block keeps the normed rows, where they are asked for, and has no share of the
    // product: one that does both ends later than all others.
    const bool keeps = p.keepNormed.words != nullptr;
    const unsigned blocks = gridDim.x - (keeps ? 1U : 0U);
    const bool keeper = keeps && blockIdx.x == blocks;
    const BlockBands mine = bandsOfBlock(a.m.bands, blocks);

    if (kStaged && p.x.words != nullptr && stages()) prepareBarriers(&staged, 1);
    // Weights do not depend on the kernel before: they are under way while it ends.
    WeightRing<F> ring(a.m, a.depth, memory, barriers);
    BandWalk ahead(mine.first, mine.end, groups);
    const auto fetch = [&] {
        if (ahead.done()) return;
        ring.fetch(ahead.band(), ahead.group());
        ahead.next();
    };
    for (int i = 0; i < a.depth; ++i) fetch();
    letNextKernelBegin();
    // So are the bias and the place of a thread's first result.
    const auto thread = static_cast<int>(threadIdx.x);
    const auto bandsOfRound = [&](int first) { return min(kBlockWarps, mine.end - first); };
    const auto resultsOfRound = [&](int first) {
        return bandsOfRound(first) * a.m.bandTiles * kTileRows * p.tokens;
    };
    const auto biasOf = [&](const Result& r) {
        return p.bias != nullptr && r.row < a.m.rows ? p.bias[r.row] : 0.0F;
    };
    Result early{};
    float earlyBias = 0;
    const auto prepare = [&](int first) {
        if (thread >= resultsOfRound(first)) return;
        early = resultAt(a.m, thread, first, bandsOfRound(first));
        earlyBias = biasOf(early);
    };
    prepare(mine.first);
    const bool weighted = p.x.words == nullptr && !p.norm.none &&
                          p.norm.kind != NormKind::LayerNorm && a.m.cols % 4 == 0;
    float4 normWeights[kStageBatch] = {};
    if (weighted) loadNormWeights(a, 4 * static_cast<int>(threadIdx.x), normWeights);
    waitForPreviousKernel();

    PairRows x = p.x;
    if (kStaged) {
        x.words = reinterpret_cast<std::uint32_t*>(memory + ringBytes(F, a.m.bandTiles, a.depth));
        x.stride = a.stride;
        x.format = F;
    }
    // Twice the same: where rows lie and in which order is known when this is compiled.
    const auto stage = [&](const PairRows& to, int padded) {
        if (weighted) {
            stageWeighted(a, to, padded, normWeights, sums);
        } else {
            stageNormed(a, to, padded);
        }
    };
    if (keeper) {
        stage(p.keepNormed, min(a.m.paddedCols, p.keepNormed.stride));
    } else if (p.x.words == nullptr) {
        stage(x, a.m.paddedCols);
    } else if (kStaged && stages()) {
        copyRowsToShared(&staged, p.x, p.tokens, a.m.paddedCols, x.words, x.stride);
        waitForCopies(&staged, 0);
    }
    __syncthreads();
    const auto scaleOf = [&](int t) {
        if (!weighted) return 1.0F;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w) sum += sums[w][t];
        return 1.0F / sqrtf(sum / static_cast<float>(a.m.cols) + p.norm.eps);
    };
    if (keeper) {
        if (thread < p.tokens) p.keepNormed.scale[thread] = scaleOf(thread);
        return;
    }
    const auto outOf = [&](const Result& r) {
        return p.out + std::int64_t{r.token} * p.outStride + r.row;
    };
    const auto finish = [&](const Result& r, float sum, float scale, float bias, float before) {
        *outOf(r) = sum * scale + (p.add ? bias + before : bias);
    };
    const TokenRows rows = rowsOfLane(x, p.tokens);
    bool odd = false;
    for (int first = mine.first; first < mine.end; first += kBlockWarps) {
        const int bands = bandsOfRound(first);
        const bool has = thread < resultsOfRound(first) && early.row < a.m.rows;
        // What a thread's first result is added to is on its way while the product is taken: it is
        // not used before.
        const float before = has && p.add ? *outOf(early) : 0.0F;
        // Two sets of sums take turns: one barrier a round is enough.
        const RoundSums round(partial + (odd ? RoundSums::kFloatsOfToken * p.tokens : 0), p.tokens);
        odd = !odd;
        const Share share = shareOf(warp, bands, groups);
        Accumulators<kWide> acc;
        int group = share.group;
        int band = share.band;
        for (int i = share.begin; i < share.end; ++i) {
            ring.template multiply<kStaged>(acc, group, rows);
            fetch();
            if (++group < groups && i + 1 < share.end) continue;
            round.store(band++, acc);
            acc = {};
            group = 0;
        }
        // The first warp, which has the results, has the smallest share of the product.
        const float scale = has ? scaleOf(early.token) : 1.0F;
        __syncthreads();
        if (has) finish(early, round.of(early.sum), scale, earlyBias, before);
        for (int i = thread + kBlockThreads; i < resultsOfRound(first); i += kBlockThreads) {
            const Result r = resultAt(a.m, i, first, bands);
            if (r.row >= a.m.rows) continue;
            finish(r, round.of(r.sum), scaleOf(r.token), biasOf(r), p.add ? *outOf(r) : 0.0F);
        }
        if (first + kBlockWarps < mine.end) prepare(first + kBlockWarps);
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

template <WeightFormat F>
void launchProject(const DecodeProjection& p, int multiprocessors, cudaStream_t stream) {
    Args a{p, streamOf(p.weights, groupChunks(F)), 0, 0, 2};
    if (a.m.bands < 2 * multiprocessors) {
        // More and smaller blocks, and a deeper ring: all of a small matrix is under way while the
        // kernel before ends.
        a.m = streamOf(p.weights, groupChunks(F), 1);
        a.depth = a.m.bands <= multiprocessors / 4 ? kMaxDepth : 4;
    }
    // 32 bytes more than a row, so that the rows of several tokens lie in different banks.
    a.stride = p.weights.paddedCols() + 8;
    a.staged = (4 * a.stride * p.tokens + 127) / 128 * 128;
    const int partial = static_cast<int>(sizeof(float)) * 2 * RoundSums::kFloatsOfToken * p.tokens;
    const int room = static_cast<int>(deviceLimits().sharedOfBlock) - kStaticShared - partial;
    const int leastRing = ringBytes(F, a.m.bandTiles, 1);
    if (p.x.words != nullptr && a.staged > std::min(kMaxStaged, room - leastRing)) a.staged = 0;
    while (a.depth > 1 && ringBytes(F, a.m.bandTiles, a.depth) + a.staged > room) --a.depth;
    // As many blocks as are resident together: one that goes on to other bands has its activations
    // already.
    const int blocks = std::min(a.m.bands, kResidentBlocks * multiprocessors);
    const int ring = ringBytes(F, a.m.bandTiles, a.depth);
    const int keeper = p.keepNormed.words != nullptr ? 1 : 0;
    const Launch l{dim3(static_cast<unsigned>(blocks + keeper)), dim3(kBlockThreads),
                   static_cast<std::size_t>(ring + a.staged + partial), stream, true};
    const bool wide = p.tokens > kOperandTokens;
    if (a.staged > 0) {
        launch(l, wide ? decodeProjectKernel<F, true, true> : decodeProjectKernel<F, true, false>,
               a);
    } else {
        launch(l, wide ? decodeProjectKernel<F, false, true> : decodeProjectKernel<F, false, false>,
               a);
    }
}

}  // namespace

int decodeTokensThatFit(int width, std::size_t sharedOfBlock) noexcept {
    const int row = 4 * (width + 128);
    const int sums = static_cast<int>(sizeof(float)) * 2 * RoundSums::kFloatsOfToken;
    // Beside the smallest ring of weights of any format; of what there is beyond, rings have more.
    const int room = static_cast<int>(sharedOfBlock) - kStaticShared -
                     ringBytes(WeightFormat::Bf16Pair, kBandTiles, 1);
    return std::clamp(std::min(kMaxStaged / row, room / (row + sums)), 1, kDecodeTokens);
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
