// SPDX-License-Identifier: Apache-2.0
// How likely the model finds given tokens: the basis of every log-likelihood evaluation. Many
// sequences are evaluated in one step, and leading tokens that several share once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/core/interrupt.h"
#include "engine/core/types.h"
#include "engine/run/forward_pass.h"
#include "engine/run/score_plan.h"
#include "engine/run/sequence_error.h"

namespace moescope {

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
///
/// The end of what was scored last is held: sequences of the next call that begin alike go on from
/// there. Worked examples and instructions are the same for thousands of items.
class BatchScorer {
public:
    struct Options {
        bool share = true;   ///< leading tokens, within a call and from call to call
        bool brief = false;  ///< of findings logProbability and likeliest are enough
        int top = 0;         ///< alternatives of each token
        int maxBatch = 0;    ///< tokens a step; 0: as many as the back end prefers
    };
    struct Scored {
        std::size_t sequence = 0;
        std::vector<TokenFinding> findings;  ///< of tokens[reportFrom..]
        /// Its share of the steps that it was part of, by tokens; tokens that several sequences
        /// have in common count for each in equal parts.
        std::int64_t durationNs = 0;
    };
    using Done = std::function<void(Scored&&)>;
    /// Called with the logits that predict tokens[index] of a sequence, on the calling thread; with
    /// share off one sequence behind the other, index ascending from reportFrom.
    using LogitsVisitor =
        std::function<void(std::size_t sequence, std::size_t index, std::span<const float> logits)>;

    /// The back end must outlive the scorer. Throws Error as ForwardPass does, of whole caches
    /// where sequences share.
    BatchScorer(const Backend& backend, int maxContext, Options options);
    ~BatchScorer();

    int maxContext() const noexcept { return pass_.maxContext(); }
    int maxBatch() const noexcept { return pass_.maxBatch(); }
    void setStop(const StopFlag* stop) noexcept { stop_ = stop; }
    /// A step of several sequences is shown as one of the first one's.
    void setTrace(TraceSink* sink) { pass_.setTrace(sink); }
    /// Is told of every sequence under its label, whatever it shares. What was held is forgotten.
    void setRouting(RoutingSink* sink);
    /// Nothing of what was scored before is used again.
    void forget() noexcept;

    /// Calls `done` for each sequence as soon as it is complete, in the order of the plan. Throws
    /// SequenceError for one with nothing to report, one that does not fit the context, token ids
    /// out of range (before anything is evaluated) and logits that are not finite; Error when
    /// memory for a cache is not there (any more); Interrupted between steps; what `done`, the
    /// visitor and the sinks throw. What is done by then, is done.
    void score(std::span<const ScoreSequence> sequences, const Done& done,
               const LogitsVisitor& visit = {});

    std::uint64_t evaluated() const noexcept { return evaluated_; }  ///< tokens, so far
    std::uint64_t shared() const noexcept { return shared_; }        ///< tokens saved, so far

private:
    class Call;
    struct RoutedLayer {
        std::vector<std::int32_t> experts;  // (tokens, top_k)
        std::vector<float> weights;         // (tokens, top_k)
    };
    /// What was evaluated of one node.
    struct Evaluated {
        std::shared_ptr<KvCache> cache;
        std::size_t begin = 0, end = 0;
        int lineage = 0;
        std::vector<RoutedLayer> routed;  // (n_layer), while there is a sink
    };

    ForwardPass pass_;
    Options options_;
    const StopFlag* stop_ = nullptr;
    RoutingSink* routing_ = nullptr;
    std::vector<Evaluated> held_;  ///< each goes on from the one before
    std::vector<TokenId> heldTokens_;
    std::uint64_t evaluated_ = 0, shared_ = 0;
};

}  // namespace moescope
