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
#include "engine/run/logits.h"
#include "engine/text/tokenizer.h"
#include "engine/trace.h"

namespace moescope {

struct ModelOptions {
    std::string backend = "cpu";  ///< "cpu", "cuda" or "reference"
    CpuOptions cpu;
    CudaOptions cuda;
    ArchitectureOptions architecture;
};

/// Checkpoint, spec, weights, tokenizer and back end together. Immovable; sessions point into it.
class Model {
public:
    /// `name`: a path, "demo", "ollama:NAME[:TAG]", "hf:ORG/NAME" and the like: see resolveModel.
    /// Throws Error before loading when the model cannot fit into memory, with the sum shown.
    static std::unique_ptr<Model> load(const std::string& name, const ModelOptions& options = {});

    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    ~Model();

    const Checkpoint& checkpoint() const noexcept { return *checkpoint_; }
    const ModelSpec& spec() const noexcept { return bound_.spec; }
    const ModelWeights& weights() const noexcept { return bound_.weights; }
    bool hasTokenizer() const noexcept { return tokenizer_ != nullptr; }
    const Tokenizer& tokenizer() const;  ///< throws Error when the checkpoint carries none
    const Backend& backend() const noexcept { return *backend_; }
    std::uint64_t loadNanoseconds() const noexcept { return loadNs_; }

private:
    Model() = default;
    std::unique_ptr<Checkpoint> checkpoint_;
    BoundModel bound_;
    std::unique_ptr<Tokenizer> tokenizer_;
    std::unique_ptr<Backend> backend_;
    std::uint64_t loadNs_ = 0;
};

/// A place in one sequence of one session to come back to, any number of times, until the session
/// is rewound to before it or begins another sequence.
class SessionMark {
public:
    int position() const noexcept { return position_; }

private:
    friend class Session;
    std::unique_ptr<KvMark> cache_;
    int position_ = 0;
    std::uint64_t serial_ = 0;  ///< no two marks of the process share one
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
    void setTrace(TraceSink* sink);
    void setRouting(RoutingSink* sink) noexcept { routing_ = sink; }
    void setStop(const StopFlag* stop) noexcept { stop_ = stop; }
    TraceSink* trace() const noexcept {
        return trace_;
    }  ///< for operations between steps (sampling)

    /// Empties the cache; `id` labels what the sinks are told from now on.
    void beginSequence(std::int64_t id);
    /// The same, but keeps the tokens before `mark`, which the new sequence begins with too. The
    /// routing sink is told of them again, as one prefill; the trace sink is not: they take no
    /// time. Throws as rewind() does, and Error when there is a routing sink that was not there
    /// when they were evaluated.
    void beginSequence(std::int64_t id, const SessionMark& mark);

    /// Hidden state of the current step's tokens after its latest operation: (n_tokens, d_model)
    /// float32. For sinks that compare models layer by layer; valid until the next operation.
    std::span<const float> hidden() const { return backend_.hidden(*state_); }

    int position() const noexcept { return position_; }
    int maxContext() const noexcept { return maxContext_; }

    /// Appends tokens in chunks of maxBatch and returns the logits of the last: (vocab) float32,
    /// valid until the next call. `kind` is what the sinks are told; unless stated, one token is a
    /// decode step and more are a prefill. Throws Error when the context is full or a token id is
    /// out of range, Interrupted when stopped between chunks.
    ///
    /// After anything thrown the session is usable, and position() counts what the cache holds:
    /// all chunks before the one that failed, and that one too when its layers were done, so when a
    /// visitor or the sink's stepEnd threw. Rewind to a mark, or begin a sequence, to undo them.
    std::span<const float> append(std::span<const TokenId> tokens,
                                  std::optional<StepKind> kind = std::nullopt);

    /// The same, calling `visit(i, logits)` for every token i in [0, n). Given tokens are scored
    /// this way, so that even one of them is a prefill unless stated otherwise.
    void append(std::span<const TokenId> tokens,
                const std::function<void(int, std::span<const float>)>& visit,
                StepKind kind = StepKind::Prefill);

    /// Appends `first` and then, count times in all, the token with the largest logit of the step
    /// before. Returns the tokens chosen, of which the last is not yet in the cache. Without sinks
    /// a back end that can goes on from token to token by itself. Throws as append does.
    std::vector<TokenId> appendGreedy(TokenId first, int count);

    /// Position to come back to: evaluate a shared prefix once, then rewind for each continuation.
    SessionMark mark();
    /// Throws Error for a mark of another session or sequence, and for one later than a position
    /// that was rewound to since: the cache no longer holds what it marks.
    void rewind(const SessionMark& mark);

private:
    using Visit = std::function<void(int, std::span<const float>)>;
    void run(std::span<const TokenId> tokens, const Visit* visit, StepKind kind);
    void checkTokens(std::span<const TokenId> tokens) const;
    bool wholeStep(std::span<const TokenId> tokens, const StepInfo& info);
    void layers(std::span<const TokenId> tokens, const StepInfo& info);
    void layer(int index, const StepInfo& info);
    void head(int first, int count);
    void keepRouting(int layer, const StepInfo& info, const RoutingView& chosen);
    void visitRows(int tokens, int offset, const Visit& visit);
    template <typename Operation>
    void traced(Op op, int layer, const Operation& operation);

    const Backend& backend_;
    std::unique_ptr<BackendState> state_;
    TraceSink* trace_ = nullptr;
    RoutingSink* routing_ = nullptr;
    const StopFlag* stop_ = nullptr;
    std::int64_t sequence_ = 0;
    int position_ = 0;
    int maxContext_ = 0;
    int maxBatch_ = 0;
    /// Marks that can be rewound to, by position.
    struct LiveMark {
        int position;
        std::uint64_t serial;
    };
    std::vector<LiveMark> liveMarks_;
    /// What the router chose for the tokens in the cache, while there is a sink for it.
    struct LayerRouting {
        std::vector<std::int32_t> experts;  // (routed positions, top_k)
        std::vector<float> weights;         // (routed positions, top_k)
    };
    std::vector<LayerRouting> routed_;  // (n_layer); empty ones for layers without experts
    int routedPositions_ = 0;           // from the first on, of all layers
    std::vector<float> logits_;         // (rows of the latest head call, vocab)
};

}  // namespace moescope
