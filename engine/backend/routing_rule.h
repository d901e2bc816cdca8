// SPDX-License-Identifier: Apache-2.0
// From router logits to chosen experts and gate weights: the same code for every CPU-side back end,
// so that a difference between back ends is a difference of logits.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/model/spec.h"

namespace moescope {

/// Ids of the largest logits, largest first; ties go to the lower id.
/// logits: (n_expert) f32; experts: (top_k) int32, top_k <= n_expert.
inline void topKExperts(std::span<const float> logits, std::span<std::int32_t> experts) noexcept {
    const std::size_t k = experts.size();
    assert(k <= logits.size());
    std::size_t filled = 0;
    for (std::size_t e = 0; e < logits.size(); ++e) {
        if (filled == k && !(logits[e] > logits[static_cast<std::size_t>(experts[k - 1])]))
            continue;
        std::size_t place = filled < k ? filled++ : k - 1;
        while (place > 0 && logits[e] > logits[static_cast<std::size_t>(experts[place - 1])]) {
            experts[place] = experts[place - 1];
            --place;
        }
        experts[place] = static_cast<std::int32_t>(e);
    }
}

/// logits: (n_expert) f32; experts, weights: (top_k), written largest first.
inline void chooseExperts(RoutingRule rule, std::span<const float> logits,
                          std::span<std::int32_t> experts, std::span<float> weights) noexcept {
    assert(experts.size() == weights.size() && !experts.empty());
    topKExperts(logits, experts);
    const auto logit = [&](std::int32_t e) {
        return static_cast<double>(logits[static_cast<std::size_t>(e)]);
    };
    const double largest = logit(experts[0]);
    // Softmax over all experts followed by renormalising the chosen ones equals softmax over the
    // chosen ones, so only SoftmaxThenTopK needs the sum over all.
    double sum = 0.0;
    if (rule == RoutingRule::SoftmaxThenTopK) {
        for (const float g : logits) sum += std::exp(static_cast<double>(g) - largest);
    } else {
        for (const std::int32_t e : experts) sum += std::exp(logit(e) - largest);
    }
    for (std::size_t i = 0; i < experts.size(); ++i) {
        weights[i] = static_cast<float>(std::exp(logit(experts[i]) - largest) / sum);
    }
}

}  // namespace moescope
