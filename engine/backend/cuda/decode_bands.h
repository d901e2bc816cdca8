// SPDX-License-Identifier: Apache-2.0
// How decoding shares out a product: bands of rows among blocks and warps, tokens among lanes, and
// where sums come together. Device code, shared by the kernels of decode_project.cu and
// decode_experts.cu.
#pragma once

#include <type_traits>

#include "engine/backend/cuda/bulk_copy.h"
#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

inline constexpr int kBlockWarps = 8;
inline constexpr int kBlockThreads = kBlockWarps * kWarp;
/// Tiles and rows of a band.
inline constexpr int kBandTiles = 2;
inline constexpr int kBandRows = kBandTiles * kTileRows;
/// Tokens that one instruction multiplies.
inline constexpr int kOperandTokens = 4;
/// Static shared memory of a product's kernel, bytes, at most.
inline constexpr int kStaticShared = 8 << 10;

// ---- Operand B: tokens -------------------------------------------------------------------------

/// Token `lane / 8` and its part (high or low) `lane / 4 % 2` are what a lane reads.
__device__ __forceinline__ int tokenRead() {
    return static_cast<int>(threadIdx.x % kWarp) / 8;
}
/// Token `lane % 4` is the one whose results a lane has.
__device__ __forceinline__ int tokenOfResult() {
    return static_cast<int>(threadIdx.x % kWarp) % kOperandTokens;
}

/// The rows that a lane reads, from its part of its octet of column 0 on; the second one in steps
/// of more than kOperandTokens. Every lane has a row to read; sums of a token that is not there are
/// nobody's.
struct TokenRows {
    const std::uint32_t* first;
    const std::uint32_t* second;
};
__device__ __forceinline__ const std::uint32_t* ofLane(const std::uint32_t* row) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    return row + 8 * (lane % 4) + 4 * (lane / 4 % 2);
}
__device__ __forceinline__ TokenRows rowsOfLane(const PairRows& rows, int tokens) {
    const auto row = [&](int token) {
        return ofLane(rows.words + std::int64_t{min(token, tokens - 1)} * rows.stride);
    };
    return {row(tokenRead()), row(kOperandTokens + tokenRead())};
}

/// Operands from an address space that is known (a generic load has to find out), at offsets that
/// are constants of the instruction.
template <bool kShared>
class OperandBase {
public:
    __device__ __forceinline__ explicit OperandBase(const std::uint32_t* at) {
#ifdef __CUDA_ARCH__
        if constexpr (kShared) {
            address_ = static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
        } else {
            address_ = at;
        }
#else
        address_ = at;
#endif
    }
    /// The 4 words from `kWord` on.
    template <int kWord>
    __device__ __forceinline__ void load(std::uint32_t (&to)[4]) const {
#ifdef __CUDA_ARCH__
        if constexpr (kShared) {
            asm("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4 + %5];"
                : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                : "r"(address_), "n"(4 * kWord)
                : "memory");
        } else {
            asm("ld.global.v4.u32 {%0, %1, %2, %3}, [%4 + %5];"
                : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                : "l"(address_), "n"(4 * kWord)
                : "memory");
        }
#else
        __builtin_memcpy(to, address_ + kWord, sizeof to);
#endif
    }

private:
#ifdef __CUDA_ARCH__
    std::conditional_t<kShared, std::uint32_t, const std::uint32_t*> address_;
#else
    const std::uint32_t* address_;
#endif
};

/// The warp that copies a block's activations to shared memory: not the first one, which has most
/// else to do.
inline constexpr int kStagingWarp = kBlockWarps - 1;
__device__ __forceinline__ bool stages() {
    return static_cast<int>(threadIdx.x) / kWarp == kStagingWarp;
}
/// Begins to copy `columns` words of each of `count` rows to shared memory, (count, stride). By the
/// warp that has prepared the barrier.
__device__ __forceinline__ void copyRowsToShared(Barrier* barrier, const PairRows& rows, int count,
                                                 int columns, std::uint32_t* to, int stride) {
    if (!laneCopies(static_cast<int>(threadIdx.x % kWarp))) return;
    const std::uint32_t bytes = 4U * static_cast<std::uint32_t>(columns);
    const std::uint32_t all = static_cast<std::uint32_t>(count) * bytes;
    expectCopies(barrier, all);
    // Begun one by one, copies take long: rows that lie there as they shall lie here are one.
    if (columns == stride && stride == rows.stride) return beginCopy(barrier, to, rows.words, all);
    for (int i = 0; i < count; ++i)
        beginCopy(barrier, to + i * stride, rows.words + std::int64_t{i} * rows.stride, bytes);
}

// ---- Sums --------------------------------------------------------------------------------------

/// A lane's sums of a band. kWide: of up to kDecodeTokens tokens, otherwise of up to
/// kOperandTokens. Two of each, so that a product need not wait for the one before.
template <bool kWide>
struct Accumulators {
    static constexpr int kSets = kWide ? 2 : 1;
    float sum[kSets][2][4] = {};
};

/// Rows lane / 4 and lane / 4 + 8 of a band for token tokenOfResult() + kOperandTokens * set: all
/// sums, and both parts of the token, added.
template <bool kWide>
__device__ __forceinline__ float2 resultOf(const Accumulators<kWide>& acc, int set) {
    float2 y = make_float2(0, 0);
    MOESCOPE_UNROLL
    for (int i = 0; i < 2; ++i) {
        y.x += acc.sum[set][i][0] + acc.sum[set][i][1];
        y.y += acc.sum[set][i][2] + acc.sum[set][i][3];
    }
    return y;
}

/// to: (n_tokens, tokenStride), of which the first kBandRows are one warp's part of a band.
__device__ __forceinline__ void storePartial(float* to, int tokenStride, float2 y, int set,
                                             int tokens) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    const int token = tokenOfResult() + kOperandTokens * set;
    if (token >= tokens) return;
    float* row = to + token * tokenStride + lane / 4;
    row[0] = y.x;
    row[kTileRows] = y.y;
}

// ---- How a block's bands are shared out among its warps ----------------------------------------

/// Bands [first, end) of this block, when the grid's first `blocks` share out `bands`. (Integer
/// divisions take longer than multiplying a group of weights; this is the only one on a kernel's
/// way.)
struct BlockBands {
    int first, end;
};
__device__ __forceinline__ BlockBands bandsOfBlock(int bands, unsigned blocks) {
    const auto block = static_cast<unsigned>(blockIdx.x);
    if (block >= blocks) return {0, 0};
    const unsigned each = static_cast<unsigned>(bands) / blocks;
    const unsigned more = static_cast<unsigned>(bands) - each * blocks;
    const unsigned first = block * each + min(block, more);
    return {static_cast<int>(first), static_cast<int>(first + each + (block < more ? 1 : 0))};
}

/// A warp's groups [begin, end) of the `bands` that a block takes at a time, of `groups` groups
/// each, band after band. With at most kBlockWarps bands it has parts of at most two of them.
struct Share {
    int begin, end;
    int band, group;  // of `begin`
};
__device__ __forceinline__ Share shareOf(int warp, int bands, int groups) {
    const int all = bands * groups;
    const int begin = warp * all / kBlockWarps;
    const int band = warp * bands / kBlockWarps;  // begin / groups
    return {begin, (warp + 1) * all / kBlockWarps, band, begin - band * groups};
}

/// Where a warp is on its way through the groups of bands [first, end) of its block; they are taken
/// up to kBlockWarps at a time (a round), and a round's groups shared out evenly.
class BandWalk {
public:
    __device__ BandWalk(int first, int end, int groups)
        : round_(first), end_(end), groups_(groups) {
        beginRound();
    }
    __device__ bool done() const { return round_ >= end_; }
    __device__ int band() const { return band_; }
    __device__ int group() const { return group_; }
    /// Returns whether the next group is one of another band.
    __device__ bool next() {
        ++group_;
        if (--left_ == 0) {
            round_ += kBlockWarps;
            beginRound();
            return true;
        }
        if (group_ < groups_) return false;
        group_ = 0;
        ++band_;
        return true;
    }

private:
    __device__ void beginRound() {
        for (; round_ < end_; round_ += kBlockWarps) {
            const Share share = shareOf(static_cast<int>(threadIdx.x) / kWarp,
                                        min(kBlockWarps, end_ - round_), groups_);
            left_ = share.end - share.begin;
            band_ = round_ + share.band;
            group_ = share.group;
            if (left_ > 0) return;  // a matrix of few columns has fewer groups than warps
        }
    }

    int round_, end_, groups_;
    int band_ = 0, group_ = 0, left_ = 0;
};

/// index / count, for an index of a few times `count`.
__device__ __forceinline__ int fewTimes(int index, int count) {
    int times = 0;
    for (; index >= count; index -= count) ++times;
    return times;
}

/// Where the parts of one sum of a round lie, and which warps have any; in one register, since it
/// is kept while a product is taken.
class SumPlace {
public:
    SumPlace() = default;
    /// warps: a bit each.
    __device__ __forceinline__ SumPlace(int at, std::uint32_t warps)
        : word_(static_cast<std::uint32_t>(at) << kBlockWarps | warps) {}
    __device__ __forceinline__ int at() const { return static_cast<int>(word_ >> kBlockWarps); }
    __device__ __forceinline__ bool has(int warp) const { return (word_ >> warp & 1U) != 0; }

private:
    std::uint32_t word_ = 0;
};

/// What the warps of a block have of a round's bands. Memory: (n_tokens, kFloatsOfToken), of a
/// token (kBlockWarps, 2, kBandRows): a warp has parts of at most two bands, which are neighbours,
/// so that one is even and the other odd.
class RoundSums {
public:
    __device__ RoundSums(float* memory, int tokens) : memory_(memory), tokens_(tokens) {}
    /// Eight more than there are, so that the tokens that a warp stores lie in different banks.
    static constexpr int kFloatsOfToken = kBlockWarps * 2 * kBandRows + 8;

    /// This warp's part of band `band` of the round.
    template <bool kWide>
    __device__ void store(int band, const Accumulators<kWide>& acc) const {
        const int warp = static_cast<int>(threadIdx.x) / kWarp;
        MOESCOPE_UNROLL
        for (int set = 0; set < Accumulators<kWide>::kSets; ++set)
            storePartial(memory_ + (2 * warp + band % 2) * kBandRows, kFloatsOfToken,
                         resultOf(acc, set), set, tokens_);
    }
    /// Of one row of a band of the round. It needs no results: what it takes long for is done
    /// before the block's warps have met.
    __device__ static SumPlace placeOf(int bands, int groups, int band, int token, int row) {
        std::uint32_t warps = 0;
        MOESCOPE_UNROLL
        for (int w = 0; w < kBlockWarps; ++w) {
            const Share share = shareOf(w, bands, groups);
            const bool has = max(share.begin, band * groups) < min(share.end, (band + 1) * groups);
            warps |= has ? 1U << w : 0U;
        }
        return {token * kFloatsOfToken + band % 2 * kBandRows + row, warps};
    }
    /// The sum, in the order of the columns. (All parts are read, whosoever they are: loads that
    /// nothing decides about are under way together.)
    __device__ __forceinline__ float of(const SumPlace& place) const {
        const float* const first = memory_ + place.at();
        float parts[kBlockWarps];
        MOESCOPE_UNROLL
        for (int w = 0; w < kBlockWarps; ++w) parts[w] = first[2 * w * kBandRows];
        float sum = 0;
        MOESCOPE_UNROLL
        for (int w = 0; w < kBlockWarps; ++w) sum += place.has(w) ? parts[w] : 0.0F;
        return sum;
    }
    /// The sums for this row, an even one, and the next.
    __device__ __forceinline__ float2 twoOf(const SumPlace& place) const {
        const float* const first = memory_ + place.at();
        float2 parts[kBlockWarps];
        MOESCOPE_UNROLL
        for (int w = 0; w < kBlockWarps; ++w) {
            parts[w] = *reinterpret_cast<const float2*>(first + 2 * w * kBandRows);
        }
        float2 sum = make_float2(0, 0);
        MOESCOPE_UNROLL
        for (int w = 0; w < kBlockWarps; ++w) {
            sum.x += place.has(w) ? parts[w].x : 0.0F;
            sum.y += place.has(w) ? parts[w].y : 0.0F;
        }
        return sum;
    }

private:
    float* memory_;
    int tokens_;
};

}  // namespace moescope::cuda
