// SPDX-License-Identifier: Apache-2.0
// The router's choice for one token. Device code; the rule is that of
// engine/backend/routing_rule.h.
#pragma once

#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

/// Experts that a lane looks after.
inline constexpr int kExpertsPerLane = kMaxExperts / kWarp;

/// Top-k of one token by one warp: largest logit first, ties to the lower id, each expert once; a
/// logit that is not a number is the smallest of all. experts, weights: (top_k).
__device__ inline void chooseForToken(const RouterRule& rule, const float* logits,
                                      std::int32_t* experts, float* weights) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    float logit[kExpertsPerLane];
    MOESCOPE_UNROLL
    for (int i = 0; i < kExpertsPerLane; ++i) {
        const int e = lane + kWarp * i;
        logit[i] = e < rule.nExpert ? loadShared(logits + e) : -INFINITY;
    }
    std::uint32_t taken = 0;  // bit i: expert lane + 32 i
    float largest = 0;
    float sum = 0;
    for (int k = 0; k < rule.topK; ++k) {
        float best = -INFINITY;
        float raw = 0;
        int id = kMaxExperts;  // none
        MOESCOPE_UNROLL
        for (int i = 0; i < kExpertsPerLane; ++i) {
            const int e = lane + kWarp * i;
            const float value = logit[i] == logit[i] ? logit[i] : -INFINITY;
            const bool candidate = e < rule.nExpert && (taken >> i & 1U) == 0;
            if (candidate && (id == kMaxExperts || value > best)) {
                best = value;
                raw = logit[i];
                id = e;
            }
        }
        for (int offset = kWarp / 2; offset > 0; offset /= 2) {
            const float otherBest = __shfl_xor_sync(kAllLanes, best, offset);
            const float otherRaw = __shfl_xor_sync(kAllLanes, raw, offset);
            const int otherId = __shfl_xor_sync(kAllLanes, id, offset);
            const bool better = otherBest > best || (otherBest == best && otherId < id);
            if (otherId != kMaxExperts && (id == kMaxExperts || better)) {
                best = otherBest;
                raw = otherRaw;
                id = otherId;
            }
        }
        if (id % kWarp == lane) taken |= 1U << (id / kWarp);
        if (k == 0) largest = raw;
        const float weight = expf(raw - largest);
        sum += weight;
        if (lane == 0) {
            experts[k] = id;
            weights[k] = weight;
        }
    }
    if (rule.rule == RoutingRule::SoftmaxThenTopK) {
        sum = 0;
        MOESCOPE_UNROLL
        for (int i = 0; i < kExpertsPerLane; ++i)
            sum += lane + kWarp * i < rule.nExpert ? expf(logit[i] - largest) : 0.0F;
        sum = warpSum(sum);
    }
    if (lane == 0) {
        for (int k = 0; k < rule.topK; ++k) weights[k] /= sum;
    }
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

}  // namespace moescope::cuda
