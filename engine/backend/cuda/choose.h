// SPDX-License-Identifier: Apache-2.0
// The router's choice for one token. Device code; the rule is that of
// engine/backend/routing_rule.h.
#pragma once

#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

/// An integer for each logit, in the order of the logits: equal for the two zeros, and for what is
/// not a number that of negative infinity. 0 is below all of them.
__device__ __forceinline__ std::uint32_t orderOf(float logit) {
    const std::uint32_t bits = floatToBits(logit == logit ? logit + 0.0F : -INFINITY);
    return bits ^ ((bits >> 31U) != 0 ? 0xFFFFFFFFU : 0x80000000U);
}

/// A logit with this order: the logit itself, unless it was not a number.
__device__ __forceinline__ float logitOf(std::uint32_t order) {
    return bitsToFloat(order ^ ((order >> 31U) != 0 ? 0x80000000U : 0xFFFFFFFFU));
}

/// chooseForToken for up to kEach experts a lane, expert lane + 32 i being its i-th.
/// logitAt(e): logit of expert e.
template <int kEach, typename LogitAt>
__device__ __forceinline__ void chooseAmong(const RouterRule& rule, const LogitAt& logitAt,
                                            std::int32_t* experts, float* weights) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    const float nothing = -INFINITY;
    float logit[kEach];
    std::uint32_t order[kEach];  // 0: taken, or no such expert
    MOESCOPE_UNROLL
    for (int i = 0; i < kEach; ++i) {
        const int e = lane + kWarp * i;
        logit[i] = e < rule.nExpert ? logitAt(e) : nothing;
    }
    MOESCOPE_UNROLL
    for (int i = 0; i < kEach; ++i)
        order[i] = lane + kWarp * i < rule.nExpert ? orderOf(logit[i]) : 0;
    int mine = 0;  // lane k: the expert of place k, and its order
    std::uint32_t orderOfMine = 0;
    float largest = 0;
    for (int k = 0; k < rule.topK; ++k) {
        std::uint32_t best = order[0];
        int bestExpert = lane;
        MOESCOPE_UNROLL
        for (int i = 1; i < kEach; ++i) {
            if (order[i] > best) {
                best = order[i];
                bestExpert = lane + kWarp * i;
            }
        }
        const std::uint32_t winner = __reduce_max_sync(kAllLanes, best);
        int id;
        if constexpr (kEach == 1) {
            id = __ffs(static_cast<int>(__ballot_sync(kAllLanes, best == winner))) - 1;
        } else {
            id = static_cast<int>(__reduce_min_sync(
                kAllLanes, static_cast<unsigned>(best == winner ? bestExpert : kMaxExperts)));
        }
        MOESCOPE_UNROLL
        for (int i = 0; i < kEach; ++i) {
            if (id == lane + kWarp * i) order[i] = 0;
        }
        if (lane == k) {
            mine = id;
            orderOfMine = winner;
        }
        if (k == 0) largest = logitOf(winner);
    }
    float raw = logitOf(orderOfMine);
    // A choice of negative infinity may be one of what is not a number, which weights must show.
    if (__ballot_sync(kAllLanes, lane < rule.topK && raw == nothing) != 0) {
        if (lane < rule.topK) raw = logitAt(mine);
        largest = __shfl_sync(kAllLanes, raw, 0);
    }
    const float weight = lane < rule.topK ? expf(raw - largest) : 0.0F;
    float sum = weight;
    if (rule.rule == RoutingRule::SoftmaxThenTopK) {
        sum = 0;
        MOESCOPE_UNROLL
        for (int i = 0; i < kEach; ++i)
            sum += lane + kWarp * i < rule.nExpert ? expf(logit[i] - largest) : 0.0F;
        sum = warpSum(sum);
    } else {
        // Lanes from top_k on have zeros.
        for (int offset = 1; offset < rule.topK; offset *= 2)
            sum += __shfl_xor_sync(kAllLanes, sum, offset);
    }
    if (lane < rule.topK) {
        experts[lane] = mine;
        weights[lane] = weight / sum;
    }
}

/// Top-k of one token by one warp: largest logit first, ties to the lower id, each expert once; a
/// logit that is not a number is the smallest of all. experts, weights: (top_k).
/// logitAt(e): logit of expert e, for any lane.
template <typename LogitAt>
__device__ inline void chooseByLogits(const RouterRule& rule, const LogitAt& logitAt,
                                      std::int32_t* experts, float* weights) {
    static_assert(kMaxTopK <= kWarp, "a lane for each place");
    if (rule.nExpert <= kWarp) return chooseAmong<1>(rule, logitAt, experts, weights);
    if (rule.nExpert <= 4 * kWarp) return chooseAmong<4>(rule, logitAt, experts, weights);
    chooseAmong<kMaxExperts / kWarp>(rule, logitAt, experts, weights);
}

/// The same with the logits in global memory, where another block may just have written them.
__device__ inline void chooseForToken(const RouterRule& rule, const float* logits,
                                      std::int32_t* experts, float* weights) {
    chooseByLogits(
        rule, [=](int e) { return loadShared(logits + e); }, experts, weights);
}

/// Ids among `chosen` (n) that occur, ascending, by one warp: distinct[0] of them.
__device__ inline void collectDistinct(const std::int32_t* chosen, int n, int nExpert,
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

/// The same of one token's choices, which are all different.
__device__ inline void orderDistinct(const std::int32_t* chosen, int n, std::int32_t* distinct) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    if (lane == 0) distinct[0] = n;
    if (lane >= n) return;
    const std::int32_t mine = chosen[lane];
    int before = 0;
    for (int i = 0; i < n; ++i) before += chosen[i] < mine ? 1 : 0;
    distinct[1 + before] = mine;
}

}  // namespace moescope::cuda
