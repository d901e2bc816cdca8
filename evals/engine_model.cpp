// SPDX-License-Identifier: Apache-2.0
// Turns requests into sequences of tokens, and windows of requests into calls of BatchScorer.
#include "evals/engine_model.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/split_mix.h"
#include "engine/run/generate_many.h"
#include "engine/run/sequence_error.h"

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

/// Steps that a window of requests fills about: enough that the last one, which is not full, does
/// not count, and few enough that memory for what has to be kept does not either.
constexpr std::size_t kWindowSteps = 8;

ContinuationScore scoreOf(const ScoreSequence& sequence, std::span<const TokenFinding> findings) {
    ContinuationScore score;
    score.greedy = true;
    for (std::size_t i = 0; i < findings.size(); ++i) {
        score.logLikelihood += findings[i].logProbability;
        score.greedy =
            score.greedy && findings[i].likeliest == sequence.tokens[sequence.reportFrom + i];
        ++score.tokens;
    }
    return score;
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
        else if (tokenizer.eos().has_value())
            pair.tokens.push_back(*tokenizer.eos());
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
      maxContext_(contextFor(model, options.maxContext)) {
    observe(options.trace, options.routing);
    if (options.scores) scorer();
}

EngineModel::~EngineModel() = default;

BatchScorer& EngineModel::scorer() {
    if (!scorer_) {
        scorer_ = std::make_unique<BatchScorer>(model_.backend(), maxContext_,
                                                BatchScorer::Options{.brief = true});
        scorer_->setStop(stop_);
        scorer_->setTrace(trace_);
        scorer_->setRouting(routing_);
    }
    return *scorer_;
}

nlohmann::json EngineModel::identity() const {
    nlohmann::json identity = {
        {"checkpoint", model_.checkpoint().identity()},
        {"architecture", model_.spec().architecture},
        {"name", model_.spec().name},
        {"backend", model_.backend().description()},
        {"max_context", maxContext_},
    };
    if (options_.extraIdentity.is_object()) identity.update(options_.extraIdentity);
    return identity;
}

std::vector<TokenId> EngineModel::rendered(std::string_view message,
                                           std::string_view forcedChannel) const {
    if (!chat_) throw Error("this model has no chat template", "leave out --chat");
    const ChatMessage user{Role::User, std::string(message), {}, {}, {}, {}};
    return chat_->render({&user, 1}, chatOptions(forcedChannel));
}

ChatOptions EngineModel::chatOptions(std::string_view forcedChannel) const {
    ChatOptions options;
    options.reasoning = options_.reasoning;
    options.forcedChannel = forcedChannel;
    return options;
}

std::vector<TokenPair> EngineModel::encode(const ScoreRequest& request) const {
    std::vector<TokenPair> pairs;
    std::vector<TokenId> message;
    if (request.chat) message = rendered(request.prompt, "final");
    for (const std::string& continuation : request.continuations) {
        if (!request.chat) {
            pairs.push_back(encodePair(model_.tokenizer(), request.prompt, continuation));
            continue;
        }
        TokenPair pair{message, message.size()};
        const auto reply = model_.tokenizer().encode(continuation, SpecialTokens::AsText);
        pair.tokens.insert(pair.tokens.end(), reply.begin(), reply.end());
        pairs.push_back(std::move(pair));
    }
    return pairs;
}

void EngineModel::observe(TraceSink* trace, RoutingSink* routing) {
    trace_ = trace;
    routing_ = routing;
    if (!scorer_) return;
    scorer_->setTrace(trace);
    scorer_->setRouting(routing);
}

/// A request on its way.
struct EngineModel::Pending {
    const ScoreRequest* request = nullptr;
    std::vector<ScoreSequence> sequences;  ///< one a continuation
    std::size_t missing = 0;               ///< continuations without a score
    ScoreResult result;
};

std::unique_ptr<EngineModel::Pending> EngineModel::prepare(const ScoreRequest& request) const {
    auto pending = std::make_unique<Pending>();
    pending->request = &request;
    ScoreResult& result = pending->result;
    const std::vector<TokenPair> pairs = encode(request);
    for (const TokenPair& pair : pairs) {
        // The last token is only predicted, never fed.
        const auto needed = static_cast<std::int64_t>(pair.tokens.size()) - 1;
        result.neededContext = std::max(result.neededContext, needed);
    }
    result.promptTokens = static_cast<std::int64_t>(pairs[0].split);
    result.tooLong = result.neededContext > maxContext_;
    if (result.tooLong) return pending;
    const std::size_t shared = sharedPrefix(pairs);
    keep(std::span(pairs[0].tokens).first(shared), true, result.tokens);
    result.evaluatedTokens = static_cast<std::int64_t>(shared);
    for (const TokenPair& pair : pairs) {
        // What all have in common is told of as part of the first.
        const std::size_t routedFrom = pending->sequences.empty() ? 0 : shared;
        result.evaluatedTokens += static_cast<std::int64_t>(pair.tokens.size() - shared - 1);
        pending->sequences.push_back({pair.tokens, pair.split, request.sequence, routedFrom});
    }
    pending->missing = pairs.size();
    result.continuations.resize(pairs.size());
    return pending;
}

void EngineModel::evaluate(std::vector<std::unique_ptr<Pending>>& window, const Done& done) {
    std::vector<ScoreSequence> sequences;
    std::vector<std::pair<Pending*, std::size_t>> owners;
    for (const auto& pending : window) {
        for (std::size_t c = 0; c < pending->sequences.size(); ++c) {
            sequences.push_back(std::move(pending->sequences[c]));
            owners.emplace_back(pending.get(), c);
        }
    }
    // While operations are timed every request is evaluated whole: its time is what is asked for.
    if (trace_ != nullptr) scorer().forget();
    scorer().score(sequences, [&](BatchScorer::Scored&& scored) {
        const auto [pending, continuation] = owners[scored.sequence];
        ScoreResult& result = pending->result;
        result.continuations[continuation] = scoreOf(sequences[scored.sequence], scored.findings);
        result.durationNs += scored.durationNs;
        if (--pending->missing == 0) done(*pending->request, std::move(result));
    });
    window.clear();
}

void EngineModel::score(const Source& next, const Done& done) {
    const std::size_t full =
        trace_ != nullptr ? 1 : kWindowSteps * static_cast<std::size_t>(scorer().maxBatch());
    std::vector<std::unique_ptr<Pending>> window;
    std::size_t tokens = 0;
    const ScoreSequence* before = nullptr;
    while (const ScoreRequest* request = next()) {
        std::unique_ptr<Pending> pending = prepare(*request);
        if (pending->result.tooLong) {
            done(*request, std::move(pending->result));
            continue;
        }
        // About what is to be evaluated: most of what requests have in common is with the one
        // before.
        tokens += static_cast<std::size_t>(pending->result.evaluatedTokens);
        const ScoreSequence& first = pending->sequences.front();
        if (before != nullptr) {
            const auto same = std::ranges::mismatch(first.tokens, before->tokens).in1;
            tokens -= std::min(tokens, static_cast<std::size_t>(same - first.tokens.begin()));
        }
        window.push_back(std::move(pending));
        before = &window.back()->sequences.front();
        if (tokens < full && window.size() < full) continue;
        evaluate(window, done);
        tokens = 0;
        before = nullptr;
    }
    if (!window.empty()) evaluate(window, done);
}

void EngineModel::keep(std::span<const TokenId> tokens, bool prompt,
                       std::vector<ItemToken>& kept) const {
    if (!options_.keepTokens) return;
    for (const TokenId token : tokens)
        kept.push_back({token, std::string(model_.tokenizer().bytes(token)), prompt});
}

ReplyResult EngineModel::read(const Generation& generation, std::span<const TokenId> prompt) const {
    ReplyResult result;
    keep(prompt, true, result.tokens);
    keep(generation.tokens, false, result.tokens);
    result.promptTokens = generation.promptTokens;
    result.replyTokens = static_cast<std::int64_t>(generation.tokens.size());
    result.finish = finishReasonName(generation.reason);
    result.cutOff = generation.reason != FinishReason::StopToken;
    result.durationNs = generation.shareNs;
    const std::unique_ptr<ReplyParser> parser = chat_->newParser(chatOptions({}));
    std::int64_t held = 0;  // tokens whose text waits for the end of a character
    for (const TokenId token : generation.tokens) {
        const std::string text = parser->feed(token);
        if (!text.empty()) {
            if (isReasoning(parser->channel())) result.reasoningTokens += held + 1;
            held = 0;
        } else {
            held = model_.tokenizer().isSpecial(token) ? 0 : held + 1;
        }
    }
    const std::vector<ChatMessage> messages = parser->finish();
    result.answer = toValidUtf8(answerOf(messages));
    result.reasoning = toValidUtf8(reasoningOf(messages));
    return result;
}

void EngineModel::reply(const ReplySource& next, const ReplyDone& done) {
    const int context = maxContext();
    // While operations are timed every reply is written by itself: its time is what is asked for.
    const int parallel = trace_ != nullptr ? 1 : options_.parallelReplies;
    if (scorer_) scorer_->forget();  // what it holds takes the room of replies
    BatchGenerator generator(model_.backend(), {context, parallel, 0});
    generator.setStop(stop_);
    generator.setTrace(trace_);
    generator.setRouting(routing_);
    std::vector<const ReplyRequest*> asked;     // by the generator's index
    std::vector<std::vector<TokenId>> prompts;  // the same, where they are kept
    const auto nextFitting = [&]() -> std::optional<GenerateRequest> {
        while (const ReplyRequest* request = next()) {
            GenerateRequest generate;
            generate.prompt = rendered(request->prompt, {});
            const auto length = static_cast<std::int64_t>(generate.prompt.size());
            if (length > context) {
                ReplyResult tooLong;
                tooLong.promptTokens = length;
                tooLong.neededContext = length;
                tooLong.tooLong = true;
                done(*request, std::move(tooLong));
                continue;
            }
            // The last token is chosen and not evaluated.
            const int room = context - static_cast<int>(length) + 1;
            const int most = options_.maxReplyTokens;
            generate.options.maxTokens = most > 0 ? std::min(most, room) : room;
            generate.options.sampling = options_.sampling;
            generate.options.sampling.seed = splitMixAt(options_.sampling.seed, request->draw);
            generate.options.stopTokens = chat_->stopTokens();
            generate.label = request->sequence;
            asked.push_back(request);
            prompts.push_back(options_.keepTokens ? generate.prompt : std::vector<TokenId>());
            return generate;
        }
        return std::nullopt;
    };
    try {
        generator.run(nextFitting, [&](std::size_t index, Generation&& generation) {
            // Half a reply is none: --resume asks again.
            if (generation.reason == FinishReason::Interrupted) return;
            done(*asked[index], read(generation, std::exchange(prompts[index], {})));
        });
    } catch (const SequenceError& error) {
        throw SequenceError(static_cast<std::size_t>(asked[error.sequence()]->sequence), error);
    }
}

ScoreResult EngineModel::score(const ScoreRequest& request) {
    ScoreResult result;
    const ScoreRequest* only = &request;
    score([&] { return std::exchange(only, nullptr); },
          [&](const ScoreRequest&, ScoreResult&& scored) { result = std::move(scored); });
    return result;
}

}  // namespace moescope
