// SPDX-License-Identifier: Apache-2.0
// The few loops the reference back end is made of: float32 in and out, sums in double.
#pragma once

#include <cstdint>
#include <span>

#include "engine/formats/tensor.h"
#include "engine/model/spec.h"

namespace moescope::reference {

/// out[t] = matrix * in[t] (+ bias), for every token. Matrix `stackIndex` of `weights`, dequantised
/// row by row. in: (n_tokens, cols) f32; bias: (rows) f32 or empty; out: (n_tokens, rows) f32.
void multiply(const TensorView& weights, std::int64_t stackIndex, std::span<const float> bias,
              std::span<const float> in, std::span<float> out, int tokens);

/// One row of a float32 vector or bias stack; empty when `t` is.
std::span<const float> floats(const TensorView& t, std::int64_t row = 0);

/// in, out: (width) f32, may be the same; weight: (width) f32; bias: (width) f32 or empty.
void normalize(NormKind kind, float eps, std::span<const float> weight, std::span<const float> bias,
               std::span<const float> in, std::span<float> out);

/// Softmax attention of one query head over keys [first, last] of a ring cache.
struct HeadAttention {
    std::span<const float> query;   // (head_dim)
    const float* keys = nullptr;    // (cache_rows, row_width), offset to this head
    const float* values = nullptr;  // (cache_rows, row_width), offset to this head
    int cacheRows = 0;
    int rowWidth = 0;
    int first = 0;
    int last = 0;
    double scale = 1.0;
    const float* sink = nullptr;  ///< logit of the sink, unscaled; null when the model has none
};
/// out: (head_dim) f32
void attendHead(const HeadAttention& head, std::span<float> out);

}  // namespace moescope::reference
