// SPDX-License-Identifier: Apache-2.0
// Attention of few tokens. A block serves two query heads of one key-value head: a short context
// leaves most of a GPU idle, so time is what one block takes and not how often keys are read. With
// a long context several blocks share out the keys, and the last of them merges their results in a
// fixed order. Tokens may be of as many sequences: each has its place and its cache.
//
// What a block takes is latency, so few things wait for each other. A tile's keys and values come
// together, straight to registers, and where earlier steps wrote them while the kernel in front
// still runs. Each warp has keys, a maximum and sums of its own; warps meet once for the queries
// and once at the end.
#include "engine/backend/cuda/norm.h"
#include "engine/backend/cuda/rotation.h"
#include "engine/backend/kv_layout.h"

namespace moescope::cuda {
namespace {

constexpr int kHeads = 2;  // of a block
constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
// Registers as two blocks of so many threads would have them, 96 a thread: a block then has room
// beside two of the projection in front, which have 80. (Odd head sizes take what they need.)
constexpr int kRegisterThreads = 320;
constexpr int kMaxHeadDim = 256;

/// How a warp holds rows of up to kDims columns: lane l has columns 8 (l % kLanes) to + 7 of row
/// l / kLanes of each of kLoads loads.
template <int kDims>
struct Tile {
    static constexpr int kLanes = kDims / 8;
    static constexpr int kRows = kWarp / kLanes;
    static constexpr int kLoads = 4;
    static constexpr int kScores = kHeads * kLoads;  // of a row, one for each of as many lanes
    static constexpr int kStep = kWarps * kRows;     // keys that the warps load at a time
    static constexpr int kKeys = kLoads * kStep;
    static_assert(kScores <= kLanes && kKeysOfSplit % kKeys == 0 && kThreads % kDims == 0);
};

struct Shape {
    int groups;  // blocks of a key-value head
};
__host__ __device__ Shape shapeOf(int nHead, int nKvHead) {
    return {(nHead / nKvHead + kHeads - 1) / kHeads};
}

/// How the keys that a token sees are shared out: `each` to a split but for the last, a multiple of
/// kKeysOfSplit (whatever a tile has).
struct Splits {
    int each, count;
};
__device__ __forceinline__ Splits splitsOf(int visible, int most) {
    const int units = attentionSplitsOfKeys(visible);
    if (units <= most)
        return {kKeysOfSplit, units};  // the short context has no divisions to wait for
    const int each = (units + most - 1) / most;
    return {each * kKeysOfSplit, (units + each - 1) / each};
}

/// Where column `d` of a head lies in shared memory: a lane's eight columns in two halves, so that
/// lanes side by side read 16 bytes side by side.
template <int kDims>
__device__ __forceinline__ int slotOf(int d) {
    return d / 4 % 2 * (kDims / 2) + d / 8 * 4 + d % 4;
}
template <int kDims>
__device__ __forceinline__ int columnOfSlot(int slot) {
    const int within = slot % (kDims / 2);
    return within / 4 * 8 + slot / (kDims / 2) * 4 + within % 4;
}

/// Columns `d` to d + 7 of a row of a cache, zeros behind the last. Rows of kVector have a multiple
/// of 8. Past the first-level cache, where a line may be older than what the last step wrote: a
/// block reads a row once, and perhaps before it has waited for anything.
template <bool kVector>
__device__ __forceinline__ uint4 loadEight(const std::uint16_t* row, int d, int headDim) {
    if constexpr (kVector) {
        return d < headDim ? loadShared(reinterpret_cast<const uint4*>(row + d))
                           : make_uint4(0, 0, 0, 0);
    } else {
        std::uint32_t words[4];
        MOESCOPE_UNROLL
        for (int w = 0; w < 4; ++w) {
            words[w] = d + 2 * w < headDim
                           ? loadShared(reinterpret_cast<const std::uint32_t*>(row + d + 2 * w))
                           : 0U;
        }
        return make_uint4(words[0], words[1], words[2], words[3]);
    }
}

__device__ __forceinline__ void widen(float (&x)[8], const uint4& packed) {
    const std::uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
    MOESCOPE_UNROLL
    for (int w = 0; w < 4; ++w) {
        x[2 * w] = fromHalf(static_cast<std::uint16_t>(words[w] & 0xFFFFU));
        x[2 * w + 1] = fromHalf(static_cast<std::uint16_t>(words[w] >> 16U));
    }
}

/// Sums over the lanes that differ in the bits kFirst, kFirst / 2, ... kLast: at each of them a
/// lane keeps the half of the numbers, the upper one where its bit is set, that it goes on with.
template <int kFirst, int kLast, int kNumbers>
__device__ __forceinline__ void foldLanes(float (&x)[kNumbers], int lane) {
    int left = kNumbers;
    MOESCOPE_UNROLL
    for (int bit = kFirst; bit >= kLast; bit /= 2) {
        left /= 2;
        const bool upper = (lane & bit) != 0;
        MOESCOPE_UNROLL
        for (int i = 0; i < kNumbers / 2; ++i) {
            if (i >= left) break;
            const float given = upper ? x[i] : x[i + left];
            x[i] = (upper ? x[i + left] : x[i]) + __shfl_xor_sync(kAllLanes, given, bit);
        }
    }
}

/// combine() over all scores of a lane's head that its warp has.
template <int kDims, typename Combine>
__device__ __forceinline__ float overHead(float x, const Combine& combine) {
    using T = Tile<kDims>;
    MOESCOPE_UNROLL
    for (int bit = kHeads; bit < kWarp; bit *= 2) {
        if (bit >= T::kScores && bit < T::kLanes) continue;  // those lanes have the same score
        x = combine(x, __shfl_xor_sync(kAllLanes, x, bit));
    }
    return x;
}

/// Which token and heads a block has.
struct BlockPlace {
    int token, kvHead, firstHead, heads;  // firstHead: of all; heads: 1 to kHeads
    bool firstOfKvHead;
};
__device__ __forceinline__ BlockPlace blockPlace(const DecodeAttention& a) {
    const int groups = shapeOf(a.nHead, a.nKvHead).groups;
    const int kvHead = static_cast<int>(blockIdx.x) / groups;
    const int perKv = a.nHead / a.nKvHead;
    const int first = static_cast<int>(blockIdx.x) % groups * kHeads;
    return {static_cast<int>(blockIdx.z), kvHead, kvHead * perKv + first,
            min(kHeads, perKv - first), first == 0};
}

/// StepCaches::at, before the kernel in front has ended: as loadEight.
__device__ __forceinline__ LayerCache cacheOf(const StepCaches& caches, int run) {
    if (caches.of == nullptr) return caches.only;
    const LayerCache* const at = caches.of + run;
    return {loadShared(&at->rows), loadShared(&at->keys), loadShared(&at->values)};
}

/// A warp's keys and values of a tile.
template <int kDims>
struct TileRows {
    uint4 keys[Tile<kDims>::kLoads], values[Tile<kDims>::kLoads];
};

template <int kDims, bool kVector>
__global__ void __launch_bounds__(kVector ? kRegisterThreads : kThreads, 2)
    decodeAttentionKernel(const DecodeAttention a) {
    using T = Tile<kDims>;
    __align__(16) __shared__ float queries[kHeads][kDims];  // in slots
    __shared__ uint4 newest[2][T::kLanes];                  // the token's key and value: half
    __align__(16) __shared__ float merged[kWarps][kHeads][kDims];  // in slots
    __shared__ float2 statistics[kWarps][kHeads];                  // maximum, sum
    __shared__ bool last;
    const auto thread = static_cast<int>(threadIdx.x);
    const int warp = thread / kWarp;
    const int lane = thread % kWarp;
    const int headDim = a.headDim;
    const BlockPlace block = blockPlace(a);
    const int token = block.token;
    const int heads = block.heads;

    letNextKernelBegin();
    const TokenPlace* const at = a.places + token;
    const TokenPlace place{loadShared(&at->position), loadShared(&at->run)};  // as loadEight
    float sinks[kHeads];
    MOESCOPE_UNROLL
    for (int h = 0; h < kHeads; ++h) {
        sinks[h] = a.sinks != nullptr ? a.sinks[block.firstHead + min(h, heads - 1)] : -INFINITY;
    }
    const int position = place.position;
    const int first = firstVisible(position, a.window);
    const int visible = position + 1 - first;
    const auto [each, splits] = splitsOf(visible, static_cast<int>(gridDim.y));
    const int split = static_cast<int>(blockIdx.y);
    if (split >= splits) return;

    const LayerCache cache = cacheOf(a.caches, place.run);
    if (!a.settled) waitForPreviousKernel();
    const int begin = first + split * each;
    const int end = min(begin + each, position + 1);
    // The newest is not in the cache yet where this kernel turns it.
    const bool turns = a.angles != nullptr;
    const int cachedEnd = turns ? min(end, position) : end;
    const std::int64_t rowWidth = std::int64_t{a.nKvHead} * headDim;
    const int sub = lane % T::kLanes;
    const int myFirst = warp * T::kRows + lane / T::kLanes;  // of the tile's keys
    int tileRow = kvRow(begin, cache.rows);
    const auto load = [&](uint4(&to)[T::kLoads], const std::uint16_t* rows, int tile) {
        rows += block.kvHead * headDim;
        MOESCOPE_UNROLL
        for (int i = 0; i < T::kLoads; ++i) {
            const int offset = myFirst + i * T::kStep;
            // Keys that are visible are not more than the ring has rows.
            const int onward = tileRow + offset;
            const int row = onward < cache.rows ? onward : onward - cache.rows;
            to[i] = loadEight<kVector>(rows + row * rowWidth, 8 * sub,
                                       tile + offset < cachedEnd ? headDim : 0);
        }
    };
    TileRows<kDims> rows;
    load(rows.keys, cache.keys, begin);
    load(rows.values, cache.values, begin);

    // One column of the queries, and of the newest key and value. Addresses are there before the
    // numbers are, and all loads before the first use.
    constexpr int kRounds = (kHeads + 2) * kDims / kThreads;
    const int column = thread % kDims;
    const bool within = column < headDim;
    const bool halves = a.pairing == RopePairing::HalfSplit;
    const int distance = halves ? headDim / 2 : 1;
    const bool second = halves ? column >= distance : column % 2 == 1;
    const int other = second ? -distance : distance;
    const float2* const angleAt =
        a.angles + (halves ? (second ? column - distance : column) : column / 2);
    const auto vectorOf = [&](int round) { return (thread + round * kThreads) / kDims; };
    const float* numbers[kRounds];
    MOESCOPE_UNROLL
    for (int r = 0; r < kRounds; ++r) {
        const int v = vectorOf(r);
        const int head = v < kHeads ? block.firstHead + min(v, heads - 1)
                                    : a.nHead + block.kvHead + (v - kHeads) * a.nKvHead;
        numbers[r] = a.qkv + std::int64_t{token} * a.qkvStride + head * headDim + column;
    }
    const bool keeps = turns && within && block.firstOfKvHead && split == splits - 1;
    const std::int64_t newestAt =
        kvRow(position, cache.rows) * rowWidth + block.kvHead * headDim + column;
    if (a.settled) waitForPreviousKernel();

    const float2 angle = turns && within ? *angleAt : make_float2(1, 0);
    float own[kRounds], partner[kRounds];
    MOESCOPE_UNROLL
    for (int r = 0; r < kRounds; ++r) {
        own[r] = within ? *numbers[r] : 0.0F;
        partner[r] = turns && within ? numbers[r][other] : 0.0F;
    }
    MOESCOPE_UNROLL
    for (int r = 0; r < kRounds; ++r) {
        const int v = vectorOf(r);
        float value = own[r];
        if (turns && v <= kHeads) {
            const float2 turned = second ? turnedPair(partner[r], own[r], angle)
                                         : turnedPair(own[r], partner[r], angle);
            value = second ? turned.y : turned.x;
        }
        if (v < kHeads) {
            queries[v][slotOf<kDims>(column)] = value * a.scale;
            continue;
        }
        const std::uint16_t stored = toHalf(value);
        reinterpret_cast<std::uint16_t*>(newest[v - kHeads])[column] = stored;
        if (keeps) (v == kHeads ? cache.keys : cache.values)[newestAt] = stored;
    }
    __syncthreads();
    float q[kHeads][8];
    MOESCOPE_UNROLL
    for (int h = 0; h < kHeads; ++h) {
        const float4 u = *reinterpret_cast<const float4*>(&queries[h][4 * sub]);
        const float4 v = *reinterpret_cast<const float4*>(&queries[h][kDims / 2 + 4 * sub]);
        q[h][0] = u.x, q[h][1] = u.y, q[h][2] = u.z, q[h][3] = u.w;
        q[h][4] = v.x, q[h][5] = v.y, q[h][6] = v.z, q[h][7] = v.w;
    }

    // Of this lane's head, lane % kHeads: the warp's maximum, this lane's part of the sum.
    float maximum = -INFINITY, sum = 0;
    float weighted[kHeads * 8] = {};  // of this lane's columns and rows, not divided
    const int score = lane % T::kScores;
    const int scoreOffset = myFirst + score / kHeads * T::kStep;
    for (int tile = begin; tile < end; tile += T::kKeys) {
        if (turns && tile + T::kKeys > position) {
            MOESCOPE_UNROLL
            for (int i = 0; i < T::kLoads; ++i) {
                if (tile + myFirst + i * T::kStep != position) continue;
                rows.keys[i] = newest[0][sub];
                rows.values[i] = newest[1][sub];
            }
        }
        float scores[T::kScores];
        MOESCOPE_UNROLL
        for (int i = 0; i < T::kLoads; ++i) {
            float k[8];
            widen(k, rows.keys[i]);
            MOESCOPE_UNROLL
            for (int h = 0; h < kHeads; ++h) {
                float s = q[h][0] * k[0];
                MOESCOPE_UNROLL
                for (int e = 1; e < 8; ++e) s += q[h][e] * k[e];
                scores[i * kHeads + h] = s;
            }
        }
        const int next = tile + T::kKeys;
        tileRow += T::kKeys;
        if (tileRow >= cache.rows) tileRow -= cache.rows;
        if (next < end) load(rows.keys, cache.keys, next);
        MOESCOPE_UNROLL
        for (int bit = T::kLanes / 2; bit >= T::kScores; bit /= 2) {
            MOESCOPE_UNROLL
            for (float& s : scores) s += __shfl_xor_sync(kAllLanes, s, bit);
        }
        foldLanes<T::kScores / 2, 1>(scores, lane);
        const bool counts = tile + scoreOffset < end;
        const float mine = counts ? scores[0] : -INFINITY;
        const float largest =
            fmaxf(maximum, overHead<kDims>(mine, [](float x, float y) { return fmaxf(x, y); }));
        const float p = expf(counts ? mine - largest : -INFINITY);
        if (tile != begin) {
            // A warp may have had no key so far, and have none now.
            const float factor = expf(maximum > -INFINITY ? maximum - largest : -INFINITY);
            sum *= factor;
            MOESCOPE_UNROLL
            for (int h = 0; h < kHeads; ++h) {
                const float ofHead = __shfl_sync(kAllLanes, factor, h);
                MOESCOPE_UNROLL
                for (int e = 0; e < 8; ++e) weighted[h * 8 + e] *= ofHead;
            }
        }
        sum += p;
        maximum = largest;
        MOESCOPE_UNROLL
        for (int i = 0; i < T::kLoads; ++i) {
            float v[8];
            widen(v, rows.values[i]);
            MOESCOPE_UNROLL
            for (int h = 0; h < kHeads; ++h) {
                const float ofKey = __shfl_sync(kAllLanes, p, lane - sub + i * kHeads + h);
                MOESCOPE_UNROLL
                for (int e = 0; e < 8; ++e) weighted[h * 8 + e] += ofKey * v[e];
            }
        }
        if (next < end) load(rows.values, cache.values, next);
    }

    foldLanes<kWarp / 2, T::kLanes>(weighted, lane);
    constexpr int kLeft = kHeads * 8 / T::kRows;
    MOESCOPE_UNROLL
    for (int j = 0; j < kLeft; j += 4) {
        const int number = lane / T::kLanes * kLeft + j;
        *reinterpret_cast<float4*>(
            &merged[warp][number / 8][number / 4 % 2 * (kDims / 2) + 4 * sub]) =
            make_float4(weighted[j], weighted[j + 1], weighted[j + 2], weighted[j + 3]);
    }
    sum = overHead<kDims>(sum, [](float x, float y) { return x + y; });
    if (lane < kHeads) statistics[warp][lane] = make_float2(maximum, sum);
    __syncthreads();

    const int outColumn = block.firstHead * headDim;
    const bool many = a.operand.high != nullptr;
    const auto store = [&](int i, float value) {
        if (many) {
            storeOperand(a.operand, token, operandPosition(a.operand.format, outColumn + i), value);
        } else {
            storePair(a.out, token, outColumn + i, value);
        }
    };
    if (many && split == 0 && blockIdx.x + 1 == gridDim.x)
        padOperand(a.operand, token, a.nHead * headDim, thread, kThreads);
    const int width = kHeads * (headDim + 2);
    const std::int64_t team = std::int64_t{token} * gridDim.x + blockIdx.x;
    float* parts = a.partial + team * gridDim.y * width;
    for (int i = thread; i < kHeads * kDims; i += kThreads) {
        const int h = i / kDims;
        const int d = columnOfSlot<kDims>(i % kDims);
        if (h >= heads || d >= headDim) continue;
        // With several splits the sink is counted when they are merged.
        const float sink = splits > 1 ? -INFINITY : h == 0 ? sinks[0] : sinks[kHeads - 1];
        float largest = sink;
        MOESCOPE_UNROLL
        for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, statistics[w][h].x);
        float denominator = expf(sink > -INFINITY ? sink - largest : -INFINITY);
        float value = 0;
        MOESCOPE_UNROLL
        for (int w = 0; w < kWarps; ++w) {
            const float2 of = statistics[w][h];
            const float factor = expf(of.x > -INFINITY ? of.x - largest : -INFINITY);
            denominator += factor * of.y;
            value += factor * merged[w][h][i % kDims];
        }
        if (splits == 1) {
            store(h * headDim + d, value / denominator);
            continue;
        }
        // This split's part: values not divided, maximum, sum.
        float* part = parts + std::int64_t{split} * width;
        part[h * headDim + d] = value;
        if (d == 0) {
            part[kHeads * headDim + h] = largest;
            part[kHeads * (headDim + 1) + h] = denominator;
        }
    }
    if (splits == 1) return;
    __threadfence();
    __syncthreads();
    if (thread == 0) {
        unsigned* counter = a.counters + team;
        last = atomicAdd(counter, 1U) + 1 == static_cast<unsigned>(splits);
        __threadfence();
        if (last) *counter = 0;
    }
    __syncthreads();
    if (!last) return;
    for (int i = thread; i < heads * headDim; i += kThreads) {
        const int h = i / headDim;
        const float sink = h == 0 ? sinks[0] : sinks[kHeads - 1];
        float largest = sink;
        for (int s = 0; s < splits; ++s)
            largest = fmaxf(largest, loadShared(parts + s * width + kHeads * headDim + h));
        float denominator = expf(sink - largest);
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
                   dim3(kThreads), 0, stream, true};
    const bool vector = a.headDim % 8 == 0;
    if (a.headDim <= 64) {
        return launch(
            l, vector ? decodeAttentionKernel<64, true> : decodeAttentionKernel<64, false>, a);
    }
    if (a.headDim <= 128) {
        return launch(
            l, vector ? decodeAttentionKernel<128, true> : decodeAttentionKernel<128, false>, a);
    }
    launch(l, vector ? decodeAttentionKernel<256, true> : decodeAttentionKernel<256, false>, a);
}

}  // namespace moescope::cuda
