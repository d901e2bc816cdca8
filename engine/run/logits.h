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

/// Both at once, for half the time of one after the other.
struct TokenLikelihood {
    double logProbability = 0.0;
    bool greedy = false;  ///< the token is mostLikely()
};
TokenLikelihood tokenLikelihood(std::span<const float> logits, TokenId token);

/// FNV-1a over the bit patterns of logits: printed with every run, so that a changed kernel that
/// changes numbers is seen at once.
std::uint64_t logitsHash(std::span<const float> logits) noexcept;

}  // namespace moescope
