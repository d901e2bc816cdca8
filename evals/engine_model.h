// SPDX-License-Identifier: Apache-2.0
// LanguageModel on the engine. How text becomes tokens decides the score, so it is fixed here:
//
// Plain prompts follow lm-evaluation-harness: white space at the end of the prompt moves to the
// continuation; prompt + continuation are encoded as one text and split after as many tokens as the
// prompt alone has. A beginning-of-sequence token is put first when the tokenizer asks for it, or
// when the prompt is empty (the first token of the text must be predicted from something); a model
// without one uses its end-of-text token, as lm-evaluation-harness does.
//
// Chat prompts are rendered as one user message; harmony prompts end inside the `final` channel and
// those of other formats behind an empty reasoning, so the score is one without reasoning. The
// reply is encoded on its own behind the control tokens.
//
// Replies that the model writes follow the same message without that end: it reasons as far as its
// format has it and the effort asks, and what it says in the format's reasoning is kept apart.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/run/sampler.h"
#include "engine/run/score.h"
#include "engine/run/session.h"
#include "engine/text/chat.h"
#include "evals/language_model.h"

namespace moescope {

struct EngineModelOptions {
    int maxContext = 4096;                                ///< cut to the model's own context length
    ReasoningEffort reasoning = ReasoningEffort::Medium;  ///< harmony chat prompts state it
    /// Log-likelihoods will be asked for: their memory is taken at once. Else only when they are.
    bool scores = true;
    /// Of replies. Each draws with a seed of its own, made of `sampling.seed` and its `draw`.
    SamplingOptions sampling{};
    int maxReplyTokens = 0;  ///< 0: what the context leaves
    int parallelReplies = 8;
    bool keepTokens = false;       ///< results hold the tokens of their items
    nlohmann::json extraIdentity;  ///< merged into identity(): numerics, target, ...
    TraceSink* trace = nullptr;
    RoutingSink* routing = nullptr;
};

/// Tokens of a prompt and one continuation; the first `split` are given, the rest are scored.
struct TokenPair {
    std::vector<TokenId> tokens;
    std::size_t split = 0;
};
/// The rule above, on its own for tests. `lead`: token put first when the prompt is empty (or by a
/// tokenizer that adds a beginning-of-sequence token). split is at least 1 and less than
/// tokens.size().
TokenPair encodePair(const Tokenizer& tokenizer, std::string_view prompt,
                     std::string_view continuation);

struct Generation;

class EngineModel final : public LanguageModel {
public:
    /// `model` must outlive this. Throws Error when a whole sequence does not fit into memory.
    EngineModel(const Model& model, const EngineModelOptions& options);
    ~EngineModel() override;

    /// Tokens that an item may have: the option's, cut to the model's own context length.
    int maxContext() const noexcept { return maxContext_; }
    nlohmann::json identity() const override;
    bool hasChatFormat() const override { return chat_ != nullptr; }
    void score(const Source& next, const Done& done) override;
    void reply(const ReplySource& next, const ReplyDone& done) override;
    /// One request on its own.
    ScoreResult score(const ScoreRequest& request);
    void setStop(const StopFlag* stop) override {
        stop_ = stop;
        if (scorer_) scorer_->setStop(stop);
    }
    /// Who is told of operations and routing from now on; either may be null.
    void observe(TraceSink* trace, RoutingSink* routing);
    /// Tokens that did not have to be evaluated because others began with them too.
    std::uint64_t reusedTokens() const noexcept { return scorer_ ? scorer_->shared() : 0; }

private:
    struct Pending;

    std::vector<TokenPair> encode(const ScoreRequest& request) const;
    ChatOptions chatOptions(std::string_view forcedChannel) const;
    std::vector<TokenId> rendered(std::string_view message, std::string_view forcedChannel) const;
    void keep(std::span<const TokenId> tokens, bool prompt, std::vector<ItemToken>& kept) const;
    BatchScorer& scorer();
    ReplyResult read(const Generation& generation, std::span<const TokenId> prompt) const;
    std::unique_ptr<Pending> prepare(const ScoreRequest& request) const;
    void evaluate(std::vector<std::unique_ptr<Pending>>& window, const Done& done);

    const Model& model_;
    EngineModelOptions options_;
    std::unique_ptr<ChatFormat> chat_;
    int maxContext_;
    std::unique_ptr<BatchScorer> scorer_;  ///< null until log-likelihoods are asked for
    TraceSink* trace_ = nullptr;
    RoutingSink* routing_ = nullptr;
    const StopFlag* stop_ = nullptr;
};

}  // namespace moescope
