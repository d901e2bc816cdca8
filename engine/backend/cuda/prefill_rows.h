// SPDX-License-Identifier: Apache-2.0
// What a step of many tokens does between its matrix products, row by row.
#pragma once

#include "engine/backend/cuda/decode.h"
#include "engine/backend/cuda/prefill.h"

namespace moescope::cuda {

/// out = norm(in) in operand order, padding zeroed.
struct NormToOperand {
    const float* in = nullptr;  // (rows, width)
    NormWeights norm;
    std::int32_t rows = 0, width = 0;
    OperandRows out;
};
void normToOperand(const NormToOperand& n, cudaStream_t stream);

/// out = activation(in) in operand order: an MLP without a gate.
struct ActivateRows {
    const float* in = nullptr;  // (rows, width)
    Activation activation = Activation::Silu;
    std::int32_t rows = 0, width = 0;
    OperandRows out;
};
void activateRows(const ActivateRows& a, cudaStream_t stream);

/// The router's choice for every token.
struct ChooseExperts {
    const float* logits = nullptr;  // (n_tokens, n_expert)
    RouterRule rule;
    std::int32_t tokens = 0;
    std::int32_t* experts = nullptr;  // (n_tokens, top_k)
    float* weights = nullptr;         // (n_tokens, top_k)
};
void chooseExperts(const ChooseExperts& c, cudaStream_t stream);

/// The router of many tokens: norm, logits = w norm(hidden) + bias, choice. The products keep 16
/// bits of mantissa of the normalised tokens, whatever the numerics. weights.cols is the tokens'
/// width.
struct RouteTokens {
    const float* hidden = nullptr;  // (n_tokens, width)
    NormWeights norm;
    DeviceMatrix weights;         // (n_expert, width)
    const float* bias = nullptr;  // (n_expert), or null
    RouterRule rule;
    std::int32_t tokens = 0, width = 0;
    OperandRows normed;               ///< receives norm(hidden), padding zeroed
    std::int32_t* experts = nullptr;  // (n_tokens, top_k)
    float* gateWeights = nullptr;     // (n_tokens, top_k)
};
/// weights: as routesTokens takes them.
void routeTokens(const RouteTokens& r, int multiprocessors, cudaStream_t stream);
/// Whether there is code for a router of this format and width.
bool routesTokens(const DeviceMatrix& weights) noexcept;

/// out (+)= sum over a token's slots of weight times product.
struct CombineExperts {
    const float* products = nullptr;  // (n_tokens * top_k, width)
    const float* weights = nullptr;   // (n_tokens, top_k)
    std::int32_t tokens = 0, topK = 0, width = 0;
    float* out = nullptr;  // (n_tokens, width)
    bool add = true;
};
void combineExperts(const CombineExperts& c, cudaStream_t stream);

/// out row i = in row rows[i].
struct GatherRows {
    const float* in = nullptr;           // (any, width)
    const std::int32_t* rows = nullptr;  // (count)
    std::int32_t count = 0, width = 0;
    float* out = nullptr;  // (count, width)
};
void gatherRows(const GatherRows& g, cudaStream_t stream);

}  // namespace moescope::cuda
