// SPDX-License-Identifier: Apache-2.0
// Bytes and flops of each operation, counted from the model and not from a kernel: every back end
// reports the same work for the same step, so that their GB/s and GFLOP/s compare.
//
// Bytes: weights that must be read once (each chosen expert once, however many tokens chose it) and
// keys and values read or written. Activations stay in cache and are not counted. Flops: a
// multiply-add is two; norms, RoPE, softmax and activations are not counted.
#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/backend.h"
#include "engine/model/spec.h"
#include "engine/trace.h"

namespace moescope {

/// Bytes of one matrix of the stack (or of the vector) as stored, scales included.
std::uint64_t matrixBytes(const TensorView& t) noexcept;

/// The step whose work is counted. Keys and values that several runs begin with are read by each.
struct StepShape {
    int tokens = 0;
    std::span<const StepRun> runs{};
    int kvElementBytes = 4;  ///< size of one cached key or value element
};

OpWork embedWork(const ModelSpec& spec, const ModelWeights& weights,
                 const StepShape& step) noexcept;
OpWork attentionInputWork(const ModelSpec& spec, const LayerWeights& layer,
                          const StepShape& step) noexcept;
OpWork attentionWork(const ModelSpec& spec, const LayerSpec& layer, const StepShape& step) noexcept;
OpWork attentionOutputWork(const LayerWeights& layer, const StepShape& step) noexcept;
OpWork routeWork(const LayerWeights& layer, const StepShape& step) noexcept;
/// experts: (n_tokens, top_k) int32 as routed.
OpWork expertsWork(const ModelSpec& spec, const LayerWeights& layer, const StepShape& step,
                   std::span<const std::int32_t> experts);
OpWork mlpWork(const LayerWeights& layer, const StepShape& step) noexcept;
/// rows: tokens whose logits are computed.
OpWork headWork(const ModelWeights& weights, int rows) noexcept;
/// The choice of a token from each row of logits, which are read.
OpWork choiceWork(const ModelSpec& spec, int rows) noexcept;

}  // namespace moescope
