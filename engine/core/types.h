// SPDX-License-Identifier: Apache-2.0
// Small vocabulary types shared by every module.
#pragma once

#include <cstdint>

namespace moescope {

using TokenId = std::int32_t;

/// Precision of activations inside matrix products; sums are float32 in both. `Exact`, the default
/// for evaluation: float32, or what the widest instructions offer in its place. For quantised
/// weights that is 16-bit integers with a float32 scale per 32 columns (relative error of a hidden
/// state about 2e-4), for BF16 weights a pair of bf16 numbers (within 2^-17). `Fast`: 8-bit
/// integers (lossy), for back ends that offer it.
enum class Numerics : std::uint8_t { Exact, Fast };

/// Amount of hidden reasoning asked of a harmony model.
enum class ReasoningEffort : std::uint8_t { Low, Medium, High };

}  // namespace moescope
