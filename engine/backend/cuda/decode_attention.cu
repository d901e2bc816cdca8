// SPDX-License-Identifier: Apache-2.0
// Attention of few tokens. A block serves two query heads of one key-value head: a short context
// leaves most of a GPU idle, so time is what one block takes and not how often keys are read. With
// a long context several blocks share out the keys, and the last of them merges their results in a
// fixed order. Tokens may be of as many sequences: each has its place and its cache.
#include "engine/backend/cuda/norm.h"
#include "engine/backend/cuda/rotation.h"
#include "engine/backend/kv_layout.h"

namespace moescope::cuda {
namespace {

constexpr int kHeads = 2;  // of a block
constexpr int kWarps = 4;
constexpr int kKeys = kWarps * kWarp;  // of a tile: one a thread
constexpr int kMaxHeadDim = 256;

struct Shape {
    int groups;  // blocks of a key-value head
};
__host__ __device__ Shape shapeOf(int nHead, int nKvHead) {
    return {(nHead / nKvHead + kHeads - 1) / kHeads};
}

/// Keys a split has, a multiple of kKeys but for the last.
__device__ __forceinline__ int keysOfSplit(int visible, int splits) {
    const int each = (visible + splits - 1) / splits;
    return (each + kKeys - 1) / kKeys * kKeys;
}

/// Scores of one key for all heads of the block. key: (head_dim) half; queries: (kHeads, head_dim).
/// kEights: of 8 columns, at least as many as a head has.
template <int kEights>
__device__ __forceinline__ void scoresOf(float (&s)[kHeads], const std::uint16_t* key,
                                         const float* queries, int headDim) {
    MOESCOPE_UNROLL
    for (int h = 0; h < kHeads; ++h) s[h] = 0;
    if (headDim % 8 == 0) {
        // Eight loads are under way before the first is used.
        constexpr int kBatch = kEights < 8 ? kEights : 8;
        MOESCOPE_UNROLL
        for (int first = 0; first < kEights; first += kBatch) {
            uint4 packed[kBatch];
            MOESCOPE_UNROLL
            for (int i = 0; i < kBatch; ++i) {
                const int d = 8 * (first + i);
                packed[i] =
                    d < headDim ? *reinterpret_cast<const uint4*>(key + d) : make_uint4(0, 0, 0, 0);
            }
            MOESCOPE_UNROLL
            for (int i = 0; i < kBatch; ++i) {
                const int d = 8 * (first + i);
                if (d >= headDim) continue;
                const std::uint32_t words[4] = {packed[i].x, packed[i].y, packed[i].z, packed[i].w};
                float k[8];
                MOESCOPE_UNROLL
                for (int w = 0; w < 4; ++w) {
                    k[2 * w] = fromHalf(static_cast<std::uint16_t>(words[w] & 0xFFFFU));
                    k[2 * w + 1] = fromHalf(static_cast<std::uint16_t>(words[w] >> 16U));
                }
                MOESCOPE_UNROLL
                for (int h = 0; h < kHeads; ++h) {
                    const auto* q = reinterpret_cast<const float4*>(queries + h * headDim + d);
                    const float4 q0 = q[0];
                    const float4 q1 = q[1];
                    s[h] += q0.x * k[0] + q0.y * k[1] + q0.z * k[2] + q0.w * k[3];
                    s[h] += q1.x * k[4] + q1.y * k[5] + q1.z * k[6] + q1.w * k[7];
                }
            }
        }
        return;
    }
    for (int d = 0; d < headDim; ++d) {
        const float k = fromHalf(key[d]);
        MOESCOPE_UNROLL
        for (int h = 0; h < kHeads; ++h) s[h] += queries[h * headDim + d] * k;
    }
}

/// Element `i` of a head after rotation. head: (head_dim) f32; angles: (head_dim / 2).
__device__ __forceinline__ float rotated(RopePairing pairing, const float* head,
                                         const float2* angles, int headDim, int i) {
    const int half = headDim / 2;
    const bool split = pairing == RopePairing::HalfSplit;
    const int pair = split ? i % half : i / 2;
    const bool second = split ? i >= half : i % 2 == 1;
    const float a = head[split ? pair : 2 * pair];
    const float b = head[split ? pair + half : 2 * pair + 1];
    const float2 turned = turnedPair(a, b, angles[pair]);
    return second ? turned.y : turned.x;
}

/// Running maximum and sum of each head's softmax, and the weighted values of this thread's
/// columns: 2 (lane + 32 i) and the next, of the keys that its warp takes.
template <int kPairs>
struct Running {
    float values[kHeads][kPairs][2] = {};
};

template <int kPairs>
__global__ void __launch_bounds__(kKeys) decodeAttentionKernel(const DecodeAttention a) {
    __align__(16) __shared__ float queries[kHeads * kMaxHeadDim];
    __align__(16) __shared__ float probabilities[kKeys][kHeads];
    __shared__ float maximum[kHeads], sum[kHeads], rescale[kHeads];
    __shared__ float merged[kWarps][kHeads][kMaxHeadDim / 2][2];
    __shared__ bool last;
    const auto thread = static_cast<int>(threadIdx.x);
    const int warp = thread / kWarp;
    const int lane = thread % kWarp;
    const int token = static_cast<int>(blockIdx.z);
    const int groups = shapeOf(a.nHead, a.nKvHead).groups;
    const int kvHead = static_cast<int>(blockIdx.x) / groups;
    const int perKv = a.nHead / a.nKvHead;
    const int firstHead = static_cast<int>(blockIdx.x) % groups * kHeads;  // within the kv head
    const int heads = min(kHeads, perKv - firstHead);
    const int headDim = a.headDim;

    letNextKernelBegin();
    waitForPreviousKernel();
    const float* q =
        a.qkv + std::int64_t{token} * a.qkvStride + (kvHead * perKv + firstHead) * headDim;
    for (int i = thread; i < kHeads * headDim; i += kKeys) {
        float value = 0;
        if (i < heads * headDim) {
            value = a.angles == nullptr ? q[i]
                                        : rotated(a.pairing, q + i / headDim * headDim, a.angles,
                                                  headDim, i % headDim);
        }
        queries[i] = value * a.scale;
    }
    const TokenPlace place = a.places[token];
    const LayerCache cache = a.caches.at(place.run);
    const int position = place.position;
    const int first = firstVisible(position, a.window);
    const int visible = position + 1 - first;
    const int each = keysOfSplit(visible, static_cast<int>(gridDim.y));
    const int splits = (visible + each - 1) / each;
    const int split = static_cast<int>(blockIdx.y);
    if (split >= splits) return;

    if (a.angles != nullptr && split == splits - 1) {
        // The newest key and value: read back below by this block alone (or written alike by
        // another group of the same key-value head).
        const float* k = a.qkv + (a.nHead + kvHead) * headDim;
        const float* v = k + a.nKvHead * headDim;
        const std::int64_t at =
            (std::int64_t{kvRow(position, cache.rows)} * a.nKvHead + kvHead) * headDim;
        for (int i = thread; i < headDim; i += kKeys) {
            cache.keys[at + i] = toHalf(rotated(a.pairing, k, a.angles, headDim, i));
            cache.values[at + i] = toHalf(v[i]);
        }
    }
    if (thread < kHeads) {
        maximum[thread] = -INFINITY;
        sum[thread] = 0;
    }
    __syncthreads();

    const int begin = first + split * each;
    const int end = min(begin + each, position + 1);
    const std::int64_t rowWidth = std::int64_t{a.nKvHead} * headDim;
    const std::int64_t column = std::int64_t{kvHead} * headDim;
    Running<kPairs> running;
    for (int tile = begin; tile < end; tile += kKeys) {
        const int key = tile + thread;
        float s[kHeads];
        if (key < end) {
            prefetchLine(cache.values + kvRow(key, cache.rows) * rowWidth + column);
            scoresOf<8 * kPairs>(s, cache.keys + kvRow(key, cache.rows) * rowWidth + column,
                                 queries, headDim);
        } else {
            MOESCOPE_UNROLL
            for (int h = 0; h < kHeads; ++h) s[h] = -INFINITY;
        }
        MOESCOPE_UNROLL
        for (int h = 0; h < kHeads; ++h) probabilities[thread][h] = s[h];
        __syncthreads();
        for (int h = warp; h < heads; h += kWarps) {
            float largest = maximum[h];
            for (int i = lane; i < kKeys; i += kWarp) largest = fmaxf(largest, probabilities[i][h]);
            largest = warpMax(largest);
            float total = 0;
            for (int i = lane; i < kKeys; i += kWarp) {
                const float p = expf(probabilities[i][h] - largest);
                probabilities[i][h] = p;
                total += p;
            }
            total = warpSum(total);
            if (lane == 0) {
                rescale[h] = expf(maximum[h] - largest);
                sum[h] = sum[h] * rescale[h] + total;
                maximum[h] = largest;
            }
        }
        __syncthreads();
        const int keys = min(kKeys, end - tile);
        MOESCOPE_UNROLL
        for (int h = 0; h < kHeads; ++h) {
            const float factor = h < heads ? rescale[h] : 0.0F;
            MOESCOPE_UNROLL
            for (int i = 0; i < kPairs; ++i) {
                running.values[h][i][0] *= factor;
                running.values[h][i][1] *= factor;
            }
        }
        // Values of several keys are under way before the first is used.
        constexpr int kBatch = 8 / kPairs;
        for (int k = warp; k < keys; k += kWarps * kBatch) {
            std::uint32_t loaded[kBatch][kPairs];
            MOESCOPE_UNROLL
            for (int j = 0; j < kBatch; ++j) {
                const int key = k + kWarps * j;
                const std::uint16_t* value =
                    cache.values + kvRow(tile + min(key, keys - 1), cache.rows) * rowWidth + column;
                MOESCOPE_UNROLL
                for (int i = 0; i < kPairs; ++i) {
                    const int d = 2 * (lane + kWarp * i);
                    loaded[j][i] = key < keys && d < headDim
                                       ? *reinterpret_cast<const std::uint32_t*>(value + d)
                                       : 0U;
                }
            }
            MOESCOPE_UNROLL
            for (int j = 0; j < kBatch; ++j) {
                const int key = k + kWarps * j;
                if (key >= keys) break;
                float p[kHeads];
                MOESCOPE_UNROLL
                for (int h = 0; h < kHeads; ++h) p[h] = probabilities[key][h];
                MOESCOPE_UNROLL
                for (int i = 0; i < kPairs; ++i) {
                    const float v0 = fromHalf(static_cast<std::uint16_t>(loaded[j][i] & 0xFFFFU));
                    const float v1 = fromHalf(static_cast<std::uint16_t>(loaded[j][i] >> 16U));
                    MOESCOPE_UNROLL
                    for (int h = 0; h < kHeads; ++h) {
                        running.values[h][i][0] += p[h] * v0;
                        running.values[h][i][1] += p[h] * v1;
                    }
                }
            }
        }
        __syncthreads();
    }

    MOESCOPE_UNROLL
    for (int h = 0; h < kHeads; ++h) {
        MOESCOPE_UNROLL
        for (int i = 0; i < kPairs; ++i) {
            const int pair = lane + kWarp * i;
            if (2 * pair >= headDim) continue;
            merged[warp][h][pair][0] = running.values[h][i][0];
            merged[warp][h][pair][1] = running.values[h][i][1];
        }
    }
    __syncthreads();
    const auto total = [&](int h, int d) {
        float value = 0;
        for (int w = 0; w < kWarps; ++w) value += merged[w][h][d / 2][d % 2];
        return value;
    };
    const int outColumn = (kvHead * perKv + firstHead) * headDim;
    const bool many = a.operand.high != nullptr;
    const auto store = [&](int i, float value) {
        if (many) {
            storeOperand(a.operand, token, operandPosition(a.operand.format, outColumn + i), value);
        } else {
            storePair(a.out, token, outColumn + i, value);
        }
    };
    if (many && split == 0 && blockIdx.x + 1 == gridDim.x)
        padOperand(a.operand, token, a.nHead * headDim, thread, kKeys);
    const auto sinkOf = [&](int h) {
        return a.sinks != nullptr ? a.sinks[kvHead * perKv + firstHead + h] : -INFINITY;
    };
    if (splits == 1) {
        for (int i = thread; i < heads * headDim; i += kKeys) {
            const int h = i / headDim;
            const float sink = sinkOf(h);
            const float largest = fmaxf(maximum[h], sink);
            const float factor = expf(maximum[h] - largest);
            const float denominator = sum[h] * factor + expf(sink - largest);
            store(i, total(h, i % headDim) * factor / denominator);
        }
        return;
    }

    // This split's part: values not divided, maximum, sum.
    const int width = kHeads * (headDim + 2);
    const std::int64_t team = std::int64_t{token} * gridDim.x + blockIdx.x;
    float* parts = a.partial + team * gridDim.y * width;
    float* part = parts + std::int64_t{split} * width;
    for (int i = thread; i < heads * headDim; i += kKeys) part[i] = total(i / headDim, i % headDim);
    if (thread < heads) {
        part[kHeads * headDim + thread] = maximum[thread];
        part[kHeads * (headDim + 1) + thread] = sum[thread];
    }
    __threadfence();
    __syncthreads();
    if (thread == 0) {
        unsigned* counter = a.counters + team;
        last = atomicAdd(counter, 1U) + 1 == static_cast<unsigned>(splits);
        if (last) *counter = 0;
        __threadfence();
    }
    __syncthreads();
    if (!last) return;
    for (int i = thread; i < heads * headDim; i += kKeys) {
        const int h = i / headDim;
        float largest = sinkOf(h);
        for (int s = 0; s < splits; ++s)
            largest = fmaxf(largest, loadShared(parts + s * width + kHeads * headDim + h));
        float denominator = expf(sinkOf(h) - largest);
        float value = 0;
        for (int s = 0; s < splits; ++s) {
            const float* from = parts + s * width;
            const float factor = expf(loadShared(from + kHeads * headDim + h) - largest);
            denominator += factor * loadShared(from + kHeads * (headDim + 1) + h);
            value += factor * loadShared(from + i);
        }
        store(i, value / denominator);
    }
}

}  // namespace

std::uint64_t decodeAttentionCounters(int nHead, int nKvHead) noexcept {
    // As many tokens as are shared out among two blocks at least.
    constexpr int kTokens = kDecodeTokens * kAttentionSplits / 2;
    static_assert(attentionSplits(kTokens) == 2 && attentionSplits(kTokens + 1) == 1);
    return static_cast<std::uint64_t>(kTokens) * static_cast<std::uint64_t>(nKvHead) *
           static_cast<std::uint64_t>(shapeOf(nHead, nKvHead).groups);
}

std::uint64_t decodeAttentionScratch(int nHead, int nKvHead, int headDim) noexcept {
    return decodeAttentionCounters(nHead, nKvHead) * 2 * kHeads *
           static_cast<std::uint64_t>(headDim + 2);
}

void decodeAttention(const DecodeAttention& a, cudaStream_t stream) {
    if (a.headDim > kMaxHeadDim) throw Error("the cuda back end takes heads of up to 256 numbers");
    const auto blocks = static_cast<unsigned>(a.nKvHead * shapeOf(a.nHead, a.nKvHead).groups);
    const Launch l{dim3(blocks, static_cast<unsigned>(a.splits), static_cast<unsigned>(a.tokens)),
                   dim3(kKeys), 0, stream, true};
    if (a.headDim <= 64) return launch(l, decodeAttentionKernel<1>, a);
    if (a.headDim <= 128) return launch(l, decodeAttentionKernel<2>, a);
    launch(l, decodeAttentionKernel<4>, a);
}

}  // namespace moescope::cuda
