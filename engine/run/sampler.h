// SPDX-License-Identifier: Apache-2.0
// Chooses the next token. A seed gives the same tokens from the same logits with the same binary
// and C library (own generator and mapping; exp() may differ in its last bit elsewhere). A back end
// that chooses by itself draws others with that seed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/kept_logits.h"
#include "engine/core/types.h"

namespace moescope {

/// Order: temperature, then top-k, top-p, min-p, renormalise, draw. temperature 0 is greedy (ties
/// to the lowest id).
struct SamplingOptions {
    double temperature = 0.0;
    int topK = 0;       ///< 0: off
    double topP = 1.0;  ///< nucleus; 1: off
    double minP = 0.0;  ///< drop p < minP * max p; 0: off
    std::uint64_t seed = 0;
};

class Sampler {
public:
    /// Throws UsageError for values out of range (negative or non-finite temperature, topP outside
    /// (0, 1], ...), and for those that greedy choices would ignore.
    explicit Sampler(const SamplingOptions& options);
    /// logits: (vocab) float32. NaN logits throw Error.
    TokenId sample(std::span<const float> logits);
    /// Whether a rule says it all: not with top-k, top-p or min-p.
    bool ruled() const noexcept;
    /// The next choice, for a back end that makes it by itself. Draws are not those of sample().
    TokenRule rule() noexcept;

private:
    SamplingOptions options_;
    std::uint64_t state_ = 0;
    std::uint64_t draws_ = 0;  ///< rules given
    struct Candidate {
        double weight;  ///< exp((logit - largest) / temperature): 1 for the likeliest
        TokenId id;
    };
    void collect(std::span<const float> logits, float largest);  // (vocab)
    void sortFirst(std::size_t count);  ///< the `count` likeliest to the front, in order
    void keepTopK();
    void keepTopP();
    TokenId draw();

    std::vector<Candidate> candidates_;  // at most (vocab)
};

}  // namespace moescope
