// SPDX-License-Identifier: Apache-2.0
#include "reports/cache_json.h"

#include "reports/cache_text.h"
#include "reports/json_number.h"

namespace moescope {
namespace {

using nlohmann::json;

/// By policy, one array with a place for each size.
json hitsJson(const ExpertCache& of, const CacheLayer& layer, std::span<const int> sizes) {
    json out = json::object();
    const auto column = [&](const std::vector<double>& values) {
        json array = json::array();
        for (const int size : sizes) array.push_back(jsonNumber(values[of.index(size)]));
        return array;
    };
    for (const CachePolicyName& name : cachePolicies())
        out[name.key] = column(layer.of(name.policy));
    out["lru_low"] = column(layer.low);
    out["lru_high"] = column(layer.high);
    return out;
}

json layerJson(const ExpertCache& of, const CacheLayer& layer, std::span<const int> sizes) {
    json distinct = json::array();
    for (const double experts : layer.distinct) distinct.push_back(jsonNumber(experts));
    return {{"reuse", jsonNumber(layer.reuse)},
            {"distinct_experts", std::move(distinct)},
            {"hits", hitsJson(of, layer, sizes)}};
}

/// `figure` of what is loaded under each policy.
template <class Figure>
json byPolicy(const ExpertCache& of, const ExpertBytes& bytes, int size, Figure figure) {
    json out = json::object();
    for (const CachePolicyName& name : cachePolicies())
        out[name.key] = jsonNumber(figure(loadedBytes(of, bytes, name.policy, size)));
    return out;
}

json offloadJson(const ExpertCache& of, const ExpertBytes& bytes, std::span<const int> sizes,
                 std::span<const Link> links) {
    json rows = json::array();
    for (const int size : sizes) {
        json times = json::array();
        for (const Link& link : links)
            times.push_back(
                {{"link", link.name},
                 {"bytes_per_second", link.bytesPerSecond},
                 {"ns_per_token",
                  byPolicy(of, bytes, size, [&](double loaded) { return loadNs(loaded, link); })},
                 {"most_tokens_per_second", byPolicy(of, bytes, size, [&](double loaded) {
                      return mostTokensPerSecond(loaded, link);
                  })}});
        rows.push_back({{"size", size},
                        {"cache_bytes", jsonNumber(cacheBytes(bytes, size))},
                        {"loaded_bytes_per_token",
                         byPolicy(of, bytes, size, [](double loaded) { return loaded; })},
                        {"links", std::move(times)}});
    }
    return rows;
}

}  // namespace

json cacheJson(const ExpertCache& of, const ExpertBytes& bytes, std::span<const int> sizes,
               std::span<const Link> links) {
    if (of.empty()) return {{"reason", of.reason}};
    json layers = json::array(), uniformHits = json::array(), uniformDistinct = json::array();
    for (std::size_t l = 0; l < of.layers.size(); ++l) {
        layers.push_back(layerJson(of, of.layers[l], sizes));
        layers.back()["layer"] = of.layers[l].layer;
        layers.back()["expert_bytes"] = bytes.empty() ? json() : jsonNumber(bytes[l]);
    }
    for (const int size : sizes) uniformHits.push_back(of.uniformHits(size));
    for (const int tokens : kStepTokens) uniformDistinct.push_back(of.uniformDistinct(tokens));
    return {{"experts", of.experts},
            {"top_k", of.topK},
            {"texts", of.texts},
            {"tokens", of.tokens},
            {"texts_left_out", of.textsLeftOut},
            {"tokens_left_out", of.tokensLeftOut},
            {"cache_start", of.warm ? "warm" : "cold"},
            {"token_experts", of.oneByOne ? "one by one" : "together"},
            {"sizes", sizes},
            {"step_tokens", kStepTokens},
            {"uniform",
             {{"reuse", of.chanceReuse()},
              {"distinct_experts", std::move(uniformDistinct)},
              {"hits", std::move(uniformHits)}}},
            {"all", layerJson(of, of.all, sizes)},
            {"layers", std::move(layers)},
            {"offload", bytes.empty() ? json() : offloadJson(of, bytes, sizes, links)}};
}

}  // namespace moescope
