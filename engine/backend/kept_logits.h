// SPDX-License-Identifier: Apache-2.0
// What is asked of a back end that keeps the logits to itself: some bytes come back instead of a
// vocabulary.
#pragma once

#include <cstdint>

#include "engine/core/split_mix.h"
#include "engine/core/types.h"

namespace moescope {

/// How a token is chosen from the logits of one position: the largest (ties: the lowest id), or
/// with temperature > 0 a draw from softmax(logits / temperature). A draw depends on nothing but
/// logits, temperature, seed and its number, so not on what else is in the step.
struct TokenRule {
    float temperature = 0;
    std::uint64_t seed = 0;
    std::uint64_t draw = 0;  ///< how many choices the sequence has had
};

struct TokenChoice {
    TokenId token = -1;            ///< -1: a logit is NaN or +infinity, or none is finite
    std::uint64_t logitsHash = 0;  ///< as moescope::logitsHash (engine/run/logits.h)
};

/// How likely is `token`, by row `row` of the logits that are kept?
struct TokenQuestion {
    std::int32_t row = 0;
    TokenId token = 0;
};

/// The log probability is (own - largest) - logSum, in double.
struct TokenAnswer {
    float own = 0, largest = 0;    ///< logits
    double logSum = 0;             ///< log of the sum of exp(logit - largest)
    TokenId likeliest = -1;        ///< ties: the lowest id; -1: as TokenChoice's
    std::int32_t rank = 1;         ///< of the token, 1: the likeliest; ties: lower ids first
    std::uint64_t logitsHash = 0;  ///< as TokenChoice's
};

/// The hash of logits is this and the sum, modulo 2^64, of hashedLogit over all of them: a sum, so
/// that it may be taken in any order, by many threads.
inline constexpr std::uint64_t kLogitsHashBase = 0xCBF29CE484222325ULL;
/// bits: the pattern of the logit of token `token`.
constexpr std::uint64_t hashedLogit(std::uint32_t token, std::uint32_t bits) noexcept {
    return splitMix((std::uint64_t{token} << 32U | bits) + kSplitMixStep);
}

}  // namespace moescope
