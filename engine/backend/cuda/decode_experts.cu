// SPDX-License-Identifier: Apache-2.0
// The experts of few tokens: work is shared out by output rows, each distinct expert is read once.
#include <algorithm>

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/decode_registers.h"
#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/device_limits.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Activations that are copied to shared memory, bytes, at most: two blocks fit on a
/// multiprocessor.
constexpr int kMaxStaged = 96 << 10;
/// Blocks of a multiprocessor that share out the first half.
constexpr int kResidentBlocks = 2;

struct UpArgs {
    DecodeExpertsUp e;
    WeightStream m;
    std::int32_t stride;  // of staged rows, elements; 0: rows are read from global memory
};
struct DownArgs {
    DecodeExpertsDown e;
    WeightStream m;
    std::int32_t groupsOfRound;  // whose columns of all rows are staged together; 0: none are
    std::int32_t stride;         // of staged rows, elements
};

/// The place that `expert` has among a token's choices, or -1. experts: (n_tokens, top_k).
__device__ __forceinline__ int placeOf(const std::int32_t* experts, int token, int topK,
                                       int expert) {
    for (int k = 0; k < topK; ++k) {
        if (experts[token * topK + k] == expert) return k;
    }
    return -1;
}

/// A block's own copy of who chose what.
struct Choice {
    std::int32_t experts[kDecodeTokens * kMaxTopK];
    float weights[kDecodeTokens * kMaxTopK];
    std::int32_t distinct[1 + kDecodeTokens * kMaxTopK];
};

/// Every block chooses for itself, which is faster than waiting for one that chooses for all.
__device__ void choose(const RouterRule& rule, const float* routerLogits, const RouterChoice& known,
                       int tokens, int topK, int nExpert, Choice& choice) {
    const int n = tokens * topK;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    if (routerLogits != nullptr) {
        for (int t = warp; t < tokens; t += kBlockWarps)
            chooseForToken(rule, routerLogits + std::int64_t{t} * nExpert,
                           choice.experts + t * topK, choice.weights + t * topK);
    } else {
        for (int i = static_cast<int>(threadIdx.x); i < n; i += kBlockThreads) {
            choice.experts[i] = known.experts[i];
            choice.weights[i] = known.weights[i];
        }
    }
    if (tokens == 1) {
        // The first warp has all of it.
        __syncwarp();
        if (warp == 0) orderDistinct(choice.experts, n, choice.distinct);
    } else {
        __syncthreads();
        if (warp == 0) collectDistinct(choice.experts, n, nExpert, choice.distinct);
    }
    __syncthreads();
}

/// By the first block: for those who read routing.
__device__ void tellChoice(const Choice& choice, int n, const RouterChoice& to) {
    for (int i = static_cast<int>(threadIdx.x); i < n; i += kBlockThreads) {
        to.experts[i] = choice.experts[i];
        to.weights[i] = choice.weights[i];
    }
}

/// One number of the hidden vectors of a round.
struct UpResult {
    int token, expert;
    int row;            // the first of the stored rows that it is made of
    std::uint16_t* to;  // its pair in the hidden vectors, null: the token did not choose the expert
    SumPlace sum;
};

/// Where a warp's weights are.
struct BandOfExpert {
    const std::byte* codes;
    const std::byte* scales;
    bool both;  // tiles are there
};
__device__ __forceinline__ BandOfExpert bandOf(const WeightStream& m, int expert, int band) {
    const std::int64_t tile = std::int64_t{kBandTiles} * band;
    return {m.codes + expert * m.matrixCodes + tile * m.tileCodes,
            m.scales + expert * m.matrixScales + tile * m.tileScales,
            kBandTiles * band + 1 < m.tiles};
}

template <WeightFormat F, bool kStaged, bool kWide>
__global__ void __launch_bounds__(kBlockThreads, kResidentBlocks)
    decodeExpertsUpKernel(const UpArgs a) {
    __shared__ Barrier staged;
    __shared__ Choice choice;
    const DecodeExpertsUp& e = a.e;
    auto* memory = dynamicShared<std::byte>();
    auto* partial = reinterpret_cast<float*>(memory + 4 * a.stride * e.tokens);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int groups = a.m.groups;

    PairRows x = e.x;
    if (kStaged) {
        x.words = reinterpret_cast<std::uint32_t*>(memory);
        x.stride = a.stride;
        if (stages()) prepareBarriers(&staged, 1);
    }
    BlockBands mine{};
    BandWalk ahead(0, 0, groups);
    int nth = 0;        // of the different experts: the one that `ahead` has come to,
    int bandsPast = 0;  // and the bands of those before it
    const auto passExperts = [&] {
        for (; ahead.band() - bandsPast >= a.m.bands; bandsPast += a.m.bands) ++nth;
    };
    const auto begin = [&](int experts) {
        mine = bandsOfBlock(experts * a.m.bands, gridDim.x);
        ahead = BandWalk(mine.first, mine.end, groups);
        if (!ahead.done()) passExperts();
    };
    // A token's experts are different ones: of one token it is known how many there are.
    if (e.tokens == 1) begin(e.topK);

    // In this order: what the kernel before the one before wrote is then there for the next one
    // even before it waits, see decodeExpertsDownKernel.
    waitForPreviousKernel();
    letNextKernelBegin();
    if (kStaged && stages())
        copyRowsToShared(&staged, e.x, e.tokens, a.m.paddedCols, x.words, x.stride);
    choose(e.rule, e.routerLogits, e.choice, e.tokens, e.topK, e.nExpert, choice);
    if (e.tokens > 1) begin(choice.distinct[0]);
    BandOfExpert from{};
    const auto place = [&] {
        from = bandOf(a.m, choice.distinct[1 + nth], ahead.band() - bandsPast);
    };
    if (!ahead.done()) place();
    const auto load = [&](WeightRegisters<F>& weights) {
        if (ahead.done()) return;
        weights.load(a.m, from.codes, from.scales, from.both, ahead.group());
        if (!ahead.next() || ahead.done()) return;
        passExperts();
        place();
    };
    WeightRegisters<F> weights;
    load(weights);
    if (e.routerLogits != nullptr && blockIdx.x == 0)
        tellChoice(choice, e.tokens * e.topK, e.choice);
    const TokenRows rows = rowsOfLane(x, e.tokens);
    const int perRow = e.gated ? 2 : 1;  // stored rows for one number of the hidden vector
    const int perBand = kBandRows / perRow;
    bool odd = false;
    for (int first = mine.first; first < mine.end; first += kBlockWarps) {
        const int bands = min(kBlockWarps, mine.end - first);
        const RoundSums round(partial + (odd ? RoundSums::kFloatsOfToken * e.tokens : 0), e.tokens);
        odd = !odd;
        const int results = bands * perBand * e.tokens;
        const auto thread = static_cast<int>(threadIdx.x);
        const auto resultAt = [&](int i) {
            UpResult r;
            r.token = fewTimes(i, bands * perBand);
            const int local = i - r.token * bands * perBand;
            const int band = e.gated ? local / (kBandRows / 2) : local / kBandRows;
            const int rowOfBand = (local - band * perBand) * perRow;
            const int nth = fewTimes(first + band, a.m.bands);
            r.expert = choice.distinct[1 + nth];
            r.row = (first + band - nth * a.m.bands) * kBandRows + rowOfBand;
            const int place =
                r.row < a.m.rows ? placeOf(choice.experts, r.token, e.topK, r.expert) : -1;
            r.to = place < 0 ? nullptr
                             : pairAt(e.hidden, std::int64_t{r.token} * e.topK + place,
                                      e.gated ? r.row / 2 : r.row);
            r.sum = RoundSums::placeOf(bands, groups, band, r.token, rowOfBand);
            return r;
        };
        const auto biasOf = [&](const UpResult& r) {
            float2 bias = make_float2(0, 0);
            if (e.bias == nullptr || r.to == nullptr) return bias;
            const float* const at = e.bias + std::int64_t{r.expert} * a.m.rows + r.row;
            bias.x = at[0];
            if (e.gated) bias.y = at[1];
            return bias;
        };
        const auto finish = [&](const UpResult& r, const float2& bias, float scale) {
            float value;
            if (e.gated) {
                const float2 sum = round.twoOf(r.sum);
                value = gatedActivated(e.activation, e.swigluAlpha, e.swigluLimit,
                                       sum.x * scale + bias.x, sum.y * scale + bias.y);
            } else {
                value = activated(e.activation, round.of(r.sum) * scale + bias.x);
            }
            storePair(r.to, value);
        };
        // All that a thread's first result is made of but the sums is there, or on its way, before
        // the product is taken.
        UpResult early{};
        float2 earlyBias = make_float2(0, 0);
        float earlyScale = 0;
        if (thread < results) {
            early = resultAt(thread);
            earlyBias = biasOf(early);
            earlyScale = e.x.scale[early.token];
        }
        if (kStaged && first == mine.first) waitForCopiesOf(kStagingWarp, &staged, 0);
        const Share share = shareOf(warp, bands, groups);
        Accumulators<kWide> acc;
        int group = share.group;
        int band = share.band;
        for (int i = share.begin; i < share.end; ++i) {
            WeightRegisters<F> next;
            load(next);
            const int column = group * WeightRegisters<F>::kColumns;
            weights.template multiply<kStaged>(acc, a.m, group,
                                               {rows.first + column, rows.second + column});
            weights = next;
            if (++group < groups && i + 1 < share.end) continue;
            round.store(band++, acc);
            acc = {};
            group = 0;
        }
        __syncthreads();
        if (early.to != nullptr) finish(early, earlyBias, earlyScale);
        for (int i = thread + kBlockThreads; i < results; i += kBlockThreads) {
            const UpResult r = resultAt(i);
            if (r.to != nullptr) finish(r, biasOf(r), e.x.scale[r.token]);
        }
    }
    // A block that has nothing to do must not end before what was copied to it is there.
    if (kStaged && mine.first >= mine.end) waitForCopiesOf(kStagingWarp, &staged, 0);
}

/// Groups [first, end) of one band of each distinct expert, of which a warp has a share: where it
/// is on its way.
class ExpertWalk {
public:
    __device__ ExpertWalk(int experts, int first, int end) : first_(first), end_(end) {
        const int warp = static_cast<int>(threadIdx.x) / kWarp;
        const Share share = shareOf(warp, experts, end - first);
        nth_ = share.band;
        group_ = first + share.group;
        left_ = share.end - share.begin;
    }
    __device__ bool done() const { return left_ == 0; }
    __device__ int nth() const { return nth_; }
    __device__ int group() const { return group_; }
    /// Returns whether the next group is another expert's, or there is none.
    __device__ bool next() {
        --left_;
        if (++group_ < end_) return left_ == 0;
        group_ = first_;
        ++nth_;
        return true;
    }

private:
    int first_, end_, nth_, group_, left_;
};

/// A block has one band of all experts; its warps share out their groups, expert after expert.
template <WeightFormat F, bool kStaged, bool kWide>
__global__ void __launch_bounds__(kBlockThreads, kResidentBlocks)
    decodeExpertsDownKernel(const DownArgs a) {
    __shared__ float partial[kBlockWarps][kDecodeTokens * kBandRows];
    __shared__ Barrier staged;
    __shared__ Choice choice;
    constexpr int kColumns = WeightRegisters<F>::kColumns;
    const DecodeExpertsDown& e = a.e;
    const auto thread = static_cast<int>(threadIdx.x);
    const int warp = thread / kWarp;
    const int band = static_cast<int>(blockIdx.x);
    const int groups = a.m.groups;
    const int chosen = e.tokens * e.topK;
    const int perRound = kStaged ? a.groupsOfRound : groups;

    if (kStaged && stages()) prepareBarriers(&staged, 1);
    letNextKernelBegin();
    // The router's logits are older than the kernel before: it let this one begin after its own
    // wait for them. So weights are under way while it ends.
    choose(e.rule, e.routerLogits, e.choice, e.tokens, e.topK, e.nExpert, choice);
    const int experts = choice.distinct[0];
    const auto load = [&](WeightRegisters<F>& weights, const ExpertWalk& at) {
        const BandOfExpert from = bandOf(a.m, choice.distinct[1 + at.nth()], band);
        weights.load(a.m, from.codes, from.scales, from.both, at.group());
    };
    WeightRegisters<F> weights;
    ExpertWalk walk(experts, 0, min(perRound, groups));
    if (!walk.done()) load(weights, walk);
    // What a thread's result is added to is on its way while the product is taken, and not used
    // before.
    static_assert(kDecodeTokens * kBandRows <= kBlockThreads, "a thread for each result");
    constexpr int kEarly = 4;
    const int row = band * kBandRows + thread % kBandRows;
    const int firstChoice = thread / kBandRows * e.topK;
    const bool has = thread < kBandRows * e.tokens && row < a.m.rows;
    const auto biasOf = [&](int k) {
        return e.bias[std::int64_t{choice.experts[firstChoice + k]} * a.m.rows + row];
    };
    float bias[kEarly] = {};
    MOESCOPE_UNROLL
    for (int k = 0; k < kEarly; ++k) {
        if (has && e.bias != nullptr && k < e.topK) bias[k] = biasOf(k);
    }
    waitForPreviousKernel();
    float* const out = e.out + std::int64_t{thread / kBandRows} * a.m.rows + row;
    const float before = has && e.add ? *out : 0.0F;

    constexpr int kSets = Accumulators<kWide>::kSets;
    float2 total[kSets];
    MOESCOPE_UNROLL
    for (float2& sum : total) sum = make_float2(0, 0);
    PairRows x = e.hidden;
    if (kStaged) {
        x.words = dynamicShared<std::uint32_t>();
        x.stride = a.stride;
    }
    std::uint32_t phase = 0;
    for (int first = 0; first < groups; first += perRound) {
        const int end = min(first + perRound, groups);
        if (kStaged) {
            if (first > 0) __syncthreads();  // nobody reads what was there
            if (stages()) {
                PairRows from = e.hidden;
                from.words += first * kColumns;
                // A last round's columns may end before its groups do.
                copyRowsToShared(&staged, from, chosen,
                                 min(x.stride, e.hidden.stride - first * kColumns), x.words,
                                 x.stride);
            }
            waitForCopiesOf(kStagingWarp, &staged, phase);
            phase ^= 1U;
        }
        Accumulators<kWide> acc;
        while (!walk.done()) {
            const int nth = walk.nth();
            const int expert = choice.distinct[1 + nth];
            const int group = walk.group();
            const bool last = walk.next();
            WeightRegisters<F> next;
            if (!walk.done()) {
                load(next, walk);
            } else if (end < groups) {
                const ExpertWalk later(experts, end, min(end + perRound, groups));
                if (!later.done()) load(next, later);
            }
            const int column = (group - (kStaged ? first : 0)) * kColumns;
            const auto read = [&](int token) {
                const int known = min(token, e.tokens - 1);
                const int place = max(placeOf(choice.experts, known, e.topK, expert), 0);
                return ofLane(x.words + std::int64_t{known * e.topK + place} * x.stride + column);
            };
            const std::uint32_t* row = read(tokenRead());
            weights.template multiply<kStaged>(
                acc, a.m, group, {row, kWide ? read(kOperandTokens + tokenRead()) : row});
            weights = next;
            if (!last) continue;
            MOESCOPE_UNROLL
            for (int set = 0; set < kSets; ++set) {
                const int token = tokenOfResult() + kOperandTokens * set;
                const int place =
                    token < e.tokens ? placeOf(choice.experts, token, e.topK, expert) : -1;
                if (place < 0) continue;
                const float2 y = resultOf(acc, set);
                const float weight = choice.weights[token * e.topK + place];
                total[set].x += weight * y.x;
                total[set].y += weight * y.y;
            }
            acc = {};
        }
        if (end < groups) walk = ExpertWalk(experts, end, min(end + perRound, groups));
    }
    MOESCOPE_UNROLL
    for (int set = 0; set < kSets; ++set)
        storePartial(partial[warp], kBandRows, total[set], set, e.tokens);
    float sum = 0;
    if (has && e.bias != nullptr) {
        MOESCOPE_UNROLL
        for (int k = 0; k < kEarly; ++k) {
            if (k < e.topK) sum += choice.weights[firstChoice + k] * bias[k];
        }
        for (int k = kEarly; k < e.topK; ++k) sum += choice.weights[firstChoice + k] * biasOf(k);
    }
    __syncthreads();
    if (!has) return;
    for (int w = 0; w < kBlockWarps; ++w) sum += partial[w][thread];
    *out = e.add ? before + sum : sum;
}

/// Bytes of activations that may be staged beside `others` bytes of dynamic shared memory.
int mostStaged(int others) {
    return std::min(kMaxStaged,
                    static_cast<int>(deviceLimits().sharedOfBlock) - kStaticShared - others);
}

template <WeightFormat F>
void launchUp(const DecodeExpertsUp& e, int multiprocessors, cudaStream_t stream) {
    UpArgs a{e, streamOf(e.gateUp, loadChunks(F)), e.gateUp.paddedCols() + 8};
    const int experts = std::min(e.tokens * e.topK, e.nExpert);
    const int partial = static_cast<int>(sizeof(float)) * 2 * RoundSums::kFloatsOfToken * e.tokens;
    if (4 * a.stride * e.tokens > mostStaged(partial)) a.stride = 0;
    const int blocks = std::min(experts * a.m.bands, kResidentBlocks * multiprocessors);
    const Launch l{dim3(static_cast<unsigned>(blocks)), dim3(kBlockThreads),
                   static_cast<std::size_t>(4 * a.stride * e.tokens + partial), stream, true};
    const bool wide = e.tokens > kOperandTokens;
    if (a.stride > 0) {
        launch(l,
               wide ? decodeExpertsUpKernel<F, true, true> : decodeExpertsUpKernel<F, true, false>,
               a);
    } else {
        launch(
            l,
            wide ? decodeExpertsUpKernel<F, false, true> : decodeExpertsUpKernel<F, false, false>,
            a);
    }
}

template <WeightFormat F>
void launchDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    DownArgs a{e, streamOf(e.down, loadChunks(F)), 0, 0};
    const int bytesOfGroup = 4 * WeightRegisters<F>::kColumns * e.tokens * e.topK;
    a.groupsOfRound = std::min(mostStaged(0) / bytesOfGroup, a.m.groups);
    // A warp loads the first weights of its share of a round in the round before, so it must have a
    // share there. All have one of kBlockWarps groups; of fewer groups those that have none have
    // none of a last, shorter round either, unless the groups are of one expert.
    const bool unequal = a.groupsOfRound > 0 && a.m.groups % a.groupsOfRound != 0;
    if (unequal && e.topK == 1 && a.groupsOfRound < kBlockWarps) a.groupsOfRound = 0;
    // Rows that are staged as a whole lie as they do in memory.
    const int columns = a.groupsOfRound * WeightRegisters<F>::kColumns;
    a.stride = a.groupsOfRound == a.m.groups ? std::min(columns, e.hidden.stride) : columns;
    const Launch l{dim3(static_cast<unsigned>(a.m.bands)), dim3(kBlockThreads),
                   static_cast<std::size_t>(a.groupsOfRound * bytesOfGroup), stream, true};
    const bool wide = e.tokens > kOperandTokens;
    if (a.groupsOfRound > 0) {
        launch(
            l,
            wide ? decodeExpertsDownKernel<F, true, true> : decodeExpertsDownKernel<F, true, false>,
            a);
    } else {
        launch(l,
               wide ? decodeExpertsDownKernel<F, false, true>
                    : decodeExpertsDownKernel<F, false, false>,
               a);
    }
}

}  // namespace

void decodeExpertsUp(const DecodeExpertsUp& e, int multiprocessors, cudaStream_t stream) {
    switch (e.gateUp.format) {
        case WeightFormat::Bf16:
            return launchUp<WeightFormat::Bf16>(e, multiprocessors, stream);
        case WeightFormat::Bf16Pair:
            return launchUp<WeightFormat::Bf16Pair>(e, multiprocessors, stream);
        case WeightFormat::Q8_0:
            return launchUp<WeightFormat::Q8_0>(e, multiprocessors, stream);
        case WeightFormat::Mxfp4:
            return launchUp<WeightFormat::Mxfp4>(e, multiprocessors, stream);
    }
}

void decodeExpertsDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    switch (e.down.format) {
        case WeightFormat::Bf16:
            return launchDown<WeightFormat::Bf16>(e, stream);
        case WeightFormat::Bf16Pair:
            return launchDown<WeightFormat::Bf16Pair>(e, stream);
        case WeightFormat::Q8_0:
            return launchDown<WeightFormat::Q8_0>(e, stream);
        case WeightFormat::Mxfp4:
            return launchDown<WeightFormat::Mxfp4>(e, stream);
    }
}

}  // namespace moescope::cuda
