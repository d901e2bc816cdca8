// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/depth_profile.h"

#include <algorithm>

#include "engine/core/file.h"

namespace moescope {
namespace {

/// More than any model has: a hostile file must not squeeze all layers into one point.
constexpr int kMaxLayers = 4096;

int layersOfModel(const RunSummary& run) {
    int rows = 0;
    const auto count = [&](int layer) {
        if (layer < kMaxLayers) rows = std::max(rows, layer + 1);
    };
    for (const LayerRouting& layer : run.routing) count(layer.layer);
    for (const auto& [layer, ns] : run.layerNs) count(layer);
    const auto meta = run.meta.find("routing");
    if (meta == run.meta.end()) return rows;
    const nlohmann::json routing = looseJson(meta->second);
    if (!routing.is_object() || !routing.contains("layers") ||
        !routing["layers"].is_number_integer())
        return rows;
    const auto said = routing["layers"].get<std::int64_t>();
    return said > rows && said <= kMaxLayers ? static_cast<int>(said) : rows;
}

double nsPerToken(const RunSummary& run, int layer) {
    const std::int64_t tokens = run.prefill.tokens + run.decode.tokens;
    const auto found = run.layerNs.find(layer);
    return found == run.layerNs.end() || tokens <= 0
               ? DepthLayer::kUnknown
               : static_cast<double>(found->second) / static_cast<double>(tokens);
}

}  // namespace

DepthProfile depthProfile(const RunSummary& run) {
    DepthProfile out;
    out.layers = layersOfModel(run);
    for (const LayerRouting& layer : run.routing) {
        if (layer.layer < 0 || layer.layer >= out.layers || layer.balance.tokens <= 0) continue;
        DepthLayer at;
        at.layer = layer.layer;
        at.depth = (layer.layer + 0.5) / out.layers;
        at.normalizedEntropy = layer.balance.normalizedEntropy;
        at.chanceEntropy = layer.null.normalizedEntropy;
        at.excess = layer.excess;
        if (!layer.counts.empty())
            at.effectiveShare =
                layer.balance.effectiveExperts / static_cast<double>(layer.counts.size());
        at.nsPerToken = nsPerToken(run, layer.layer);
        out.of.push_back(at);
    }
    std::sort(out.of.begin(), out.of.end(),
              [](const DepthLayer& a, const DepthLayer& b) { return a.layer < b.layer; });
    if (out.of.empty())
        out.reason =
            "It recorded no expert routing: profiles and evaluations of models with experts do, "
            "and published traces have it.";
    return out;
}

}  // namespace moescope
