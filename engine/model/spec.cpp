// SPDX-License-Identifier: Apache-2.0
#include "engine/model/spec.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/core/error.h"

namespace moescope {

int ModelSpec::expertLayers() const noexcept {
    return static_cast<int>(std::count_if(layers.begin(), layers.end(), [](const LayerSpec& layer) {
        return layer.mlp == MlpKind::Experts;
    }));
}

float ModelSpec::scale() const noexcept {
    if (attentionScale != 0.0F) return attentionScale;
    assert(headDim > 0);
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(headDim)));
}

void requireTokens(const ModelSpec& spec, std::span<const TokenId> tokens) {
    for (const TokenId id : tokens)
        if (id < 0 || id >= spec.vocab)
            throw Error("token id " + std::to_string(id) + " is outside the vocabulary of " +
                        std::to_string(spec.vocab));
}

}  // namespace moescope
