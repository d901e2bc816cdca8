// SPDX-License-Identifier: Apache-2.0
#include "reports/cache_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "reports/numbers.h"

namespace moescope {
namespace {

std::string ofExperts(const ExpertCache& of, int size) {
    return formatCount(size) + " of the " + formatCount(of.experts) + " experts of each layer";
}

std::string simulated(const ExpertCache& of) {
    return "Simulated: " + formatCounted(of.tokens, "token") + " of " +
           formatCounted(of.texts, "text") + ", one token at a time, " +
           (of.warm ? "the cache kept from text to text"
                    : "every text beginning with an empty cache") +
           (of.oneByOne ? "; experts of a token may throw each other out."
                        : "; a token's experts are needed together.");
}

std::string hits(const ExpertCache& of, int size) {
    const std::size_t at = of.index(size);
    const auto share = [&](CachePolicy policy) { return formatPercent(of.all.of(policy)[at]); };
    std::string out = "With " + ofExperts(of, size) + " in fast memory LRU finds " +
                      share(CachePolicy::Lru) + " of the experts that tokens need there";
    if (std::isfinite(of.all.low[at]))
        out += " (95 % interval " + formatPercent(of.all.low[at]) + " to " +
               formatPercent(of.all.high[at]) + ")";
    out += ", LFU " + share(CachePolicy::Lfu) + ", the best that is possible " +
           share(CachePolicy::Optimum);
    if (std::isfinite(of.all.of(CachePolicy::StaticHeldOut)[at]))
        out += ", a set that never changes, chosen from other texts, " +
               share(CachePolicy::StaticHeldOut);
    out += "; LRU of a uniform router " + formatPercent(of.uniformHits(size)) + ".";
    if (!of.warm)
        out +=
            " The first use of an expert in a text is a miss, which a set that is loaded "
            "beforehand has not.";
    return out;
}

std::string cost(const ExpertCache& of, const ExpertBytes& bytes, int size,
                 std::span<const Link> links) {
    const double loaded = loadedBytes(of, bytes, CachePolicy::Lru, size);
    std::string out = "These take " + formatBytes(cacheBytes(bytes, size)) +
                      ", and a token loads " + formatBytes(loaded);
    for (const Link& link : links)
        out += ", " + formatDuration(loadNs(loaded, link)) + " over " + link.name;
    return out + ". " + kOffloadModelNote;
}

}  // namespace

std::span<const CachePolicyName> cachePolicies() {
    static constexpr std::array<CachePolicyName, kCachePolicies> kNames = {{
        {CachePolicy::Lru, "LRU", "lru", "out goes the expert that was used longest ago"},
        {CachePolicy::Lfu, "LFU", "lfu", "out goes the expert that was used least often"},
        {CachePolicy::Optimum, "optimum", "optimum",
         "out goes the expert that is used again last (Belady): knows the future, no policy finds "
         "more"},
        {CachePolicy::StaticHeldOut, "static, held out", "static_held_out",
         "the experts most used in one half of the texts, tried on the other half"},
        {CachePolicy::StaticInSample, "static, in sample", "static_in_sample",
         "the experts most used in all texts, tried on the same texts: flatters"},
    }};
    return kNames;
}

std::vector<int> shownSizes(const ExpertCache& of) {
    std::vector<int> out{of.leastSize};
    for (int part = 1; part <= 8; ++part) {
        const int size = of.experts * part / 8;
        if (size > out.back()) out.push_back(size);
    }
    return out;
}

std::vector<int> curveSizes(const ExpertCache& of) {
    constexpr int kMost = 128;
    const int sizes = of.experts - of.leastSize + 1;
    const std::vector<int> shown = shownSizes(of);
    std::set<int> out(shown.begin(), shown.end());
    for (int i = 0; i < std::min(sizes, kMost); ++i)
        out.insert(of.leastSize + (sizes <= kMost ? i : int(std::int64_t{i} * sizes / kMost)));
    return {out.begin(), out.end()};
}

int spokenSize(const ExpertCache& of) {
    return std::max(of.leastSize, of.experts / 4);
}

std::vector<std::string> cacheSentences(const ExpertCache& of, const ExpertBytes& bytes,
                                        std::span<const Link> links) {
    std::vector<std::string> out{simulated(of)};
    if (std::string left = cacheLeftOut(of); !left.empty()) out.push_back(std::move(left));
    if (std::isfinite(of.all.reuse))
        out.push_back("Of a token's experts the token before it had chosen " +
                      formatPercent(of.all.reuse) + "; of a uniform router's " +
                      formatPercent(of.chanceReuse()) + ".");
    const int size = spokenSize(of);
    out.push_back(hits(of, size));
    out.push_back(bytes.empty() ? kNoExpertBytes : cost(of, bytes, size, links));
    return out;
}

std::string cacheLeftOut(const ExpertCache& of) {
    if (of.textsLeftOut == 0 && of.tokensLeftOut == 0) return {};
    return "Left out, since they lack layers, are of another shape or are too many to simulate: " +
           formatCounted(of.textsLeftOut, "text") + " and " +
           formatCounted(of.tokensLeftOut, "token") + ".";
}

std::string hitsText(const CacheLayer& layer, CachePolicy policy, std::size_t index) {
    std::string out = formatFixed(layer.of(policy)[index], 3);
    if (policy == CachePolicy::Lru && std::isfinite(layer.low[index]))
        out += " [" + formatFixed(layer.low[index], 3) + ", " + formatFixed(layer.high[index], 3) +
               "]";
    return out;
}

}  // namespace moescope
