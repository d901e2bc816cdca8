// SPDX-License-Identifier: Apache-2.0
// The router's choice for one token. Device code; the rule is that of
// engine/backend/routing_rule.h.
#pragma once

#include "engine/backend/cuda/decode.h"

namespace moescope::cuda {

/// An expert's logit in a comparison: not a number is the smallest, so that choices stay ids.
__device__ __forceinline__ float comparable(float logit) {
    return logit == logit ? logit : -INFINITY;
}

/// Top-k of one token by one warp: largest logit first, ties to the lower id, each expert once.
__device__ inline void chooseForToken(const RouterRule& rule, const float* logits,
                                      std::int32_t* experts, float* weights) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    std::uint32_t taken = 0;  // bit i: expert lane + 32 i
    float largest = 0;
    float sum = 0;
    for (int k = 0; k < rule.topK; ++k) {
        float best = -INFINITY;
        int id = rule.nExpert;  // none
        for (int e = lane, i = 0; e < rule.nExpert; e += kWarp, ++i) {
            const float value = comparable(loadShared(logits + e));
            if ((taken >> i & 1U) == 0 && (id == rule.nExpert || value > best)) {
                best = value;
                id = e;
            }
        }
        for (int offset = kWarp / 2; offset > 0; offset /= 2) {
            const float otherBest = __shfl_xor_sync(kAllLanes, best, offset);
            const int otherId = __shfl_xor_sync(kAllLanes, id, offset);
            const bool better = otherBest > best || (otherBest == best && otherId < id);
            if (otherId < rule.nExpert && (id == rule.nExpert || better)) {
                best = otherBest;
                id = otherId;
            }
        }
        if (id % kWarp == lane) taken |= 1U << (id / kWarp);
        const float logit = loadShared(logits + id);
        if (k == 0) largest = logit;
        sum += expf(logit - largest);
        if (lane == 0) {
            experts[k] = id;
            weights[k] = expf(logit - largest);
        }
    }
    if (rule.rule == RoutingRule::SoftmaxThenTopK) {
        sum = 0;
        for (int e = lane; e < rule.nExpert; e += kWarp)
            sum += expf(loadShared(logits + e) - largest);
        sum = warpSum(sum);
    }
    if (lane == 0) {
        for (int k = 0; k < rule.topK; ++k) weights[k] /= sum;
    }
}

}  // namespace moescope::cuda
