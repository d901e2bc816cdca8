// SPDX-License-Identifier: Apache-2.0
// Expert cache: what fast memory that holds some of the experts would find of this run's routing,
// and what loading the others would cost.
#include <algorithm>

#include "reports/cache_curves.h"
#include "reports/cache_text.h"
#include "reports/html/escape.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

HtmlCell fixed(double value, int decimals) {
    return {formatFixed(value, decimals), value};
}

std::string hitsTable(const ExpertCache& of, const std::vector<int>& sizes,
                      const std::string& caption) {
    std::vector<HtmlColumn> columns = {{"experts of each layer", true}};
    for (const CachePolicyName& name : cachePolicies())
        columns.push_back({name.title, true, name.note});
    columns.push_back(
        {"uniform router", true, "of LRU, LFU and a static set; the optimum would find more"});
    HtmlTable table(caption, columns);
    for (const int size : sizes) {
        std::vector<HtmlCell> cells = {formatCount(size)};
        for (const CachePolicyName& name : cachePolicies())
            cells.emplace_back(hitsText(of.all, name.policy, of.index(size)));
        cells.emplace_back(formatFixed(of.uniformHits(size), 3));
        table.row(std::move(cells));
    }
    return table.html();
}

std::string offloadTable(const ExpertCache& of, const ExpertBytes& bytes,
                         const std::vector<int>& sizes) {
    std::vector<HtmlColumn> columns = {
        {"experts of each layer", true}, {"fast memory", true}, {"loaded per token", true}};
    for (const Link& link : usualLinks()) {
        columns.push_back({link.name, true, "time that a token waits"});
        columns.push_back({"at most", true, "tokens a second if computing took no time"});
    }
    HtmlTable table("Loads of LRU in decoding one sequence, all layers together", columns);
    for (const int size : sizes) {
        const double loaded = loadedBytes(of, bytes, CachePolicy::Lru, size);
        std::vector<HtmlCell> cells = {formatCount(size), formatBytes(cacheBytes(bytes, size)),
                                       formatBytes(loaded)};
        for (const Link& link : usualLinks()) {
            const double most = mostTokensPerSecond(loaded, link);
            cells.emplace_back(formatDuration(loadNs(loaded, link)));
            cells.emplace_back(most > 0 ? formatRate(most) + " tok/s" : kNoBound);
        }
        table.row(std::move(cells));
    }
    return table.html();
}

std::string layerTable(const ExpertCache& of, const std::vector<int>& sizes) {
    std::vector<HtmlColumn> columns = {
        {"layer"},
        {"reuse", true, "share of a token's experts that the token before it had chosen"}};
    for (const int size : sizes)
        columns.push_back({"LRU of " + std::to_string(size), true, "hits"});
    HtmlTable table("Reuse, and hits of LRU, by layer", columns, true);
    for (const CacheLayer& layer : of.layers) {
        std::vector<HtmlCell> cells = {{std::to_string(layer.layer), double(layer.layer)},
                                       fixed(layer.reuse, 3)};
        for (const int size : sizes)
            cells.push_back(fixed(layer.of(CachePolicy::Lru)[of.index(size)], 3));
        table.row(std::move(cells));
    }
    return table.html();
}

std::string stepTable(const ExpertCache& of) {
    HtmlTable table("Different experts that a step reads, mean of the layers",
                    {{"tokens", true, "each of another text"},
                     {"experts", true},
                     {"of a uniform router", true, "E (1 - (1 - k/E)^tokens)"}});
    for (std::size_t i = 0; i < kStepTokens.size(); ++i)
        table.row({formatCount(kStepTokens[i]), formatFixed(of.all.distinct[i], 1),
                   formatFixed(of.uniformDistinct(kStepTokens[i]), 1)});
    return table.html();
}

}  // namespace

std::string renderCache(const ReportRun& run, const SectionContext& at) {
    const ExpertCache& of = run.cache;
    if (of.empty())
        return paragraph(of.reason.empty() ? "This run recorded no expert routing." : of.reason);
    std::string out = paragraph(
        "How to read it: a machine whose fast memory has no room for every expert keeps some of "
        "each layer there and loads the others when a token needs them. A hit is an expert that "
        "is there; below are the hits of this run's own routing.");
    for (const std::string& sentence : cacheSentences(of, run.expertBytes))
        out += paragraph(sentence);
    const std::vector<int> sizes = shownSizes(of);
    const std::vector<int> drawn = curveSizes(of);
    std::vector<std::size_t> marked;
    for (std::size_t i = 0; i < drawn.size(); ++i)
        if (std::find(sizes.begin(), sizes.end(), drawn[i]) != sizes.end()) marked.push_back(i);
    out += at.heading(1, "Hits by size of the cache");
    out += "<figure>\n" +
           curveChart({at.id("cache"), "Hits by experts of each layer in fast memory",
                       "A line for each policy. The table after the figure has the numbers."},
                      cacheCurves(of, of.all), marked) +
           "<figcaption>Share of the experts that tokens need which are in fast memory, mean of "
           "the layers.</figcaption></figure>\n";
    out += hitsTable(of, sizes, "Hits, mean of the layers");
    out += htmlDetails("Table: hits of each size drawn",
                       hitsTable(of, drawn, "Hits of each size drawn, mean of the layers"));
    if (!run.expertBytes.empty()) {
        out += at.heading(1, "What the misses cost");
        out += offloadTable(of, run.expertBytes, sizes);
    }
    out += at.heading(1, "By layer");
    out += layerTable(of, sizes);
    out += at.heading(1, "Experts of a step");
    return out + stepTable(of);
}

}  // namespace moescope
