// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/cache_hits.h"

#include <algorithm>
#include <numeric>

#include "profiler/simulation/priority_stack.h"

namespace moescope {
namespace {

// What a policy keeps longest. Each is told of every use in turn, `use` counting them, and gives
// the expert's priority from then on, below 2^63; `clear` begins anew with an empty cache.

struct Recency {
    static void clear() {}
    std::uint64_t operator()(std::size_t, std::size_t use) const { return use + 1; }
};

struct Frequency {
    explicit Frequency(std::size_t experts) : uses(experts, 0) {}
    void clear() { std::fill(uses.begin(), uses.end(), 0); }
    std::uint64_t operator()(std::size_t expert, std::size_t use) {
        return ++uses[expert] << 32U | (use + 1);
    }
    std::vector<std::uint64_t> uses;
};

/// What is never used again goes first, the lower id before the higher.
struct NextUse {
    static constexpr std::uint64_t kEnd = std::uint64_t{1} << 40U;

    NextUse(const LayerUses& layer, bool warm) : next(layer.choices.size()) {
        std::vector<std::size_t> later(layer.experts, 0);  // 0: never, since it follows no use
        for (std::size_t text = layer.texts(); text-- > 0;) {
            if (!warm) std::fill(later.begin(), later.end(), 0);
            const std::size_t begin = layer.firstToken[text] * layer.topK;
            for (std::size_t use = layer.firstToken[text + 1] * layer.topK; use-- > begin;) {
                std::size_t& slot = later[layer.choices[use]];
                next[use] = static_cast<std::uint32_t>(slot);
                slot = use;
            }
        }
    }
    static void clear() {}
    std::uint64_t operator()(std::size_t expert, std::size_t use) const {
        return next[use] == 0 ? expert : kEnd - next[use];
    }
    std::vector<std::uint32_t> next;  ///< (n_use)
};

template <class Priority>
TextHits hitsOf(const LayerUses& layer, const ExpertCacheOptions& options, Priority priority) {
    // In flight: above everything that is not, so that no cache of top-k or more throws it out.
    constexpr std::uint64_t kInFlight = std::uint64_t{1} << 63U;
    const std::uint64_t pinned = options.oneByOne ? 0 : kInFlight;
    const std::size_t leastSize = options.oneByOne ? 1 : layer.topK;
    TextHits out{layer.experts - leastSize + 1, {}};
    out.hits.resize(layer.texts() * out.sizes);
    PriorityStack stack(layer.experts);
    std::size_t use = 0;
    for (std::size_t text = 0; text < layer.texts(); ++text) {
        std::uint32_t* hits = out.row(text);
        if (!options.warm) {
            stack.clear();
            priority.clear();
        }
        for (std::size_t t = layer.firstToken[text]; t < layer.firstToken[text + 1]; ++t) {
            throwIfStopped(options.stop);
            const auto choice = layer.choice(t);
            for (const std::size_t expert : choice) stack.priority(expert) |= pinned;
            for (const std::size_t expert : choice) {
                const std::size_t position = stack.use(expert);
                stack.priority(expert) = priority(expert, use++) | pinned;
                if (position != PriorityStack::kAbsent)
                    ++hits[position < leastSize ? 0 : position + 1 - leastSize];
            }
            for (const std::size_t expert : choice) stack.priority(expert) &= ~pinned;
        }
        std::partial_sum(hits, hits + out.sizes, hits);
    }
    return out;
}

}  // namespace

TextHits lruHits(const LayerUses& layer, const ExpertCacheOptions& options) {
    return hitsOf(layer, options, Recency());
}

TextHits lfuHits(const LayerUses& layer, const ExpertCacheOptions& options) {
    return hitsOf(layer, options, Frequency(layer.experts));
}

TextHits optimumHits(const LayerUses& layer, const ExpertCacheOptions& options) {
    return hitsOf(layer, options, NextUse(layer, options.warm));
}

}  // namespace moescope
