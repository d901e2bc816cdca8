// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/llama_cpp.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace moescope {
namespace {

bool hasBiases(const BoundModel& model) {
    constexpr std::array kBiases{&LayerWeights::qBias,    &LayerWeights::kBias,
                                 &LayerWeights::vBias,    &LayerWeights::oBias,
                                 &LayerWeights::gateBias, &LayerWeights::upBias,
                                 &LayerWeights::downBias};
    return std::any_of(
        model.weights.layers.begin(), model.weights.layers.end(), [&](const LayerWeights& layer) {
            return std::any_of(kBiases.begin(), kBiases.end(),
                               [&](const auto bias) { return !(layer.*bias).empty(); });
        });
}

bool tiesHead(const BoundModel& model) {
    return model.spec.tiedHead;
}

/// llama.cpp scales by the width of a head, or for the 27B, known by its layers, by its own rule.
bool scalesQueries(const BoundModel& model) {
    constexpr int kLayersOf27B = 62;
    const ModelSpec& spec = model.spec;
    return spec.nLayer != kLayersOf27B && spec.attentionScale > 0.0F &&
           std::abs(spec.attentionScale * std::sqrt(static_cast<float>(spec.headDim)) - 1.0F) >
               1e-6F;
}

bool slides(const BoundModel& model) {
    return model.spec.layers.front().window > 0;
}

struct Gap {
    const char* architecture;
    bool (*applies)(const BoundModel&);
    const char* sentence;
};
constexpr const char* kBiases =
    "llama.cpp does not load this file: it has no code for biases of this architecture";
constexpr const char* kWindow =
    "llama.cpp computes something else with this file: it ignores the sliding window of Mistral";
constexpr std::array kGaps{
    Gap{"mistral", slides, kWindow},
    Gap{"mixtral", slides, kWindow},
    Gap{"qwen3", hasBiases, kBiases},
    Gap{"olmo2", hasBiases, kBiases},
    Gap{"olmo3", hasBiases, kBiases},
    Gap{"gemma3", hasBiases, kBiases},
    Gap{"olmoe", tiesHead,
        "llama.cpp does not load this file: it has no code for an OLMoE whose head is its "
        "embedding"},
    Gap{"gemma3", scalesQueries,
        "llama.cpp computes something else with this file: it ignores the query_pre_attn_scalar of "
        "Gemma 3"},
};

}  // namespace

std::string llamaCppGap(const BoundModel& model) {
    for (const Gap& gap : kGaps)
        if (model.spec.architecture == gap.architecture && gap.applies(model)) return gap.sentence;
    return {};
}

}  // namespace moescope
