// SPDX-License-Identifier: Apache-2.0
// moescope cache: how often experts would be found in fast memory that holds only some of each
// layer, for the routing of a run, and what loading the others would cost.
#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>

#include "cli/command.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/trace_part.h"
#include "engine/core/error.h"
#include "profiler/analysis/run_analysis.h"
#include "reports/cache_json.h"
#include "reports/cache_text.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

constexpr const char* kExplanation =
    "\nC: experts of each layer in fast memory. Hits: share of the experts that tokens need which "
    "are there.\n"
    "LRU throws out what was used longest ago (95 % interval over texts), LFU what was used least "
    "often,\n"
    "the optimum what is used again last: no policy finds more. A static set never changes; what "
    "it "
    "lacks\n"
    "passes through and needs room beside it. Held out: chosen from one half of the texts, tried "
    "on the other.\n";

std::vector<Link> linksOf(const Options& options) {
    if (!options.has("link")) return {usualLinks().begin(), usualLinks().end()};
    std::vector<Link> links;
    for (const double speed : options.get<std::vector<double>>("link")) {
        if (!std::isfinite(speed) || !(speed > 0)) throw UsageError("--link takes GB/s above 0");
        links.push_back({formatSignificant(speed) + " GB/s", speed * 1e9});
    }
    return links;
}

/// What the run tells, where --expert-bytes does not.
ExpertBytes bytesOf(const Options& options, const RunReader& reader, const AnalysedRun& run,
                    const ExpertCache& cache) {
    if (options.has("expert-bytes"))
        return ExpertBytes(cache.layers.size(), options.get<double>("expert-bytes"));
    return expertBytes(reader, run.analysis.expertLoad.launches, cache);
}

std::vector<int> sizesOf(const Options& options, const ExpertCache& cache) {
    if (!options.has("sizes")) return shownSizes(cache);
    return parseIntList(options.get<std::string>("sizes"), "--sizes", cache.experts,
                        cache.leastSize);
}

void printSteps(const ExpertCache& cache) {
    TextTable table({"tokens", "different experts", "of a uniform router"});
    for (std::size_t i = 0; i < kStepTokens.size(); ++i)
        table.row({std::to_string(kStepTokens[i]), formatFixed(cache.all.distinct[i], 1),
                   formatFixed(cache.uniformDistinct(kStepTokens[i]), 1)});
    std::cout << "\nIn a step of tokens of as many texts, mean of the layers:\n\n" << table.text();
}

void printHits(const ExpertCache& cache, const std::vector<int>& sizes) {
    std::vector<std::string> header{"C"};
    for (const CachePolicyName& name : cachePolicies()) header.emplace_back(name.title);
    header.emplace_back("uniform");
    TextTable table(header);
    for (const int size : sizes) {
        std::vector<std::string> cells{std::to_string(size)};
        for (const CachePolicyName& name : cachePolicies())
            cells.push_back(hitsText(cache.all, name.policy, cache.index(size)));
        cells.push_back(formatFixed(cache.uniformHits(size), 3));
        table.row(std::move(cells));
    }
    std::cout << "\nHits, mean of the layers:\n\n" << table.text();
}

void printLayers(const ExpertCache& cache, const std::vector<int>& sizes) {
    std::vector<std::string> header{"layer", "reuse"};
    for (const int size : sizes) header.push_back("C " + std::to_string(size));
    TextTable table(header);
    const auto row = [&](const CacheLayer& layer, const std::string& name) {
        std::vector<std::string> cells{name, formatFixed(layer.reuse, 3)};
        for (const int size : sizes)
            cells.push_back(formatFixed(layer.of(CachePolicy::Lru)[cache.index(size)], 3));
        table.row(std::move(cells));
    };
    for (const CacheLayer& layer : cache.layers) row(layer, std::to_string(layer.layer));
    row(cache.all, "mean");
    std::cout << "\nHits of LRU by layer; reuse: experts that the token before had chosen too:\n\n"
              << table.text();
}

void printCost(const ExpertCache& cache, const ExpertBytes& bytes, const std::vector<int>& sizes,
               const std::vector<Link>& links) {
    if (bytes.empty()) return;
    std::vector<std::string> header{"C", "fast memory", "loaded per token"};
    for (const Link& link : links) {
        header.push_back(link.name);
        header.emplace_back("at most");
    }
    TextTable table(header);
    for (const int size : sizes) {
        const double loaded = loadedBytes(cache, bytes, CachePolicy::Lru, size);
        std::vector<std::string> cells{std::to_string(size), formatBytes(cacheBytes(bytes, size)),
                                       formatBytes(loaded)};
        for (const Link& link : links) {
            cells.push_back(formatDuration(loadNs(loaded, link)));
            const double most = mostTokensPerSecond(loaded, link);
            cells.push_back(std::isfinite(most) ? formatRate(most) + " tok/s" : kNoBound);
        }
        table.row(std::move(cells));
    }
    const auto [least, greatest] = std::minmax_element(bytes.begin(), bytes.end());
    std::cout << "\nLoads of LRU for one sequence; an expert has " << formatBytes(*least);
    if (formatBytes(*least) != formatBytes(*greatest))
        std::cout << " to " << formatBytes(*greatest) << ", by layer";
    std::cout << ":\n\n" << table.text();
}

}  // namespace

int runCache(const Invocation& invocation) {
    Options options("cache");
    options.positional("run", 1, "a run file that holds the experts of each token");
    options.add("sizes", po::value<std::string>()->value_name("C,.."),
                "experts of each layer in fast memory; default: eighths of all");
    options.add("by", po::value<std::string>()->default_value("size")->value_name("WHAT"),
                "size: all policies; layer: LRU in every layer");
    addTracePart(options);
    options.flag("warm",
                 "keep the cache from text to text; default: each begins with an empty one");
    options.flag("one-by-one",
                 "a token's experts may throw each other out, as published simulators count");
    options.add("expert-bytes", po::value<double>()->value_name("N"),
                "bytes of one expert; default: what the run read of them, or its model's");
    options.add("link", po::value<std::vector<double>>()->composing()->value_name("GB/S"),
                "what loads come over, in place of PCIe 4.0 and 5.0 x16 and NVLink-C2C; may be "
                "repeated");
    options.flag("json", "print one JSON document");
    options.epilog(
        "Needs each token's experts: moescope profile --routing-tokens, or an import. Tokens are "
        "taken one\nat a time, as in decoding one sequence; definitions: docs/metrics.md, Expert "
        "cache.");
    if (!options.parse(invocation)) return kDone;
    const TracePart part = tracePart(options);
    const std::string by = options.get<std::string>("by");
    if (by != "size" && by != "layer")
        throw UsageError("--by takes one of size, layer, not '" + by + "'");
    const std::vector<Link> links = linksOf(options);
    if (options.has("expert-bytes")) {
        const double bytes = options.get<double>("expert-bytes");
        if (!std::isfinite(bytes) || !(bytes >= 1))
            throw UsageError("--expert-bytes takes a number of bytes from 1");
    }

    const std::string path = options.get<std::vector<std::string>>("run").front();
    const RunReader reader(path, options.stop());
    const AnalysedRun run = analyse(reader);
    const ExpertCache cache =
        expertCache(routingTrace(reader, run.summary.experts, part, options.stop()),
                    {.warm = options.isSet("warm"),
                     .oneByOne = options.isSet("one-by-one"),
                     .stop = options.stop()});
    if (cache.empty()) throw Error(path + ": " + cache.reason);
    const std::vector<int> sizes = sizesOf(options, cache);
    const ExpertBytes bytes = bytesOf(options, reader, run, cache);
    if (options.isSet("json")) {
        nlohmann::json document = cacheJson(cache, bytes, sizes, links);
        document["run"] = path;
        document["part"] = options.get<std::string>("part");
        printJson("cache", document);
        return kDone;
    }
    std::cout << cache.layers.size() << " layers, " << cache.experts << " experts, top-"
              << cache.topK << '\n';
    for (const std::string& sentence : cacheSentences(cache, bytes, links))
        std::cout << sentence << '\n';
    if (by == "layer") {
        printLayers(cache, sizes);
    } else {
        printSteps(cache);
        printHits(cache, sizes);
        std::cout << kExplanation;
        printCost(cache, bytes, sizes, links);
    }
    return kDone;
}

}  // namespace moescope::cli
