// SPDX-License-Identifier: Apache-2.0
// The begin of a step and of its attention: token ids to hidden states, rotation and the cache.
#include <algorithm>
#include <cassert>

#include "engine/backend/cuda/norm.h"
#include "engine/backend/cuda/rotation.h"
#include "engine/backend/kv_layout.h"

namespace moescope::cuda {
namespace {

/// One weight, wherever the layout has it.
__device__ float weightAt(const DeviceMatrix& m, std::int64_t row, int column) {
    const int g = static_cast<int>(row % kTileRows);
    const auto tile = static_cast<int>(row / kTileRows);
    const int within = column % 32;
    const uint4* codes = m.tileCodes(0, tile);
    const auto* halves = reinterpret_cast<const std::uint16_t*>(codes);
    switch (m.format) {
        case WeightFormat::Bf16:
            return fromBf16(halves[(column / 32 * 32 + 4 * g + within / 8) * 8 + within % 8]);
        case WeightFormat::Bf16Pair: {
            const std::uint16_t* at =
                halves + (column / 32 * 64 + 4 * g + within / 8) * 8 + within % 8;
            return fromBf16(at[0]) + fromBf16(at[32 * 8]);
        }
        case WeightFormat::Q8_0: {
            const int chunk = column / 64;
            const int block = column / 32 % 2;
            const auto* bytes = reinterpret_cast<const std::int8_t*>(codes);
            const int code = bytes[(chunk * 32 + 4 * g + within / 8) * 16 + 8 * block + within % 8];
            const std::uint32_t scales = m.tileScaleWords(0, tile)[(chunk * 4 + g / 2) * 2 + block];
            return static_cast<float>(code) *
                   fromHalf(static_cast<std::uint16_t>(scales >> (16 * (g % 2)) & 0xFFFFU));
        }
        case WeightFormat::Mxfp4:
            break;
    }
    const int chunk = column / 128;
    const int t = column / 32 % 4;
    const int blocks = chunk + 1 < m.chunks() ? 4 : m.lastChunkBlocks();
    const auto* words =
        reinterpret_cast<const std::uint32_t*>(codes + mxfp4Unit(chunk, blocks, g, t));
    const std::uint32_t word = words[within / 8];
    const std::uint32_t pairs[4] = {mxfp4Pair<0>(word), mxfp4Pair<1>(word), mxfp4Pair<2>(word),
                                    mxfp4Pair<3>(word)};
    const std::uint32_t pair = pairs[within / 2 % 4];
    const std::uint32_t e =
        m.tileScaleWords(0, tile)[chunk / 4 * 32 + 4 * g + t] >> (8 * (chunk % 4)) & 0xFFU;
    const std::uint32_t scaled = multiplyBf16(pair, mxfp4Scale(e));
    return fromBf16(within % 2 != 0 ? scaled >> 16U : scaled & 0xFFFFU);
}

/// Columns of the hidden state of blockIdx.y's token, shared out among `blocks` blocks.
__device__ void embedColumns(const EmbedTokens& e, int block, int blocks) {
    const auto token = static_cast<int>(blockIdx.y);
    const std::int32_t id = e.ids[token];
    const int position = e.positions.codes != nullptr ? e.places[token].position : 0;
    for (int i = block * kBlockThreads + static_cast<int>(threadIdx.x); i < e.dModel;
         i += blocks * kBlockThreads) {
        float x = weightAt(e.embedding, id, i) * e.scale;
        if (e.positions.codes != nullptr) x += weightAt(e.positions, position, i);
        e.hidden[std::int64_t{token} * e.dModel + i] = x;
    }
}

/// Angles of blockIdx.y's token.
__device__ void embedAngles(const EmbedTokens& e) {
    const auto token = static_cast<int>(blockIdx.y);
    const int position = e.places[token].position;
    for (int i = static_cast<int>(threadIdx.x); i < e.nRopes * e.half; i += kBlockThreads) {
        const double* rope = e.ropes + i / e.half * (e.half + 1);
        const double angle = position * rope[i % e.half];
        const std::int64_t at =
            (std::int64_t{i / e.half} * e.maxTokens + token) * e.half + i % e.half;
        e.angles[at] = make_float2(static_cast<float>(cos(angle) * rope[e.half]),
                                   static_cast<float>(sin(angle) * rope[e.half]));
    }
}

/// Block y: token; x: a share of its columns, and the last one its angles, in double, which take as
/// long. A token that has one block only has both there.
__global__ void __launch_bounds__(kBlockThreads) embedTokensKernel(const EmbedTokens e) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto block = static_cast<int>(blockIdx.x);
    const int shares = max(1, static_cast<int>(gridDim.x) - 1);
    if (block < shares) embedColumns(e, block, shares);
    if (block + 1 == static_cast<int>(gridDim.x)) embedAngles(e);
}

/// Four pairs of numbers that RoPE turns, and where they lie in their head.
struct TurnedPairs {
    float a[4] = {}, b[4] = {};
};

/// A lane's share of a head: pairs 4 `unit` to 4 `unit` + 3 of its `half` pairs. Pair i is the
/// numbers i and i + half (`split`) or 2 i and 2 i + 1. With kVector all four pairs are there, and
/// heads begin at multiples of 16 bytes.
template <bool kVector>
struct HeadShare {
    int unit, half;
    bool split;

    __device__ __forceinline__ bool has(int i) const { return kVector || 4 * unit + i < half; }
    __device__ __forceinline__ int first(int i) const {
        return split ? 4 * unit + i : 2 * (4 * unit + i);
    }
    __device__ __forceinline__ int second(int i) const { return first(i) + (split ? half : 1); }

    __device__ __forceinline__ TurnedPairs load(const float* head) const {
        if constexpr (kVector) {
            const float4 u = *reinterpret_cast<const float4*>(head + first(0));
            const float4 v =
                *reinterpret_cast<const float4*>(head + (split ? second(0) : first(2)));
            if (split) return {{u.x, u.y, u.z, u.w}, {v.x, v.y, v.z, v.w}};
            return {{u.x, u.z, v.x, v.z}, {u.y, u.w, v.y, v.w}};
        } else {
            TurnedPairs p;
            for (int i = 0; i < 4 && has(i); ++i) {
                p.a[i] = head[first(i)];
                p.b[i] = head[second(i)];
            }
            return p;
        }
    }

    __device__ __forceinline__ void store(float* head, const TurnedPairs& p) const {
        if constexpr (kVector) {
            auto* const u = reinterpret_cast<float4*>(head + first(0));
            auto* const v = reinterpret_cast<float4*>(head + (split ? second(0) : first(2)));
            *u = split ? make_float4(p.a[0], p.a[1], p.a[2], p.a[3])
                       : make_float4(p.a[0], p.b[0], p.a[1], p.b[1]);
            *v = split ? make_float4(p.b[0], p.b[1], p.b[2], p.b[3])
                       : make_float4(p.a[2], p.b[2], p.a[3], p.b[3]);
        } else {
            for (int i = 0; i < 4 && has(i); ++i) {
                head[first(i)] = p.a[i];
                head[second(i)] = p.b[i];
            }
        }
    }

    /// As half precision.
    __device__ __forceinline__ void store(std::uint16_t* head, const TurnedPairs& p) const {
        if constexpr (kVector) {
            auto* const u = reinterpret_cast<uint2*>(head + first(0));
            auto* const v = reinterpret_cast<uint2*>(head + (split ? second(0) : first(2)));
            *u = split ? make_uint2(halves(p.a[0], p.a[1]), halves(p.a[2], p.a[3]))
                       : make_uint2(halves(p.a[0], p.b[0]), halves(p.a[1], p.b[1]));
            *v = split ? make_uint2(halves(p.b[0], p.b[1]), halves(p.b[2], p.b[3]))
                       : make_uint2(halves(p.a[2], p.b[2]), halves(p.a[3], p.b[3]));
        } else {
            for (int i = 0; i < 4 && has(i); ++i) {
                head[first(i)] = toHalf(p.a[i]);
                head[second(i)] = toHalf(p.b[i]);
            }
        }
    }

private:
    static __device__ __forceinline__ std::uint32_t halves(float low, float high) {
        return toHalf(low) | static_cast<std::uint32_t>(toHalf(high)) << 16U;
    }
};

/// Sum over the `lanes` lanes (a power of two) of a head.
__device__ __forceinline__ float headSum(float value, int lanes) {
    for (int offset = lanes / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(kAllLanes, value, offset);
    return value;
}

/// Norm of one head, of which every one of its `lanes` lanes has a share. All lanes of a warp.
template <bool kVector>
__device__ __forceinline__ void normHead(const NormWeights& norm, const HeadShare<kVector>& share,
                                         int lanes, TurnedPairs& p) {
    const auto width = static_cast<float>(2 * share.half);
    const bool mine = 4 * share.unit < share.half;
    NormOfRow of;
    if (norm.kind == NormKind::LayerNorm) {
        float sum = 0;
        MOESCOPE_UNROLL
        for (int i = 0; i < 4; ++i) sum += p.a[i] + p.b[i];
        of.mean = headSum(mine ? sum : 0.0F, lanes) / width;
    }
    float squares = 0;
    MOESCOPE_UNROLL
    for (int i = 0; i < 4; ++i) {
        const float a = p.a[i] - of.mean;
        const float b = p.b[i] - of.mean;
        squares += share.has(i) ? a * a + b * b : 0.0F;
    }
    of.scale = 1.0F / sqrtf(headSum(mine ? squares : 0.0F, lanes) / width + norm.eps);
    if (!mine) return;
    const TurnedPairs weight = share.load(norm.weight);
    const TurnedPairs bias = norm.bias == nullptr ? TurnedPairs{} : share.load(norm.bias);
    const float offset = norm.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
    MOESCOPE_UNROLL
    for (int i = 0; i < 4; ++i) {
        p.a[i] = (p.a[i] - of.mean) * of.scale * (weight.a[i] + offset) + bias.a[i];
        p.b[i] = (p.b[i] - of.mean) * of.scale * (weight.b[i] + offset) + bias.b[i];
    }
}

/// Pairs turned by their angles. angles: (half), cosine and sine.
template <bool kVector>
__device__ __forceinline__ void turn(const float2* angles, const HeadShare<kVector>& share,
                                     TurnedPairs& p) {
    float2 angle[4] = {};
    if constexpr (kVector) {
        const auto* const two = reinterpret_cast<const float4*>(angles + 4 * share.unit);
        const float4 u = two[0];
        const float4 v = two[1];
        angle[0] = make_float2(u.x, u.y);
        angle[1] = make_float2(u.z, u.w);
        angle[2] = make_float2(v.x, v.y);
        angle[3] = make_float2(v.z, v.w);
    } else {
        for (int i = 0; i < 4 && share.has(i); ++i) angle[i] = angles[4 * share.unit + i];
    }
    MOESCOPE_UNROLL
    for (int i = 0; i < 4; ++i) {
        const float2 turned = turnedPair(p.a[i], p.b[i], angle[i]);
        p.a[i] = turned.x;
        p.b[i] = turned.y;
    }
}

/// Lanes that share a head, a power of two.
__host__ __device__ inline int lanesOfHead(int headDim) {
    int lanes = 1;
    while (8 * lanes < headDim) lanes *= 2;
    return lanes;
}

/// Block y: token; x: its heads, of q, then k, then v. Heads of the whole vector's norm
/// (QkNorm::FullWidth) were normalised by normFullWidthKernel.
template <bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    rotateAndStoreKernel(const RotateAndStore r, const int lanes) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto thread = static_cast<int>(blockIdx.x * kBlockThreads + threadIdx.x);
    const auto token = static_cast<std::int64_t>(blockIdx.y);
    const int heads = r.nHead + 2 * r.nKvHead;
    const int head = thread >> (__ffs(lanes) - 1);
    const bool isQuery = head < r.nHead;
    const bool isValue = head >= r.nHead + r.nKvHead;
    const HeadShare<kVector> share{thread & (lanes - 1), r.headDim / 2,
                                   !isValue && r.pairing == RopePairing::HalfSplit};
    const bool mine = head < heads && 4 * share.unit < share.half;
    float* const vector = r.qkv + (token * heads + head) * r.headDim;
    TurnedPairs p;
    if (mine) p = share.load(vector);
    if (r.qkNorm == QkNorm::PerHead) {
        TurnedPairs normed = p;
        normHead(isQuery ? r.qNorm : r.kNorm, share, lanes, normed);
        if (!isValue) p = normed;
    }
    if (!mine) return;
    if (!isValue && r.rotate) turn(r.angles + token * share.half, share, p);
    if (isQuery) return share.store(vector, p);
    const int kvHead = head - r.nHead - (isValue ? r.nKvHead : 0);
    const TokenPlace place = r.places[token];
    const LayerCache cache = r.caches.at(place.run);
    const int row = kvRow(place.position, cache.rows);
    share.store((isValue ? cache.values : cache.keys) +
                    (std::int64_t{row} * r.nKvHead + kvHead) * r.headDim,
                p);
}

/// Block x: token; y: 0 normalises all of q, 1 all of k, in place.
__global__ void __launch_bounds__(kBlockThreads) normFullWidthKernel(const RotateAndStore r) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const bool isQuery = blockIdx.y == 0;
    const NormWeights& norm = isQuery ? r.qNorm : r.kNorm;
    const int width = (isQuery ? r.nHead : r.nKvHead) * r.headDim;
    const std::int64_t stride = std::int64_t{r.nHead + 2 * r.nKvHead} * r.headDim;
    float* vector = r.qkv + blockIdx.x * stride + (isQuery ? 0 : r.nHead * r.headDim);
    const NormOfRow of = normOfRow(norm, vector, width);
    for (int i = static_cast<int>(threadIdx.x); i < width; i += kBlockThreads)
        vector[i] = of.of(norm, vector[i], i);
}

/// Block y: copy; its rows' keys and values, a word a time.
template <typename Word>
__device__ void copyWords(const CopyRows& c) {
    const CopiedRows copy = c.copies[blockIdx.y];
    const auto words = static_cast<int>(c.width * sizeof(std::uint16_t) / sizeof(Word));
    const std::int64_t total = std::int64_t{copy.end - copy.first} * words;
    for (std::int64_t i = std::int64_t{blockIdx.x} * kBlockThreads + threadIdx.x; i < total;
         i += std::int64_t{gridDim.x} * kBlockThreads) {
        const auto position = static_cast<int>(copy.first + i / words);
        const std::int64_t read = std::int64_t{kvRow(position, copy.from.rows)} * words + i % words;
        const std::int64_t written =
            std::int64_t{kvRow(position, copy.to.rows)} * words + i % words;
        reinterpret_cast<Word*>(copy.to.keys)[written] =
            reinterpret_cast<const Word*>(copy.from.keys)[read];
        reinterpret_cast<Word*>(copy.to.values)[written] =
            reinterpret_cast<const Word*>(copy.from.values)[read];
    }
}

__global__ void __launch_bounds__(kBlockThreads)
    copyRowsKernel(const __grid_constant__ CopyRows c) {
    letNextKernelBegin();
    waitForPreviousKernel();
    if (c.width % 8 == 0) {
        copyWords<uint4>(c);
    } else {
        copyWords<std::uint16_t>(c);
    }
}

}  // namespace

void embedTokens(const EmbedTokens& e, cudaStream_t stream) {
    // Few tokens wait for one load after another if each of them has one block.
    constexpr int kFewTokens = 32;
    const int shares = (e.dModel + kBlockThreads - 1) / kBlockThreads;
    const int blocks = e.tokens <= kFewTokens ? shares + 1 : 1;
    launch({dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(e.tokens)),
            dim3(kBlockThreads), 0, stream, true},
           embedTokensKernel, e);
}

void rotateAndStore(const RotateAndStore& r, cudaStream_t stream) {
    const int lanes = lanesOfHead(r.headDim);
    if (lanes > kWarp) throw Error("the cuda back end takes heads of up to 256 numbers");
    const auto tokens = static_cast<unsigned>(r.tokens);
    if (r.qkNorm == QkNorm::FullWidth)
        launch({dim3(tokens, 2), dim3(kBlockThreads), 0, stream, true}, normFullWidthKernel, r);
    const int heads = r.nHead + 2 * r.nKvHead;
    const int headsOfBlock = kBlockThreads / lanes;
    const bool vectors = r.headDim % 8 == 0;
    launch({dim3(static_cast<unsigned>((heads + headsOfBlock - 1) / headsOfBlock), tokens),
            dim3(kBlockThreads), 0, stream, true},
           vectors ? rotateAndStoreKernel<true> : rotateAndStoreKernel<false>, r, lanes);
}

void copyRows(const CopyRows& c, cudaStream_t stream) {
    assert(c.count >= 1 && c.count <= kCopiesOfLaunch);
    int longest = 1;
    for (int i = 0; i < c.count; ++i)
        longest = std::max(longest, c.copies[i].end - c.copies[i].first);
    constexpr int kRowsOfBlock = 16;
    launch({dim3(static_cast<unsigned>((longest + kRowsOfBlock - 1) / kRowsOfBlock),
                 static_cast<unsigned>(c.count)),
            dim3(kBlockThreads), 0, stream, true},
           copyRowsKernel, c);
}

}  // namespace moescope::cuda
