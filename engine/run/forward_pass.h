// SPDX-License-Identifier: Apache-2.0
// The one forward pass: the order of operations within a step, and who is told. What belongs into a
// step is decided by Session (one sequence), BatchScorer and BatchGenerator (many).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/trace.h"

namespace moescope {

/// Not thread-safe; one runs at a time per back end. The back end must outlive it.
class ForwardPass {
public:
    /// Room for steps of maxBatch tokens (0: as many as the back end prefers) of sequences of
    /// maxContext. Throws Error for a context that the model has not, and when memory for the
    /// activations and the cache of one sequence is not there. wholeCaches: its sliding-window
    /// layers keep every token too, not only those that a step sees.
    ForwardPass(const Backend& backend, int maxContext, int maxBatch, bool wholeCaches = false);

    const Backend& backend() const noexcept { return backend_; }
    const ModelSpec& spec() const noexcept { return backend_.spec(); }
    int maxContext() const noexcept { return maxContext_; }
    int maxBatch() const noexcept { return maxBatch_; }
    /// Hidden state of the step's tokens after the latest operation: (n_tokens, d_model) float32.
    std::span<const float> hidden() const { return backend_.hidden(*state_); }

    /// With a sink every operation is evaluated by itself, so that it can be timed.
    void setTrace(TraceSink* sink);
    /// Is told of all tokens of a step at once, in their order.
    void setRouting(RoutingSink* sink) noexcept { routing_ = sink; }
    void setLaunches(LaunchSink* sink) noexcept { backend_.setLaunches(*state_, sink); }
    TraceSink* trace() const noexcept { return trace_; }
    RoutingSink* routing() const noexcept { return routing_; }

    /// Throws Error for an id that the model has not.
    void checkTokens(std::span<const TokenId> tokens) const;

    /// All layers of one step (see Backend::embed for tokens and runs), then `then`, which may ask
    /// for logits; for the sinks all of it is the step `info`.
    void step(const StepInfo& info, std::span<const TokenId> tokens, std::span<const StepRun> runs,
              const std::function<void()>& then);

    /// Of tokens of the current step, ascending: (rows, vocab), valid until the next call.
    std::span<const float> head(std::span<const std::int32_t> rows);
    /// The same in portions that fit into memory: visit(first, logits) with those of rows[first] to
    /// rows[first + logits.size() / vocab).
    void head(std::span<const std::int32_t> rows,
              const std::function<void(std::size_t, std::span<const float>)>& visit);

    /// Whether the back end keeps logits, which choose() and examine() ask of.
    bool keepsLogits() const noexcept { return backend_.keptRows(*state_) > 0; }
    /// Where keepsLogits(): the next tokens of tokens of the current step, ascending, chosen where
    /// their logits are.
    /// rules, out: (rows).
    void choose(std::span<const std::int32_t> rows, std::span<const TokenRule> rules,
                std::span<TokenChoice> out);
    /// Likewise, what the logits of these tokens of the step say. questions: ascending by their
    /// row, which is an index into `rows`; out: (questions).
    void examine(std::span<const std::int32_t> rows, std::span<const TokenQuestion> questions,
                 std::span<TokenAnswer> out);

    /// A step of one token as a whole, where the back end offers that and nobody times its
    /// operations on the host; empty: not so, and nothing was done. `then` is called when the cache
    /// holds the token, still inside the step.
    std::span<const float> wholeStep(const StepInfo& info, KvCache& cache, TokenId token,
                                     const std::function<void()>& then);
    /// The same, and the choice of the next; none: not so.
    std::optional<TokenChoice> wholeStep(const StepInfo& info, KvCache& cache, TokenId token,
                                         const TokenRule& rule, const std::function<void()>& then);
    /// See Backend::decodeGreedy. 0 while there are sinks.
    int greedy(KvCache& cache, TokenId first, int position, std::span<TokenId> out) const;

private:
    void layer(int index, const StepInfo& info);
    bool routingLater() const noexcept;
    void tellRouting(const StepInfo& info) const;
    bool takesWholeSteps() const noexcept;
    template <typename Ask>
    void keepLogits(std::span<const std::int32_t> rows, const Ask& ask);
    template <typename Fetch>
    void runWhole(const StepInfo& info, KvCache& cache, TokenId token, const TokenRule* rule,
                  const Fetch& fetch, const std::function<void()>& then);
    template <typename Operation>
    void traced(Op op, int layer, const Operation& operation);

    const Backend& backend_;
    int maxContext_;
    int maxBatch_;
    std::unique_ptr<BackendState> state_;
    TraceSink* trace_ = nullptr;
    RoutingSink* routing_ = nullptr;
    std::vector<float> logits_;  // (rows of the latest head call, vocab)
};

}  // namespace moescope
