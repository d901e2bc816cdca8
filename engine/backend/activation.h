// SPDX-License-Identifier: Apache-2.0
// The gated activations, one element at a time. T is float or double.
#pragma once

#include <algorithm>
#include <cmath>

#include "engine/model/spec.h"

namespace moescope {

template <typename T>
T silu(T x) {
    return x / (T{1} + std::exp(-x));
}

/// The tanh approximation ("gelu_new"): Hendrycks and Gimpel, arXiv 1606.08415.
template <typename T>
T geluTanh(T x) {
    constexpr T kSqrtTwoOverPi = T(0.79788456080286535588);
    return T(0.5) * x * (T{1} + std::tanh(kSqrtTwoOverPi * (x + T(0.044715) * x * x * x)));
}

/// gpt-oss: the gate is clamped from above only, the linear part on both sides and shifted by one.
template <typename T>
T gptOssSwiGlu(T gate, T up, T alpha, T limit) {
    const T g = std::min(gate, limit);
    const T u = std::clamp(up, -limit, limit);
    return g / (T{1} + std::exp(-alpha * g)) * (u + T{1});
}

template <typename T>
T gatedActivation(const ModelSpec& spec, T gate, T up) {
    switch (spec.activation) {
        case Activation::Silu:
            return silu(gate) * up;
        case Activation::GeluTanh:
            return geluTanh(gate) * up;
        case Activation::GptOssSwiGlu:
            break;
    }
    return gptOssSwiGlu(gate, up, T(spec.swigluAlpha), T(spec.swigluLimit));
}

/// Activation of an MLP without a gate.
template <typename T>
T plainActivation(const ModelSpec& spec, T x) {
    return spec.activation == Activation::Silu ? silu(x) : geluTanh(x);
}

}  // namespace moescope
