// SPDX-License-Identifier: Apache-2.0
// The generation loop: prompt in, tokens out one by one, with the times a user asks about.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/types.h"
#include "engine/run/sampler.h"
#include "engine/run/session.h"

namespace moescope {

struct GenerateOptions {
    int maxTokens = 256;
    SamplingOptions sampling;
    std::vector<TokenId> stopTokens;  ///< of the tokenizer and the chat format; may be empty
};

enum class FinishReason : std::uint8_t {
    StopToken,
    Length,       ///< maxTokens were generated
    ContextFull,  ///< the session holds no more
    Caller,       ///< the callback returned false
    Interrupted,  ///< the session's stop flag was set; what was generated is kept
};
/// "stop", "length", "context", "caller", "interrupted"
std::string_view finishReasonName(FinishReason reason) noexcept;

struct Generation {
    std::vector<TokenId> tokens;  ///< the stop token, if any, is the last
    FinishReason reason = FinishReason::Length;
    int promptTokens = 0;
    std::int64_t firstTokenNs = 0;      ///< prompt evaluation and first choice: time to first token
    std::vector<std::int64_t> tokenNs;  ///< every later token: evaluation and choice
    /// Its share, by tokens, of the steps that it was part of: where many are generated at a time,
    /// less than the time it took.
    std::int64_t shareNs = 0;
    std::uint64_t logitsHash = 0;  ///< over the logits of every choice, in order

    double prefillTokensPerSecond() const noexcept;  ///< 0 when nothing was evaluated
    double decodeTokensPerSecond() const noexcept;  ///< 0 when fewer than two tokens were generated
};

/// Why the token generated last is the last one; none when it is not. position: tokens in the
/// cache.
std::optional<FinishReason> endOf(const Generation& result, const GenerateOptions& options,
                                  int position, int maxContext);

/// Called with each token as soon as it is chosen; false ends the generation.
using TokenCallback = std::function<bool(TokenId)>;

/// Appends `prompt` to the session and generates. Choices are traced as Op::Sample. Throws what
/// Session::append throws for the prompt (except Interrupted, which is a FinishReason), and
/// UsageError for sampling options or maxTokens out of range.
Generation generate(Session& session, std::span<const TokenId> prompt,
                    const GenerateOptions& options, const TokenCallback& onToken = {});

}  // namespace moescope
