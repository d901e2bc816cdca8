// SPDX-License-Identifier: Apache-2.0
// What the engine tells its observers. Implemented by the profiler; the engine only calls.
//
// Scopes nest: run > sequence > step (prefill chunk or decoded token) > layer > operation > kernel.
// Both sinks are null by default; the cost when null is one branch per operation.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/core/types.h"

namespace moescope {

/// The coarse operations of the one forward pass, in execution order within a layer.
enum class Op : std::uint8_t {
    Embed,            ///< token ids -> hidden states
    AttentionInput,   ///< norm + QKV projection + RoPE + KV-cache write
    Attention,        ///< scores, softmax (with sinks), weighted values
    AttentionOutput,  ///< output projection + residual
    Router,           ///< norm + router logits + top-k
    Experts,          ///< routed experts + residual
    Mlp,              ///< norm + dense feed-forward + residual (models without experts)
    Head,             ///< final norm + unembedding
    Sample,           ///< logits -> next token
};
inline constexpr int kOpCount = 9;

/// Stable lower-case identifier used in run files and exports ("attention_input", ...).
std::string_view opName(Op op) noexcept;

enum class StepKind : std::uint8_t { Prefill, Decode };

struct StepInfo {
    std::int64_t sequence = 0;  ///< id given to Session::beginSequence
    StepKind kind = StepKind::Prefill;
    std::int32_t firstPosition = 0;
    std::int32_t tokens = 0;  ///< tokens evaluated together in this step
};

/// Work done by one operation. Bytes are the weights and cache that must be read (each expert that
/// at least one token chose is counted once); flops count a multiply-add as two.
struct OpWork {
    std::uint64_t bytes = 0;
    std::uint64_t flops = 0;
    std::int32_t threads = 1;
    std::string_view kernel{};  ///< name of the implementing kernel, static storage; may be empty
};

/// Calls arrive on the thread that drives the session, properly nested, begin before end. The sink
/// takes its own time stamps. Must not throw from opBegin/opEnd and must not allocate there.
class TraceSink {
public:
    virtual ~TraceSink() = default;
    virtual void stepBegin(const StepInfo& step) = 0;
    virtual void stepEnd() = 0;
    virtual void opBegin(Op op, int layer) = 0;  ///< layer is -1 outside the layers
    virtual void opEnd(const OpWork& work) = 0;
    /// True: a step of one token may go to a device as one submission, which announces only its
    /// first and last operation here; a LaunchSink hears of the others.
    virtual bool takesWholeSteps() const noexcept { return false; }
};

/// One call per MoE layer and step.
class RoutingSink {
public:
    virtual ~RoutingSink() = default;
    /// experts, weights: (n_tokens, top_k), int32 and float32, in gate order (largest first);
    /// weights are what the experts' outputs are multiplied with: those of a token sum to 1 for
    /// gpt-oss, Mixtral and a renormalising Qwen3-MoE or OLMoE, else to less. Valid only during the
    /// call.
    virtual void onRouting(const StepInfo& step, int layer, int topK,
                           std::span<const std::int32_t> experts,
                           std::span<const float> weights) = 0;
};

}  // namespace moescope
