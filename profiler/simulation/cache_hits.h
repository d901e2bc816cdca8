// SPDX-License-Identifier: Apache-2.0
// One layer's experts going through caches of every size, by policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/interrupt.h"

namespace moescope {

struct ExpertCacheOptions {
    /// Kept from text to text, in the run's order; else every text begins with an empty cache.
    bool warm = false;
    /// A token's experts are used one after the other and may throw each other out, as published
    /// simulators count. Else they are needed together: none leaves while its token is in flight,
    /// so that the least cache is of top-k.
    bool oneByOne = false;
    const StopFlag* stop = nullptr;  ///< set: throws Interrupted
};

/// One layer of the texts that are simulated, their tokens one after the other.
struct LayerUses {
    std::size_t experts = 0, topK = 0;
    std::vector<std::size_t> firstToken{0};  ///< (n_text + 1)
    std::vector<std::uint16_t> choices;      ///< (n_token, top_k) experts, in the order of use
    std::vector<bool> follows;               ///< (n_token) its position is next to the one before

    std::size_t texts() const noexcept { return firstToken.size() - 1; }
    std::size_t tokens() const noexcept { return firstToken.back(); }
    std::size_t tokensOf(std::size_t text) const noexcept {
        return firstToken[text + 1] - firstToken[text];
    }
    std::span<const std::uint16_t> choice(std::size_t token) const noexcept {
        return {choices.data() + token * topK, topK};
    }
};

/// Uses that found their expert in the cache: (n_text, n_size), from the least size to `experts`.
struct TextHits {
    std::size_t sizes = 0;
    std::vector<std::uint32_t> hits;

    std::uint32_t* row(std::size_t text) { return hits.data() + text * sizes; }
    const std::uint32_t* row(std::size_t text) const { return hits.data() + text * sizes; }
};

/// Uses of a layer must be fewer than 2^32. Time at worst uses x experts, for all sizes together.
TextHits lruHits(const LayerUses& layer, const ExpertCacheOptions& options);
TextHits lfuHits(const LayerUses& layer, const ExpertCacheOptions& options);
TextHits optimumHits(const LayerUses& layer, const ExpertCacheOptions& options);

}  // namespace moescope
