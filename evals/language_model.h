// SPDX-License-Identifier: Apache-2.0
// What scoring needs of a model. The engine's adapter is engine_model.h; tests use a stub.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/interrupt.h"

namespace moescope {

/// A token of an item, as the tokens of a run file say it.
struct ItemToken {
    std::int32_t id = 0;
    std::string bytes;
    bool prompt = true;
};

struct ScoreRequest {
    std::int64_t sequence = 0;  ///< label under which routing is recorded
    std::string_view prompt;    ///< may be empty: the continuations are whole texts
    std::span<const std::string> continuations;  ///< none empty
    bool chat = false;  ///< prompt is a user's message, continuations are replies
};

struct ContinuationScore {
    double logLikelihood = 0;  ///< natural log of P(continuation | prompt)
    std::int32_t tokens = 0;   ///< tokens summed over
    bool greedy = false;       ///< every token was the likeliest
};

struct ScoreResult {
    std::vector<ContinuationScore> continuations;  ///< in order; empty when tooLong
    /// Tokens of the item, a prefix that its continuations share counted once: the same whatever
    /// was scored before, also where a cache saved some of the work.
    std::int64_t evaluatedTokens = 0;
    std::int64_t promptTokens = 0;
    bool tooLong = false;            ///< did not fit the context; nothing was evaluated
    std::int64_t neededContext = 0;  ///< tokens of the longest prompt + continuation
    /// Its share of the steps that it was evaluated in, by tokens.
    std::int64_t durationNs = 0;
    /// Where the model was told to keep them: of the prompt, as far as it is that of all
    /// continuations.
    std::vector<ItemToken> tokens;
};

struct ReplyRequest {
    std::int64_t sequence = 0;  ///< label under which routing is recorded
    std::string_view prompt;    ///< a user's message
    std::uint64_t draw = 0;     ///< of drawn replies: with the run's seed it decides the draws
};

struct ReplyResult {
    std::string answer;     ///< what the model says to the reader; valid UTF-8
    std::string reasoning;  ///< what it says to itself, where its format keeps that apart
    std::int64_t promptTokens = 0;
    std::int64_t replyTokens = 0;      ///< generated, reasoning and control tokens among them
    std::int64_t reasoningTokens = 0;  ///< of those, the ones of the reasoning's text
    std::string finish;                ///< finishReasonName
    bool cutOff = false;               ///< it had more to say: the limit or the context ended it
    bool tooLong = false;              ///< the prompt left no room in the context
    std::int64_t neededContext = 0;    ///< tokens of the prompt, and one
    /// Its share of the steps that it was evaluated in, by tokens.
    std::int64_t durationNs = 0;
    std::vector<ItemToken> tokens;  ///< of prompt and reply, where the model was told to keep them
};

class LanguageModel {
public:
    virtual ~LanguageModel() = default;

    /// Everything about the model that changes its numbers: part of a run's identity for --resume.
    virtual nlohmann::json identity() const = 0;
    virtual bool hasChatFormat() const = 0;

    /// The next request, valid until its result has come; null: there are no more.
    using Source = std::function<const ScoreRequest*()>;
    using Done = std::function<void(const ScoreRequest&, ScoreResult&&)>;
    /// Scores all that `next` gives, many at a time; calls `done` for each as soon as it is
    /// complete, in whatever order, so that what is done is not lost. Throws Interrupted when
    /// `stop` is set while evaluating, Error for failures of the engine, what `next` and `done`
    /// throw.
    virtual void score(const Source& next, const Done& done) = 0;

    using ReplySource = std::function<const ReplyRequest*()>;
    using ReplyDone = std::function<void(const ReplyRequest&, ReplyResult&&)>;
    /// The same for replies that the model writes. Needs hasChatFormat(). A SequenceError names
    /// the request's `sequence`.
    virtual void reply(const ReplySource& next, const ReplyDone& done) = 0;
    virtual void setStop(const StopFlag* stop) = 0;
};

}  // namespace moescope
