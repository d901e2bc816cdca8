// SPDX-License-Identifier: Apache-2.0
// A model loaded and ready, and a session that evaluates tokens with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/interrupt.h"
#include "engine/formats/checkpoint.h"
#include "engine/model/spec.h"
#include "engine/run/forward_pass.h"
#include "engine/run/logits.h"
#include "engine/text/tokenizer.h"
#include "engine/trace.h"

namespace moescope {

struct ModelOptions {
    std::string backend = "cpu";  ///< "cpu", "cuda" or "reference"
    CpuOptions cpu;
    CudaOptions cuda;
    ArchitectureOptions architecture;
    const StopFlag* stop = nullptr;  ///< polled while loading, which throws Interrupted then
};

/// Checkpoint, spec, weights, tokenizer and back end together. Immovable; sessions point into it.
class Model {
public:
    /// Looks at a model that has everything but its back end; may throw to load no further.
    using Check = std::function<void(const Model&)>;

    /// `name`: a path, "demo", "ollama:NAME[:TAG]", "hf:ORG/NAME" and the like: see resolveModel.
    /// Throws Error before loading when the model cannot fit into memory, with the sum shown.
    /// `check` is called before the expensive part, so that what is to be evaluated can be refused
    /// without waiting for it; the model is where it stays, but backend() may not be called yet.
    static std::unique_ptr<Model> load(const std::string& name, const ModelOptions& options = {},
                                       const Check& check = {});
    /// The same of a checkpoint that is open.
    static std::unique_ptr<Model> load(std::unique_ptr<Checkpoint> checkpoint,
                                       const ModelOptions& options = {}, const Check& check = {});

    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    ~Model();

    const Checkpoint& checkpoint() const noexcept { return *checkpoint_; }
    const ModelSpec& spec() const noexcept { return bound_.spec; }
    const ModelWeights& weights() const noexcept { return bound_.weights; }
    const BoundModel& bound() const noexcept { return bound_; }
    bool hasTokenizer() const noexcept { return tokenizer_ != nullptr; }
    const Tokenizer& tokenizer() const;  ///< throws Error when the checkpoint carries none
    const Backend& backend() const noexcept { return *backend_; }
    std::uint64_t loadNanoseconds() const noexcept { return loadNs_; }  ///< without the check

private:
    Model() = default;
    std::unique_ptr<Checkpoint> checkpoint_;
    BoundModel bound_;
    std::unique_ptr<Tokenizer> tokenizer_;
    std::unique_ptr<Backend> backend_;
    std::uint64_t loadNs_ = 0;
};

/// One token stream with its KV cache. Not thread-safe; one session runs at a time per Model.
class Session {
public:
    static constexpr int kDefaultBatch = 512;  ///< tokens per prefill step

    /// Sizes the cache for maxContext tokens and refuses (Error) what does not fit into memory.
    /// maxBatch 0: as many tokens a prefill step as the back end prefers.
    Session(const Model& model, int maxContext, int maxBatch = 0);
    /// A session on a bare back end (tests).
    Session(const Backend& backend, int maxContext, int maxBatch = 0);
    ~Session();

    /// With a sink every operation is evaluated by itself, so that it can be timed; without one,
    /// steps of one token go to the back end whole where it offers that.
    void setTrace(TraceSink* sink) { pass_.setTrace(sink); }
    void setRouting(RoutingSink* sink) noexcept { pass_.setRouting(sink); }
    void setLaunches(LaunchSink* sink) noexcept { pass_.setLaunches(sink); }
    void setStop(const StopFlag* stop) noexcept { stop_ = stop; }
    /// For operations between steps (sampling).
    TraceSink* trace() const noexcept { return pass_.trace(); }

    /// Evaluates the first chunk of `tokens` and a decode step, operation by operation, and empties
    /// the cache: what is measured next finds threads awake and memory and kernels touched. Call it
    /// before sinks are set; it leaves none. Throws as append does.
    void warmUp(std::span<const TokenId> tokens);

    /// Empties the cache; `id` labels what the sinks are told from now on.
    void beginSequence(std::int64_t id) noexcept;

    /// Hidden state of the current step's tokens after its latest operation: (n_tokens, d_model)
    /// float32. For sinks that compare models layer by layer; valid until the next operation.
    std::span<const float> hidden() const { return pass_.hidden(); }

    int position() const noexcept { return position_; }
    int maxContext() const noexcept { return pass_.maxContext(); }

    /// Appends tokens in chunks of maxBatch and returns the logits of the last: (vocab) float32,
    /// valid until the next call. `kind` is what the sinks are told; unless stated, one token is a
    /// decode step and more are a prefill. Throws Error when the context is full or a token id is
    /// out of range, Interrupted when stopped between chunks.
    ///
    /// After anything thrown the session is usable, and position() counts what the cache holds:
    /// all chunks before the one that failed, and that one too when its layers were done and their
    /// routing told of, so when a visitor or the sink's stepEnd threw.
    std::span<const float> append(std::span<const TokenId> tokens,
                                  std::optional<StepKind> kind = std::nullopt);

    /// The same, calling `visit(i, logits)` for every token i in [0, n). Given tokens are scored
    /// this way, so that even one of them is a prefill unless stated otherwise.
    void append(std::span<const TokenId> tokens,
                const std::function<void(int, std::span<const float>)>& visit,
                StepKind kind = StepKind::Prefill);

    /// Whether the back end keeps logits and chooses tokens itself.
    bool keepsLogits() const noexcept { return pass_.keepsLogits(); }
    /// As append, and chooses what follows, where the logits are: they do not come here. Only where
    /// keepsLogits(). Throws notFinite() as well.
    TokenChoice append(std::span<const TokenId> tokens, StepKind kind, const TokenRule& rule);

    /// Appends `first` and then, count times in all, the token with the largest logit of the step
    /// before. Returns the tokens chosen, of which the last is not yet in the cache. Without sinks
    /// a back end that can goes on from token to token by itself. Throws as append does, and
    /// notFinite(), which such a back end may notice some tokens later: position() counts them.
    std::vector<TokenId> appendGreedy(TokenId first, int count);

private:
    using Visit = std::function<void(int, std::span<const float>)>;
    void run(std::span<const TokenId> tokens, StepKind kind, const Visit* visit,
             const TokenRule* rule);
    bool runWhole(const StepInfo& info, TokenId token, const TokenRule* rule);
    void checkTokens(std::span<const TokenId> tokens) const;
    void visitChunk(int tokens, int offset, const Visit& visit);

    ForwardPass pass_;
    std::shared_ptr<KvCache> cache_;
    const StopFlag* stop_ = nullptr;
    std::int64_t sequence_ = 0;
    int position_ = 0;
    std::span<const float> logits_;  ///< (vocab): of the latest step's last token
    TokenChoice choice_;             ///< or what was chosen from them
};

}  // namespace moescope
