// SPDX-License-Identifier: Apache-2.0
// What is read off the logits of one position.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/error.h"
#include "engine/core/types.h"

namespace moescope {

/// What is thrown when logits hold a NaN or an infinity: no token or score may come of them.
Error notFinite();

/// The largest logit's token (ties: the lowest id): the one check that every choice and every score
/// goes through. logits: (vocab), not empty. Throws notFinite() for NaN, +infinity or no finite
/// logit at all.
TokenId mostLikely(std::span<const float> logits);

/// log softmax(logits)[token], computed in double: always finite. logits: (vocab). Throws
/// notFinite(), also when only the token's own logit is -infinity.
double logProbability(std::span<const float> logits, TokenId token);

/// What the scores of all tokens at one position have in common: log softmax of a token is
/// (its logit - largest) - logSum.
struct LogitsSummary {
    float largest = 0.0F;
    double logSum = 0.0;    ///< log of the sum of exp(logit - largest)
    TokenId likeliest = 0;  ///< mostLikely()
};
/// Throws notFinite(). logits: (vocab).
LogitsSummary summarize(std::span<const float> logits);
/// Throws notFinite() when the logit is -infinity.
double logProbability(const LogitsSummary& summary, float logit);

/// Over the bit patterns of logits, as engine/backend/kept_logits.h has it: printed with every
/// run, so that a changed kernel that changes numbers is seen at once.
std::uint64_t logitsHash(std::span<const float> logits) noexcept;
/// The hash of several logits in order: begin with logitsHash({}).
constexpr std::uint64_t addHash(std::uint64_t before, std::uint64_t next) noexcept {
    return (before ^ next) * 0x100000001B3ULL;
}

}  // namespace moescope
