// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/expert_cache.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "profiler/analysis/statistics.h"
#include "profiler/simulation/drawn.h"
#include "profiler/simulation/static_experts.h"
#include "profiler/simulation/step_experts.h"

namespace moescope {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A stranger's run file must not decide how long we compute or how much we allocate.
constexpr std::size_t kMaxTextCells = std::size_t{1} << 24U;  ///< texts x experts, 64 MB
constexpr std::size_t kLeastExperts = 64;  ///< costs of a use that do not shrink with the experts

/// Below it an interval over texts says more of the few than of their spread (evals/stats).
constexpr std::size_t kFewestTexts = 10;

/// The texts that are simulated, each with the number of its tokens that are.
using Excerpts = std::vector<std::pair<const TracedText*, std::size_t>>;

/// Empty where there are too many layers and experts, or a single token is too much.
Excerpts excerptsOf(const RoutingTrace& trace) {
    const auto experts = static_cast<std::size_t>(trace.experts);
    if (trace.cells() > kMaxTraceCells) return {};
    const std::size_t work = trace.layers.size() * static_cast<std::size_t>(trace.topK) *
                             std::max(experts, kLeastExperts);
    std::size_t left = kMaxCacheWork / work;
    if (left == 0) return {};
    const std::size_t texts = trace.texts.size();
    const double fitting = double(texts) * double(left) / double(trace.tokens);
    const std::size_t taken =
        std::max<std::size_t>(1, std::min({texts, std::size_t(fitting), kMaxTextCells / experts}));
    // Drawn: every nth text would leave out whole groups of a workload that takes them in turn.
    std::vector<std::size_t> chosen(texts);
    std::iota(chosen.begin(), chosen.end(), 0);
    Drawn draw(1);
    for (std::size_t i = 0; i < taken; ++i) draw.place(chosen, i);
    std::sort(chosen.begin(), chosen.begin() + std::ptrdiff_t(taken));
    Excerpts out;
    for (std::size_t i = 0; i < taken && left > 0; ++i) {
        const TracedText& text = trace.texts[chosen[i]];
        const auto tokens = std::min(left, static_cast<std::size_t>(text.tokens));
        out.emplace_back(&text, tokens);
        left -= tokens;
    }
    return out;
}

LayerUses usesOf(const RoutingTrace& trace, const Excerpts& texts, std::size_t layer) {
    LayerUses uses;
    uses.experts = static_cast<std::size_t>(trace.experts);
    uses.topK = static_cast<std::size_t>(trace.topK);
    for (const auto& [text, tokens] : texts) {
        for (std::size_t t = 0; t < tokens; ++t) {
            const auto choice = trace.choice(*text, static_cast<std::int64_t>(t), layer);
            uses.choices.insert(uses.choices.end(), choice.begin(), choice.end());
            uses.follows.push_back(text->follows[t]);
        }
        uses.firstToken.push_back(uses.tokens() + tokens);
    }
    return uses;
}

/// Student's t with n - 1 degrees about the ratio of sums, whose error is told from the texts:
/// sqrt(n / (n - 1) sum (hits - rate uses)^2) / sum uses.
void setInterval(CacheLayer& layer, const TextHits& of, const std::vector<double>& uses) {
    const std::vector<double>& rate = layer.of(CachePolicy::Lru);
    layer.low.assign(of.sizes, kNan);
    layer.high.assign(of.sizes, kNan);
    if (uses.size() < kFewestTexts) return;
    const auto n = double(uses.size());
    const double all = std::accumulate(uses.begin(), uses.end(), 0.0);
    std::vector<double> squares(of.sizes, 0.0);
    for (std::size_t text = 0; text < uses.size(); ++text) {
        for (std::size_t s = 0; s < of.sizes; ++s) {
            const double away = of.row(text)[s] - rate[s] * uses[text];
            squares[s] += away * away;
        }
    }
    for (std::size_t s = 0; s < of.sizes; ++s) {
        const double reach = studentT975(n - 1) * std::sqrt(n / (n - 1) * squares[s]) / all;
        layer.low[s] = std::max(0.0, rate[s] - reach);
        layer.high[s] = std::min(1.0, rate[s] + reach);
    }
}

double reuseOf(const LayerUses& layer) {
    std::size_t same = 0, pairs = 0;
    for (std::size_t t = 1; t < layer.tokens(); ++t) {
        if (!layer.follows[t]) continue;
        ++pairs;
        const auto before = layer.choice(t - 1);
        for (const std::uint16_t expert : layer.choice(t))
            if (std::find(before.begin(), before.end(), expert) != before.end()) ++same;
    }
    return pairs > 0 ? double(same) / double(pairs * layer.topK) : kNan;
}

/// (n_text, n_expert) tokens that chose the expert.
std::vector<std::uint32_t> countsOf(const LayerUses& layer) {
    std::vector<std::uint32_t> counts(layer.texts() * layer.experts, 0);
    for (std::size_t text = 0; text < layer.texts(); ++text)
        for (std::size_t t = layer.firstToken[text]; t < layer.firstToken[text + 1]; ++t)
            for (const std::size_t expert : layer.choice(t))
                ++counts[text * layer.experts + expert];
    return counts;
}

/// Of every `stride`-th text.
void setDistinct(CacheLayer& out, const LayerUses& layer, const std::vector<std::uint32_t>& counts,
                 std::size_t stride) {
    std::vector<std::uint32_t> some;
    std::vector<std::int64_t> tokens;
    for (std::size_t text = 0; text < layer.texts(); text += stride) {
        const auto row = counts.begin() + std::ptrdiff_t(text * layer.experts);
        some.insert(some.end(), row, row + std::ptrdiff_t(layer.experts));
        tokens.push_back(std::int64_t(layer.tokensOf(text)));
    }
    const auto expected = expectedExperts(some, tokens, std::size_t(kStepTokens.back()));
    for (std::size_t i = 0; i < kStepTokens.size(); ++i)
        out.distinct[i] = expected[std::size_t(kStepTokens[i])];
}

class Simulation {
public:
    Simulation(const RoutingTrace& trace, const Excerpts& texts, const ExpertCacheOptions& options)
        : trace_(trace), texts_(texts), options_(options), second_(secondHalf(texts.size())) {
        for (const auto& [text, tokens] : texts)
            uses_.push_back(double(tokens * std::size_t(trace.topK)));
        const double stepWork = double(texts.size()) * double(trace.layers.size()) *
                                double(trace.experts) * double(kStepTokens.back());
        stepStride_ = std::size_t(stepWork / double(kMaxCacheWork)) + 1;
    }

    CacheLayer layer(std::size_t index) {
        throwIfStopped(options_.stop);
        const LayerUses uses = usesOf(trace_, texts_, index);
        CacheLayer out;
        out.layer = trace_.layers[index];
        out.reuse = reuseOf(uses);
        const TextHits lru = lruHits(uses, options_);
        put(out, CachePolicy::Lru, rates(lru));
        setInterval(out, lru, uses_);
        put(out, CachePolicy::Lfu, rates(lfuHits(uses, options_)));
        put(out, CachePolicy::Optimum, rates(optimumHits(uses, options_)));
        const std::vector<std::uint32_t> counts = countsOf(uses);
        putStatic(out, counts, uses.experts);
        setDistinct(out, uses, counts, stepStride_);
        lru_.sizes = lru.sizes;
        lru_.hits.resize(lru.hits.size(), 0);
        for (std::size_t i = 0; i < lru.hits.size(); ++i) lru_.hits[i] += lru.hits[i];
        return out;
    }

    /// Means over the layers, which all have as many uses; the interval is of the sum of hits.
    CacheLayer all(const std::vector<CacheLayer>& layers) const {
        CacheLayer mean;
        const auto n = double(layers.size());
        for (const CacheLayer& layer : layers) {
            mean.reuse += layer.reuse / n;
            for (std::size_t i = 0; i < mean.distinct.size(); ++i)
                mean.distinct[i] += layer.distinct[i] / n;
            for (std::size_t p = 0; p < kCachePolicies; ++p) {
                mean.hits[p].resize(layer.hits[p].size(), 0.0);
                for (std::size_t s = 0; s < mean.hits[p].size(); ++s)
                    mean.hits[p][s] += layer.hits[p][s] / n;
            }
        }
        std::vector<double> uses = uses_;
        for (double& of : uses) of *= n;
        setInterval(mean, lru_, uses);
        return mean;
    }

private:
    static void put(CacheLayer& layer, CachePolicy policy, std::vector<double> hits) {
        layer.hits[std::size_t(policy)] = std::move(hits);
    }

    void putStatic(CacheLayer& layer, const std::vector<std::uint32_t>& counts,
                   std::size_t experts) const {
        HalvedUses uses{std::vector<std::uint64_t>(experts), std::vector<std::uint64_t>(experts)};
        for (std::size_t text = 0; text < second_.size(); ++text) {
            auto& half = second_[text] ? uses.second : uses.first;
            for (std::size_t e = 0; e < experts; ++e) half[e] += counts[text * experts + e];
        }
        // Both begin with one expert, the other curves with the least size.
        const auto skipped = std::ptrdiff_t(options_.oneByOne ? 0 : trace_.topK - 1);
        for (auto& [policy, hits] : {std::pair(CachePolicy::StaticHeldOut, heldOutHits(uses)),
                                     std::pair(CachePolicy::StaticInSample, inSampleHits(uses))})
            put(layer, policy, {hits.begin() + skipped, hits.end()});
    }

    /// Hits over uses by size.
    std::vector<double> rates(const TextHits& of) const {
        std::vector<double> out(of.sizes, 0.0);
        for (std::size_t text = 0; text < uses_.size(); ++text)
            for (std::size_t s = 0; s < of.sizes; ++s) out[s] += of.row(text)[s];
        const double all = std::accumulate(uses_.begin(), uses_.end(), 0.0);
        for (double& rate : out) rate /= all;
        return out;
    }

    const RoutingTrace& trace_;
    const Excerpts& texts_;
    ExpertCacheOptions options_;
    std::vector<bool> second_;  ///< (n_text) in the second half
    std::vector<double> uses_;  ///< (n_text) of one layer
    std::size_t stepStride_ = 1;
    TextHits lru_;  ///< of all layers so far
};

}  // namespace

double ExpertCache::uniformDistinct(int tokens) const noexcept {
    return experts * (1 - std::pow(1 - double(topK) / experts, tokens));
}

ExpertCache expertCache(const RoutingTrace& trace, const ExpertCacheOptions& options) {
    ExpertCache result;
    result.experts = trace.experts;
    result.topK = trace.topK;
    result.warm = options.warm;
    result.oneByOne = options.oneByOne;
    result.leastSize = options.oneByOne ? 1 : trace.topK;
    result.reason = trace.reason;
    if (trace.empty()) return result;
    const Excerpts texts = excerptsOf(trace);
    if (texts.empty()) {
        result.reason = "This run has too many layers and experts to simulate caches of them.";
        return result;
    }
    result.texts = std::int64_t(texts.size());
    for (const auto& [text, tokens] : texts) result.tokens += std::int64_t(tokens);
    result.textsLeftOut = trace.textsLeftOut + std::int64_t(trace.texts.size()) - result.texts;
    result.tokensLeftOut = trace.tokensLeftOut + trace.tokens - result.tokens;
    Simulation simulation(trace, texts, options);
    for (std::size_t l = 0; l < trace.layers.size(); ++l)
        result.layers.push_back(simulation.layer(l));
    result.all = simulation.all(result.layers);
    return result;
}

}  // namespace moescope
