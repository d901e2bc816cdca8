// SPDX-License-Identifier: Apache-2.0
// The router of a step of many tokens: norm, product and choice in one kernel.
//
// A block has a few tokens. Its warps share out the experts, 32 to a warp, and the columns: chunk c
// belongs to part c % parts. A warp normalises what it multiplies itself and takes it as two bf16
// numbers each, high and low, as operand B of mma.m16n8k16; weights are operand A. The parts are
// added up in shared memory, in their order.
#include <cassert>

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/operand_store.h"
#include "engine/backend/cuda/prefill_rows.h"

namespace moescope::cuda {
namespace {

constexpr int kRouteWarps = 16;
constexpr int kRouteThreads = kRouteWarps * kWarp;
/// Experts of a warp: two operands A.
constexpr int kWarpExperts = 32;
constexpr int kMaxBlockTokens = 16;
/// Floats of all parts' logits of a token: experts are filled up to whole warps, and four floats
/// let lanes write to 32 different banks.
constexpr int kPartFloats = kRouteWarps * (kWarpExperts + 4);
static_assert(kRouteWarps * kWarpExperts >= kMaxExperts, "a warp for each 32 experts");

/// Eight consecutive numbers; `from` is 16-byte aligned.
__device__ __forceinline__ void loadEight(const float* from, float (&to)[8]) {
    const float4 first = *reinterpret_cast<const float4*>(from);
    const float4 second = *reinterpret_cast<const float4*>(from + 4);
    to[0] = first.x;
    to[1] = first.y;
    to[2] = first.z;
    to[3] = first.w;
    to[4] = second.x;
    to[5] = second.y;
    to[6] = second.z;
    to[7] = second.w;
}

/// What a norm makes of the eight numbers from `in` on, as pairs of bf16.
struct NormedOctet {
    std::uint32_t high[4], low[4];
};
__device__ __forceinline__ NormedOctet normedOctet(const float* in, const float (&weight)[8],
                                                   const float (&bias)[8], const NormOfRow& norm) {
    float x[8];
    loadEight(in, x);
    NormedOctet octet;
    MOESCOPE_UNROLL
    for (int i = 0; i < 4; ++i) {
        float y[2];
        MOESCOPE_UNROLL
        for (int e = 0; e < 2; ++e) {
            const int at = 2 * i + e;
            y[e] = (x[at] - norm.mean) * norm.scale * weight[at] + bias[at];
        }
        octet.high[i] = packBf16(y[0], y[1]);
        octet.low[i] = packBf16(y[0] - fromBf16(octet.high[i] & 0xFFFFU),
                                y[1] - fromBf16(octet.high[i] >> 16U));
    }
    return octet;
}

/// Mean and scale of the block's `count` tokens from `first` on, by all warps: warp w has token w %
/// kTokens.
template <int kTokens>
__device__ void normsOfTokens(const RouteTokens& r, int first, int count, float2* norms) {
    __shared__ float sums[kRouteWarps];
    if (r.norm.none) {
        if (threadIdx.x < kTokens) norms[threadIdx.x] = make_float2(0.0F, 1.0F);
        __syncthreads();
        return;
    }
    constexpr int kThreads = kRouteThreads / kTokens;  // of a token
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int thread = warp / kTokens * kWarp + static_cast<int>(threadIdx.x) % kWarp;
    const int token = warp % kTokens;
    const float* const row = r.hidden + std::int64_t{first + token} * r.width;
    const auto total = [&](const auto& valueOf) {
        float sum = token < count ? partialSum(row, r.width, thread, kThreads, valueOf) : 0.0F;
        sum = warpSum(sum);
        __syncthreads();  // the sums before these have been read
        if (threadIdx.x % kWarp == 0) sums[warp] = sum;
        __syncthreads();
        sum = 0;
        for (int w = token; w < kRouteWarps; w += kTokens) sum += sums[w];
        return sum / static_cast<float>(r.width);
    };
    NormOfRow norm;
    if (r.norm.kind == NormKind::LayerNorm) norm.mean = total([](float x) { return x; });
    const float squares = total([&](float x) { return (x - norm.mean) * (x - norm.mean); });
    norm.scale = 1.0F / sqrtf(squares + r.norm.eps);
    if (thread == 0) norms[token] = make_float2(norm.mean, norm.scale);
    __syncthreads();
}

/// Part `part` of `parts` of the logits of experts 32 expertBlock to 32 expertBlock + 31, for
/// kGroups times eight tokens, by one warp. logits: (parts, kGroups * 8, stride).
template <WeightFormat kFormat, int kGroups>
__device__ void multiplyPart(const RouteTokens& r, int firstToken, int count, const float2* norms,
                             int expertBlock, int part, int parts, int stride, float* logits) {
    constexpr int kPlanes = kFormat == WeightFormat::Bf16Pair ? 2 : 1;
    const DeviceMatrix weights{r.weights.codes, nullptr, r.weights.rows, r.weights.cols, kFormat};
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int g = lane / 4;
    const int t = lane % 4;
    const int chunks = weights.chunks();
    const int firstTile = expertBlock * (kWarpExperts / kTileRows);
    const auto unitsOfTile = weights.tileUnits();
    const uint4* const codes = weights.tileCodes(0, firstTile) + lane;
    const float offset = r.norm.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
    NormOfRow norm[kGroups];
    const float* rows[kGroups];
    MOESCOPE_UNROLL
    for (int j = 0; j < kGroups; ++j) {
        // What comes of absent tokens is not looked at.
        const int token = min(8 * j + g, count - 1);
        norm[j] = {norms[token].x, norms[token].y};
        rows[j] = r.hidden + std::int64_t{firstToken + token} * r.width;
    }
    float acc[2][kGroups][4] = {};
    struct Codes {
        uint4 of[kWarpExperts / kTileRows][kPlanes] = {};
    };
    const auto load = [&](int chunk) {
        Codes code;
        MOESCOPE_UNROLL
        for (int tile = 0; tile < kWarpExperts / kTileRows; ++tile) {
            const bool valid = chunk < chunks && firstTile + tile < weights.tiles();
            MOESCOPE_UNROLL
            for (int plane = 0; plane < kPlanes; ++plane) {
                if (valid)
                    code.of[tile][plane] = loadStreaming(codes + tile * unitsOfTile +
                                                         (chunk * kPlanes + plane) * kWarp);
            }
        }
        return code;
    };
    // A chunk ahead: few tokens have one block, whose warps go from chunk to chunk.
    Codes ahead = load(part);
    for (int chunk = part; chunk < chunks; chunk += parts) {
        const Codes code = ahead;
        ahead = load(chunk + parts);
        const int column = chunk * 32 + 8 * t;
        const bool real = column < r.width;
        float weight[8] = {}, bias[8] = {};
        if (real && !r.norm.none) {
            loadEight(r.norm.weight + column, weight);
            if (r.norm.bias != nullptr) loadEight(r.norm.bias + column, bias);
        }
        MOESCOPE_UNROLL
        for (int i = 0; i < 8; ++i) weight[i] = r.norm.none ? 1.0F : weight[i] + offset;
        NormedOctet x[kGroups] = {};
        MOESCOPE_UNROLL
        for (int j = 0; j < kGroups; ++j) {
            if (real) x[j] = normedOctet(rows[j] + column, weight, bias, norm[j]);
        }
        MOESCOPE_UNROLL
        for (int pair = 0; pair < 2; ++pair) {
            MOESCOPE_UNROLL
            for (int plane = 0; plane < kPlanes; ++plane) {
                const uint4 u = code.of[2 * pair][plane];
                const uint4 l = code.of[2 * pair + 1][plane];
                const std::uint32_t a[2][4] = {{u.x, l.x, u.y, l.y}, {u.z, l.z, u.w, l.w}};
                MOESCOPE_UNROLL
                for (int m = 0; m < 2; ++m) {
                    MOESCOPE_UNROLL
                    for (int j = 0; j < kGroups; ++j) {
                        multiplyAccumulate(acc[pair][j], a[m], x[j].high[2 * m],
                                           x[j].high[2 * m + 1]);
                        multiplyAccumulate(acc[pair][j], a[m], x[j].low[2 * m],
                                           x[j].low[2 * m + 1]);
                    }
                }
            }
        }
    }
    float* const to =
        logits + (part * 8 * kGroups + 2 * t) * stride + expertBlock * kWarpExperts + g;
    MOESCOPE_UNROLL
    for (int pair = 0; pair < 2; ++pair) {
        MOESCOPE_UNROLL
        for (int j = 0; j < kGroups; ++j) {
            MOESCOPE_UNROLL
            for (int e = 0; e < 4; ++e)
                to[(8 * j + e % 2) * stride + 16 * pair + 8 * (e / 2)] = acc[pair][j][e];
        }
    }
}

/// Begins to bring the block's share of the weights, which no kernel writes.
__device__ __forceinline__ void prefetchWeights(const DeviceMatrix& weights) {
    constexpr int kUnits = 128 / sizeof(uint4);  // of a line
    const auto units = weights.tiles() * weights.tileUnits();
    for (std::int64_t i = (std::int64_t{blockIdx.x} * kRouteThreads + threadIdx.x) * kUnits;
         i < units; i += std::int64_t{gridDim.x} * kRouteThreads * kUnits)
        prefetchLine(weights.codes + i);
}

template <WeightFormat kFormat, int kGroups>
__global__ void __launch_bounds__(kRouteThreads) routeTokensKernel(const RouteTokens r) {
    constexpr int kTokens = 8 * kGroups;
    static_assert(kTokens <= kMaxBlockTokens);
    __shared__ float logits[kTokens * kPartFloats];
    __shared__ float2 norms[kTokens];  // mean, scale
    letNextKernelBegin();
    prefetchWeights(r.weights);
    prefetchNorm(r.norm, r.width);
    waitForPreviousKernel();
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int first = static_cast<int>(blockIdx.x) * kTokens;
    const int count = min(kTokens, r.tokens - first);
    normsOfTokens<kTokens>(r, first, count, norms);

    if (warp % kTokens < count) {
        const std::int64_t row = first + warp % kTokens;
        const float2 norm = norms[warp % kTokens];
        storeNormed(r.normed, row, r.norm, {norm.x, norm.y}, r.hidden + row * r.width, r.width,
                    warp / kTokens * kWarp + lane, kRouteThreads / kTokens);
    }

    const int expertBlocks = (r.rule.nExpert + kWarpExperts - 1) / kWarpExperts;
    const int parts = kRouteWarps / expertBlocks;
    const int stride = expertBlocks * kWarpExperts + 4;
    if (warp < expertBlocks * parts) {
        multiplyPart<kFormat, kGroups>(r, first, count, norms, warp / parts, warp % parts, parts,
                                       stride, logits);
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < count * stride; i += kRouteThreads) {
        const int expert = i % stride;
        if (expert >= r.rule.nExpert) continue;  // nobody wrote what keeps two tokens' banks apart
        float sum = r.bias != nullptr ? r.bias[expert] : 0.0F;
        for (int part = 0; part < parts; ++part) sum += logits[part * kTokens * stride + i];
        logits[i] = sum;
    }
    __syncthreads();
    if (warp >= count) return;
    const std::int64_t token = first + warp;
    chooseByLogits(
        r.rule, [&](int e) { return logits[warp * stride + e]; }, r.experts + token * r.rule.topK,
        r.gateWeights + token * r.rule.topK);
}

template <WeightFormat kFormat>
void launchRoute(const RouteTokens& r, int multiprocessors, cudaStream_t stream) {
    const bool few = r.tokens <= 8 * multiprocessors;  // every block has a multiprocessor
    const int tokens = few ? 8 : kMaxBlockTokens;
    launch({dim3(static_cast<unsigned>((r.tokens + tokens - 1) / tokens)), dim3(kRouteThreads), 0,
            stream, true},
           few ? routeTokensKernel<kFormat, 1> : routeTokensKernel<kFormat, 2>, r);
}

}  // namespace

bool routesTokens(const DeviceMatrix& weights) noexcept {
    const bool plain =
        weights.format == WeightFormat::Bf16 || weights.format == WeightFormat::Bf16Pair;
    return plain && weights.cols % 8 == 0;
}

void routeTokens(const RouteTokens& r, int multiprocessors, cudaStream_t stream) {
    assert(routesTokens(r.weights) && r.weights.rows == r.rule.nExpert);
    if (r.weights.format == WeightFormat::Bf16)
        return launchRoute<WeightFormat::Bf16>(r, multiprocessors, stream);
    launchRoute<WeightFormat::Bf16Pair>(r, multiprocessors, stream);
}

}  // namespace moescope::cuda
