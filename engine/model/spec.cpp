// SPDX-License-Identifier: Apache-2.0
#include "engine/model/spec.h"

#include <cassert>
#include <cmath>

namespace moescope {

float ModelSpec::scale() const noexcept {
    if (attentionScale != 0.0F) return attentionScale;
    assert(headDim > 0);
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(headDim)));
}

}  // namespace moescope
