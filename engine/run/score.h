// SPDX-License-Identifier: Apache-2.0
// How likely the model finds given tokens: the basis of every log-likelihood evaluation. Leading
// tokens that several sequences share are evaluated once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/core/types.h"
#include "engine/run/session.h"

namespace moescope {

/// Log-probabilities are found for tokens[reportFrom..], each given all before it.
struct ScoreSequence {
    std::vector<TokenId> tokens;
    std::size_t reportFrom = 1;  ///< at least 1 and less than tokens.size()
};

struct Alternative {
    TokenId token = 0;
    double logProbability = 0.0;
};

/// What the model says of one given token.
struct TokenFinding {
    double logProbability = 0.0;   ///< natural log, log-softmax in double
    TokenId likeliest = 0;         ///< ties: the lowest id
    std::int32_t rank = 1;         ///< 1: the likeliest; ties: lower ids first
    std::uint64_t logitsHash = 0;  ///< of the logits it was predicted from
    std::vector<Alternative> top;  ///< the likeliest first; ties: lower ids first
};

/// `top`: how many alternatives (cut to the vocabulary). logits: (vocab). Throws notFinite().
TokenFinding examine(std::span<const float> logits, TokenId token, int top = 0);

/// One hash over the logits behind all of `findings`, in order.
std::uint64_t combinedHash(std::span<const TokenFinding> findings) noexcept;

/// A token's logits have the same bits in every batch (docs/cpu.md), so a result is the same with
/// and without sharing, whatever else is scored beside it.
class SequenceScorer {
public:
    struct Options {
        bool share = true;
        int top = 0;  ///< alternatives of each token
    };
    /// Called with the logits that predict tokens[index], index ascending from reportFrom.
    using LogitsVisitor = std::function<void(std::size_t index, std::span<const float> logits)>;

    /// `session` must outlive the scorer. Throws Error for a sequence with nothing to report.
    SequenceScorer(Session& session, std::vector<ScoreSequence> sequences, Options options);

    /// The order in which most is shared: that of the tokens. Any other is right too.
    std::span<const std::size_t> order() const noexcept { return order_; }

    /// Findings for tokens[reportFrom..] of sequence `index`. With a visitor, what it must see is
    /// evaluated whatever was before. Throws what Session::append and examine() do; the next call
    /// is good.
    std::vector<TokenFinding> score(std::size_t index, const LogitsVisitor& visit = {});

    std::uint64_t evaluated() const noexcept { return evaluated_; }  ///< tokens, so far
    std::uint64_t shared() const noexcept { return shared_; }        ///< tokens saved, so far

private:
    struct Known {
        bool found = false;
        TokenFinding finding;
    };

    /// A place in the path to go on from.
    struct Held {
        SessionMark mark;
        std::vector<float> logits;  // (vocab): after the token before it
    };

    std::size_t firstNeeded(const ScoreSequence& sequence, std::size_t common, bool visited) const;
    std::vector<std::size_t> cuts(std::size_t index, std::size_t begin) const;
    void report(const ScoreSequence& sequence, std::size_t index, std::span<const float> logits,
                const LogitsVisitor& visit);
    void evaluate(const ScoreSequence& sequence, std::size_t begin, std::size_t end,
                  const LogitsVisitor& visit);

    Session& session_;
    std::vector<ScoreSequence> sequences_;
    Options options_;
    std::vector<std::size_t> order_, place_;  ///< place_[order_[k]] = k
    std::vector<std::size_t> common_;         ///< tokens that order_[k] and order_[k + 1] share
    std::vector<std::size_t> lessCommon_;     ///< next k with a smaller common_; size(): none
    // The latest sequence: its tokens, what was found of them, and where it can be gone on from.
    std::vector<TokenId> path_;
    std::vector<Known> known_;
    std::vector<Held> held_;     ///< ascending
    std::vector<float> latest_;  // (vocab): logits after what was evaluated last
    std::uint64_t evaluated_ = 0, shared_ = 0;
};

}  // namespace moescope
