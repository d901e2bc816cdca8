// SPDX-License-Identifier: Apache-2.0
// Scores continuations: the tokens that all of them share are evaluated once, then the cache is
// rewound for each.
#include "evals/engine_model.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace moescope {

namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

int contextFor(const Model& model, int wanted) {
    const int own = model.spec().contextLength;
    return own > 0 ? std::min(own, wanted) : wanted;
}

/// Length of the longest prefix common to all, never beyond the first scored token's predecessor.
std::size_t sharedPrefix(const std::vector<TokenPair>& pairs) {
    std::size_t shared = pairs[0].split;
    for (const TokenPair& pair : pairs) {
        shared = std::min(shared, pair.split);
        const auto differs = std::mismatch(
            pair.tokens.begin(), pair.tokens.begin() + static_cast<std::ptrdiff_t>(shared),
            pairs[0].tokens.begin());
        shared = static_cast<std::size_t>(differs.first - pair.tokens.begin());
    }
    return shared;
}

void addToken(ContinuationScore& score, std::span<const float> logits, TokenId token) {
    const TokenLikelihood likelihood = tokenLikelihood(logits, token);
    score.logLikelihood += likelihood.logProbability;
    score.greedy = score.greedy && likelihood.greedy;
    ++score.tokens;
}

}  // namespace

TokenPair encodePair(const Tokenizer& tokenizer, std::string_view prompt,
                     std::string_view continuation) {
    const std::size_t kept = prompt.find_last_not_of(kWhiteSpace) + 1;  // npos + 1 is 0
    const std::string_view context = prompt.substr(0, kept);
    const std::string whole = std::string(prompt) + std::string(continuation);
    TokenPair pair;
    if (context.empty() || tokenizer.addBos()) {
        if (tokenizer.bos().has_value())
            pair.tokens.push_back(*tokenizer.bos());
        else if (!tokenizer.endOfText().empty())
            pair.tokens.push_back(tokenizer.endOfText().front());
    }
    pair.split = pair.tokens.size();
    if (!context.empty()) pair.split += tokenizer.encode(context, SpecialTokens::AsText).size();
    const std::vector<TokenId> body = tokenizer.encode(whole, SpecialTokens::AsText);
    pair.tokens.insert(pair.tokens.end(), body.begin(), body.end());
    if (pair.tokens.size() < 2)
        throw Error("'" + whole + "': too short to score with a tokenizer that has no first token");
    // A merge across the border can swallow the continuation; its last token is scored at least.
    pair.split = std::clamp<std::size_t>(pair.split, 1, pair.tokens.size() - 1);
    return pair;
}

EngineModel::EngineModel(const Model& model, const EngineModelOptions& options)
    : model_(model),
      options_(options),
      chat_(chatFormatFor(model.tokenizer())),
      session_(model, contextFor(model, options.maxContext)) {
    session_.setTrace(options.trace);
    session_.setRouting(options.routing);
}

EngineModel::~EngineModel() = default;

nlohmann::json EngineModel::identity() const {
    nlohmann::json identity = {
        {"checkpoint", model_.checkpoint().identity()},
        {"architecture", model_.spec().architecture},
        {"name", model_.spec().name},
        {"backend", model_.backend().description()},
        {"max_context", session_.maxContext()},
    };
    if (options_.extraIdentity.is_object()) identity.update(options_.extraIdentity);
    return identity;
}

std::vector<TokenPair> EngineModel::encode(const ScoreRequest& request) const {
    std::vector<TokenPair> pairs;
    std::vector<TokenId> rendered;
    if (request.chat) {
        if (!chat_) throw Error("the model has no chat format", "leave out --chat");
        const ChatMessage message{Role::User, std::string(request.prompt), {}, {}, {}, {}};
        ChatOptions options;
        options.reasoning = options_.reasoning;
        options.forcedChannel = "final";
        rendered = chat_->render({&message, 1}, options);
    }
    for (const std::string& continuation : request.continuations) {
        if (!request.chat) {
            pairs.push_back(encodePair(model_.tokenizer(), request.prompt, continuation));
            continue;
        }
        TokenPair pair{rendered, rendered.size()};
        const auto reply = model_.tokenizer().encode(continuation, SpecialTokens::AsText);
        pair.tokens.insert(pair.tokens.end(), reply.begin(), reply.end());
        pairs.push_back(std::move(pair));
    }
    return pairs;
}

ContinuationScore EngineModel::scoreRest(const TokenPair& pair, std::size_t shared) {
    ContinuationScore score;
    score.greedy = true;
    if (shared == pair.split) addToken(score, sharedLogits_, pair.tokens[shared]);
    const std::span<const TokenId> rest(pair.tokens.data() + shared,
                                        pair.tokens.size() - shared - 1);
    if (rest.empty()) return score;
    session_.append(rest, [&](int i, std::span<const float> logits) {
        const std::size_t next = shared + static_cast<std::size_t>(i) + 1;
        if (next >= pair.split) addToken(score, logits, pair.tokens[next]);
    });
    return score;
}

/// Begins `sequence` with `prefix`, of which what the item before began with too is in the cache
/// already: worked examples and instructions are the same for thousands of items. Only a place that
/// was marked can be gone on from, so the second item of a kind marks where it parts from the
/// first. While operations are traced every item is evaluated whole: its time is what is asked for.
SessionMark EngineModel::appendPrefix(std::int64_t sequence, std::span<const TokenId> prefix) {
    // A mark copies the rings of sliding-window layers, which must be worth it.
    constexpr std::size_t kWorthMarking = 16;
    std::vector<SessionMark> marks = std::exchange(marks_, {});
    const std::vector<TokenId> cached = std::exchange(cached_, {});
    const auto differs = std::mismatch(prefix.begin(), prefix.end(), cached.begin(), cached.end());
    auto common = static_cast<std::size_t>(differs.first - prefix.begin());
    // The logits after the prefix are needed, so its last token is evaluated at any rate.
    common = traced_ || prefix.empty() ? 0 : std::min(common, prefix.size() - 1);
    while (!marks.empty() && static_cast<std::size_t>(marks.back().position()) > common)
        marks.pop_back();
    std::size_t at = 0;
    if (marks.empty()) {
        session_.beginSequence(sequence);
    } else {
        session_.beginSequence(sequence, marks.back());
        at = static_cast<std::size_t>(marks.back().position());
        reusedTokens_ += static_cast<std::int64_t>(at);
    }
    if (common - at >= kWorthMarking) {
        session_.append(prefix.subspan(at, common - at), StepKind::Prefill);
        marks.push_back(session_.mark());
        at = common;
    }
    if (at < prefix.size()) {
        const auto logits = session_.append(prefix.subspan(at), StepKind::Prefill);
        sharedLogits_.assign(logits.begin(), logits.end());
    }
    marks_ = std::move(marks);
    cached_.assign(prefix.begin(), prefix.end());
    return session_.mark();
}

ScoreResult EngineModel::score(const ScoreRequest& request) {
    ScoreResult result;
    const std::vector<TokenPair> pairs = encode(request);
    for (const TokenPair& pair : pairs) {
        // The last token is only predicted, never fed.
        const auto needed = static_cast<std::int64_t>(pair.tokens.size()) - 1;
        result.neededContext = std::max(result.neededContext, needed);
    }
    result.promptTokens = static_cast<std::int64_t>(pairs[0].split);
    if (result.neededContext > session_.maxContext()) {
        result.tooLong = true;
        return result;
    }
    const std::size_t shared = sharedPrefix(pairs);
    const SessionMark mark =
        appendPrefix(request.sequence, std::span(pairs[0].tokens).first(shared));
    result.evaluatedTokens = static_cast<std::int64_t>(shared);
    for (const TokenPair& pair : pairs) {
        if (session_.position() != mark.position()) session_.rewind(mark);
        result.continuations.push_back(scoreRest(pair, shared));
        result.evaluatedTokens += static_cast<std::int64_t>(pair.tokens.size() - shared - 1);
    }
    return result;
}

}  // namespace moescope
