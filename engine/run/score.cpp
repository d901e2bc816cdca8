// SPDX-License-Identifier: Apache-2.0
#include "engine/run/score.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/core/error.h"

namespace moescope {
namespace {

/// Builds a Score from logits and the tokens that followed them.
class Scorer {
public:
    explicit Scorer(const LogitsCallback& onLogits) : onLogits_(onLogits) {
        score_.logitsHash = logitsHash({});
    }

    void add(std::span<const float> logits, TokenId token) {
        if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) {
            throw Error("token id " + std::to_string(token) + " is outside the vocabulary of " +
                        std::to_string(logits.size()));
        }
        score_.tokens.push_back(
            {token, logProbability(logits, token), mostLikely(logits) == token});
        score_.logitsHash = (score_.logitsHash ^ logitsHash(logits)) * 0x100000001B3ULL;
        if (onLogits_) onLogits_(score_.tokens.size() - 1, logits);
    }

    Score take() { return std::move(score_); }

private:
    const LogitsCallback& onLogits_;
    Score score_;
};

/// Takes the session back whatever happens to the continuation.
class RewindAtEnd {
public:
    RewindAtEnd(Session& session, const SessionMark& mark) : session_(session), mark_(mark) {}
    ~RewindAtEnd() {
        try {
            session_.rewind(mark_);
        } catch (const Error&) {
            // A callback began another sequence: there is no prefix to go back to, and the next
            // score's rewind says so.
        }
    }
    RewindAtEnd(const RewindAtEnd&) = delete;
    RewindAtEnd& operator=(const RewindAtEnd&) = delete;

private:
    Session& session_;
    const SessionMark& mark_;
};

}  // namespace

double Score::sum() const noexcept {
    double total = 0.0;
    for (const TokenScore& t : tokens) total += t.logProbability;
    return total;
}

bool Score::greedy() const noexcept {
    return std::all_of(tokens.begin(), tokens.end(), [](const TokenScore& t) { return t.greedy; });
}

double Score::perplexity() const noexcept {
    return tokens.empty() ? 1.0 : std::exp(-sum() / static_cast<double>(tokens.size()));
}

Score scoreTokens(Session& session, std::span<const TokenId> tokens,
                  const LogitsCallback& onLogits) {
    if (tokens.empty()) throw Error("there are no tokens to score");
    if (session.position() != 0) {
        throw Error("a whole text can be scored only at the start of a sequence");
    }
    Scorer scorer(onLogits);
    // The last token's own logits predict what is not there, so it need not be evaluated.
    const auto evaluated = tokens.first(tokens.size() - 1);
    if (!evaluated.empty()) {
        session.append(evaluated, [&](int i, std::span<const float> logits) {
            scorer.add(logits, tokens[static_cast<std::size_t>(i) + 1]);
        });
    }
    return scorer.take();
}

PrefixScorer::PrefixScorer(Session& session, std::span<const TokenId> prefix) : session_(session) {
    const std::span<const float> logits = session.append(prefix, StepKind::Prefill);
    prefixLogits_.assign(logits.begin(), logits.end());
    mark_ = session.mark();
}

Score PrefixScorer::score(std::span<const TokenId> continuation, const LogitsCallback& onLogits) {
    if (continuation.empty()) throw Error("there are no tokens to score");
    Scorer scorer(onLogits);
    scorer.add(prefixLogits_, continuation[0]);
    const auto evaluated = continuation.first(continuation.size() - 1);
    if (!evaluated.empty()) {
        if (session_.position() != mark_.position()) session_.rewind(mark_);
        const RewindAtEnd rewind(session_, mark_);
        session_.append(evaluated, [&](int i, std::span<const float> logits) {
            scorer.add(logits, continuation[static_cast<std::size_t>(i) + 1]);
        });
    }
    return scorer.take();
}

}  // namespace moescope
