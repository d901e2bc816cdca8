// SPDX-License-Identifier: Apache-2.0
// How likely the model finds given tokens: the basis of every log-likelihood evaluation.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/core/types.h"
#include "engine/run/session.h"

namespace moescope {

struct TokenScore {
    TokenId token = 0;
    double logProbability = 0.0;  ///< natural log, log-softmax in double
    bool greedy = false;          ///< the model's most likely token (ties: the lowest id)
};

struct Score {
    std::vector<TokenScore> tokens;
    std::uint64_t logitsHash = 0;  ///< over the logits behind every score, in order

    double sum() const noexcept;         ///< of the log-probabilities
    bool greedy() const noexcept;        ///< every token is what greedy decoding would give
    double perplexity() const noexcept;  ///< exp(-sum / n); 1 for no tokens
};

/// Called with the logits from which scored token `index` was predicted. (vocab)
using LogitsCallback = std::function<void(std::size_t index, std::span<const float> logits)>;

/// Scores `tokens` as a whole text, on a session at the start of a sequence. The first token has no
/// context and is not scored: the result holds n - 1 entries. The last token is scored but not
/// evaluated. Throws what Session::append does, and Error when the session is not at its start.
Score scoreTokens(Session& session, std::span<const TokenId> tokens,
                  const LogitsCallback& onLogits = {});

/// Scores any number of continuations of one prefix, which is evaluated once.
class PrefixScorer {
public:
    /// Appends `prefix` (not empty) to `session`, which must outlive the scorer.
    PrefixScorer(Session& session, std::span<const TokenId> prefix);

    /// continuation: not empty. The session is back at the end of the prefix afterwards, also when
    /// something throws.
    Score score(std::span<const TokenId> continuation, const LogitsCallback& onLogits = {});

    /// Logits after the prefix. (vocab)
    std::span<const float> prefixLogits() const noexcept { return prefixLogits_; }

private:
    Session& session_;
    SessionMark mark_;
    std::vector<float> prefixLogits_;  // (vocab)
};

}  // namespace moescope
