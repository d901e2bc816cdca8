// SPDX-License-Identifier: Apache-2.0
// Matrix products and attention of many tokens at once (more than kDecodeTokens): weight tiles are
// decoded in registers and multiplied on the tensor cores.
#pragma once

#include <cstdint>

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/layout.h"
#include "engine/backend/cuda/operand_rows.h"
#include "engine/model/spec.h"

namespace moescope::cuda {

/// out = w x + bias, or out += the same. One matrix, every token.
struct Projection {
    DeviceMatrix weights;         // (rows, cols)
    OperandRows x;                // (n_tokens, cols)
    const float* bias = nullptr;  // (rows), or null
    std::int32_t tokens = 0;
    float* out = nullptr;  // (n_tokens, out_stride)
    std::int32_t outStride = 0;
    bool add = false;
};
void project(const Projection& p, cudaStream_t stream);

/// The choices of a step sorted by expert. A slot is token * top_k + place.
struct ExpertGroups {
    std::int32_t* offsets =
        nullptr;  // (n_expert + 1): slots of expert e are [offsets[e], offsets[e + 1])
    std::int32_t* slots = nullptr;  // (n_tokens * top_k), ascending within an expert
};
/// experts: (n_tokens, top_k). Deterministic.
void groupByExpert(const std::int32_t* experts, int tokens, int topK, int nExpert,
                   const ExpertGroups& groups, cudaStream_t stream);

/// First half of the experts (or of a dense gated MLP, with one expert, top_k 1): for the i-th slot
/// of `groups`, hidden row i = activation(gate x, up x) of the slot's token.
struct ExpertsUp {
    DeviceMatrix gateUp;  // stack (n_expert) of (2 ffn, d_model), rows gate 0, up 0, gate 1, ...
    const float* bias = nullptr;  // (n_expert, 2 ffn) in the same order, or null
    OperandRows x;                // (n_tokens, d_model)
    ExpertGroups groups;
    std::int32_t tokens = 0, topK = 0, nExpert = 0;
    Activation activation = Activation::Silu;
    float swigluAlpha = 0, swigluLimit = 0;
    OperandRows hidden;  // (n_tokens * top_k, ffn), order of the down matrix's format
    /// Room for x's rows in the order of the slots: (n_tokens * top_k, d_model), as x otherwise.
    /// Its contents are not for the caller.
    OperandRows sorted;
};
void expertsUp(const ExpertsUp& e, cudaStream_t stream);

/// Second half: products[slot] = down hidden + bias, not yet weighted.
struct ExpertsDown {
    DeviceMatrix down;            // stack (n_expert) of (d_model, ffn)
    const float* bias = nullptr;  // (n_expert, d_model), or null
    OperandRows hidden;           // (n_tokens * top_k, ffn)
    ExpertGroups groups;
    std::int32_t tokens = 0, topK = 0, nExpert = 0;
    float* products = nullptr;  // (n_tokens * top_k, d_model)
};
void expertsDown(const ExpertsDown& e, cudaStream_t stream);

/// Tokens [first, first + tokens) of a step, of one sequence from `position` on. Its cache holds
/// their keys and values already; position p lies in row p % rows.
struct PrefillRun {
    const std::uint16_t* keys = nullptr;    // (rows, n_kv_head * head_dim), half
    const std::uint16_t* values = nullptr;  // the same
    std::int32_t rows = 0;
    std::int32_t first = 0, tokens = 0, position = 0;
};
inline constexpr int kRunsOfLaunch = 64;

/// Causal attention of a step's tokens over the caches of their sequences in one layer. Sees
/// [max(0, p - window + 1), p]; window 0: all.
struct PrefillAttention {
    const float* queries = nullptr;  // (n_tokens, query_stride), heads of head_dim, rotated
    std::int32_t queryStride = 0;
    const float* sinks = nullptr;  // (n_head), or null
    std::int32_t window = 0;
    std::int32_t nHead = 0, nKvHead = 0, headDim = 0;
    float scale = 0;
    OperandRows out;            // (n_tokens, n_head * head_dim)
    std::int32_t runCount = 0;  ///< 1 to kRunsOfLaunch
    PrefillRun runs[kRunsOfLaunch];
};
void prefillAttention(const PrefillAttention& a, cudaStream_t stream);

}  // namespace moescope::cuda
