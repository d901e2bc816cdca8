// SPDX-License-Identifier: Apache-2.0
// Small vocabulary types shared by every module.
#pragma once

#include <cstdint>

namespace moescope {

using TokenId = std::int32_t;

/// Precision of activations inside matrix products. `Exact`: bf16 or float32 activations, float32
/// sums, weights exact; the default for evaluation. `Fast`: int8 activations (lossy).
enum class Numerics : std::uint8_t { Exact, Fast };

/// Amount of hidden reasoning asked of a harmony model.
enum class ReasoningEffort : std::uint8_t { Low, Medium, High };

}  // namespace moescope
