// SPDX-License-Identifier: Apache-2.0
// Layers mostly share their RoPE: which distinct ones a model has, so that a back end keeps one
// table of angles for each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <vector>

#include "engine/model/spec.h"

namespace moescope {

inline bool sameRope(const RopeSpec& a, const RopeSpec& b) {
    const auto key = [](const RopeSpec& r) {
        return std::tie(r.theta, r.yarn, r.factor, r.betaFast, r.betaSlow, r.originalContext,
                        r.truncate, r.attentionFactor, r.divisors);
    };
    return key(a) == key(b);
}

/// Distinct RoPEs of a model (pointing into its spec), and which of them each layer uses.
struct RopePlan {
    std::vector<const RopeSpec*> distinct;
    std::vector<std::size_t> ofLayer;  // (n_layer)
};

inline RopePlan planRopes(const ModelSpec& spec) {
    RopePlan plan;
    for (const LayerSpec& layer : spec.layers) {
        const auto known =
            std::find_if(plan.distinct.begin(), plan.distinct.end(),
                         [&](const RopeSpec* r) { return sameRope(*r, layer.rope); });
        plan.ofLayer.push_back(static_cast<std::size_t>(known - plan.distinct.begin()));
        if (known == plan.distinct.end()) plan.distinct.push_back(&layer.rope);
    }
    return plan;
}

}  // namespace moescope
