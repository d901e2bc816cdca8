// SPDX-License-Identifier: Apache-2.0
// What a run's routing would find in fast memory that holds only C experts of each layer.
// Definitions and their sources: docs/metrics.md, Expert cache.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "profiler/simulation/cache_hits.h"
#include "profiler/simulation/routing_trace.h"

namespace moescope {

enum class CachePolicy : std::uint8_t {
    Lru,             ///< out goes what was used longest ago
    Lfu,             ///< out goes what was used least often, of equals the one of longest ago
    Optimum,         ///< out goes what is used again last (Belady 1966): no policy finds more
    StaticHeldOut,   ///< the hottest of one half of the texts, never changed, tried on the other
    StaticInSample,  ///< the hottest of all texts tried on the same: flatters
};
inline constexpr std::size_t kCachePolicies = 5;

/// Tokens of one step, each of another text.
inline constexpr std::array<int, 7> kStepTokens = {1, 2, 4, 8, 16, 32, 64};

/// One layer, or the mean of all of them. Figures that the run cannot tell are NaN.
struct CacheLayer {
    int layer = -1;    ///< -1: all
    double reuse = 0;  ///< share of a token's experts that the token before it chose too
    std::array<double, kStepTokens.size()> distinct{};  ///< experts in a step, expected
    /// (n_size) hits / uses by policy and size; index by ExpertCache::index.
    std::array<std::vector<double>, kCachePolicies> hits;
    std::vector<double> low, high;  ///< (n_size) 95 % interval of LRU over texts

    const std::vector<double>& of(CachePolicy policy) const noexcept {
        return hits[static_cast<std::size_t>(policy)];
    }
};

struct ExpertCache {
    std::string reason;  ///< why there are no figures, a sentence; empty when there are
    int experts = 0, topK = 0;
    bool warm = false, oneByOne = false;
    std::int64_t texts = 0, tokens = 0;                ///< that were simulated
    std::int64_t textsLeftOut = 0, tokensLeftOut = 0;  ///< by the trace, or by kMaxCacheWork
    int leastSize = 0;  ///< of the curves: top-k, or 1 where experts come one by one
    CacheLayer all;
    std::vector<CacheLayer> layers;  ///< ascending

    bool empty() const noexcept { return layers.empty(); }
    std::size_t index(int size) const noexcept {
        return static_cast<std::size_t>(size - leastSize);
    }
    double chanceReuse() const noexcept { return uniformHits(topK); }
    /// What a router shows that chooses k of E uniformly: C / E of
    /// LRU, LFU and a static set in the long run; of the optimum, which knows its choices, more.
    double uniformHits(int size) const noexcept { return double(size) / double(experts); }
    double uniformDistinct(int tokens) const noexcept;  ///< E (1 - (1 - k/E)^B)
    /// Loads of an expert that a token needs in one layer, 0..k.
    double misses(const CacheLayer& layer, CachePolicy policy, int size) const noexcept {
        return double(topK) * (1 - layer.of(policy)[index(size)]);
    }
};

/// Uses of an expert times experts of a layer (at least 64) that are simulated: seconds. Of a
/// larger run texts are taken that lie evenly in it, and the last is cut.
inline constexpr std::size_t kMaxCacheWork = std::size_t{1} << 31U;

/// Deterministic. Never throws for what a file may hold: too many layers and experts, or a trace
/// without texts, give a `reason`.
ExpertCache expertCache(const RoutingTrace& trace, const ExpertCacheOptions& options = {});

}  // namespace moescope
