// SPDX-License-Identifier: Apache-2.0
// The activations of engine/backend/activation.h in float32 on the device. A NaN stays one: minimum
// and maximum on a device drop it, and with it the sign that a weight or a hidden state was spoilt.
#pragma once

#include "engine/backend/cuda/simt.h"
#include "engine/model/spec.h"

namespace moescope::cuda {

/// SiLU or tanh-GELU of one number.
__device__ __forceinline__ float activated(Activation kind, float x) {
    if (kind == Activation::Silu) return x / (1.0F + expf(-x));
    constexpr float kSqrtTwoOverPi = 0.79788456080286535588F;
    return 0.5F * x * (1.0F + tanhf(kSqrtTwoOverPi * (x + 0.044715F * x * x * x)));
}

__device__ __forceinline__ float gatedActivated(Activation kind, float alpha, float limit,
                                                float gate, float up) {
    if (kind != Activation::GptOssSwiGlu) return activated(kind, gate) * up;
    const float g = gate > limit ? limit : gate;
    const float u = up > limit ? limit : up < -limit ? -limit : up;
    return g / (1.0F + expf(-alpha * g)) * (u + 1.0F);
}

}  // namespace moescope::cuda
