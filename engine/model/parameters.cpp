// SPDX-License-Identifier: Apache-2.0
// Parameter counts in the convention of the gpt-oss model card.
#include "engine/model/spec.h"

namespace moescope {
namespace {

std::uint64_t size(const TensorView& t) {
    return t.empty() ? 0 : static_cast<std::uint64_t>(t.elements());
}

template <typename... Views>
std::uint64_t sizes(const Views&... views) {
    return (size(views) + ...);
}

}  // namespace

ParameterCount countParameters(const ModelSpec& spec, const ModelWeights& weights) {
    ParameterCount count;
    std::uint64_t idleExperts = 0;
    for (const LayerWeights& l : weights.layers) {
        count.attention += sizes(l.attnNorm, l.attnNormBias, l.q, l.k, l.v, l.qBias, l.kBias,
                                 l.vBias, l.qNorm, l.kNorm, l.sinks, l.o, l.oBias, l.postAttnNorm);
        const std::uint64_t feedForward =
            sizes(l.gate, l.up, l.down, l.gateBias, l.upBias, l.downBias);
        count.mlp +=
            feedForward + sizes(l.ffnNorm, l.ffnNormBias, l.router, l.routerBias, l.postFfnNorm);
        if (spec.nExpert > 0 && !l.router.empty()) {
            const auto experts = static_cast<std::uint64_t>(spec.nExpert);
            idleExperts +=
                feedForward / experts * (experts - static_cast<std::uint64_t>(spec.topK));
        }
    }
    const std::uint64_t outputNorm = sizes(weights.outputNorm, weights.outputNormBias);
    count.embedding =
        sizes(weights.embedding, weights.positions) + (spec.tiedHead ? 0 : size(weights.head));
    count.total = count.attention + count.mlp + count.embedding + outputNorm;
    count.active = count.attention + count.mlp - idleExperts + outputNorm + size(weights.head);
    return count;
}

}  // namespace moescope
