// SPDX-License-Identifier: Apache-2.0
#include "reports/specialization_json.h"

#include <cmath>

namespace moescope {
namespace {

using nlohmann::json;

json number(double value) {
    return std::isfinite(value) ? json(value) : json();
}

/// One row of a (n_group, n_expert) matrix.
json rowJson(const std::vector<double>& matrix, std::size_t row, std::size_t columns) {
    json out = json::array();
    for (std::size_t i = row * columns; i < (row + 1) * columns; ++i)
        out.push_back(number(matrix[i]));
    return out;
}

json layerJson(const LayerSpecialization& layer, const std::vector<TextGroup>& groups) {
    const std::size_t experts = layer.dominant.size();
    json share = json::object(), lift = json::object();
    for (std::size_t g = 0; g < groups.size(); ++g) {
        share[groups[g].name] = rowJson(layer.probability, g, experts);
        lift[groups[g].name] = rowJson(layer.lift, g, experts);
    }
    return {{"layer", layer.layer},
            {"divergence_bits", number(layer.divergence)},
            {"mean_pairwise_divergence_bits", number(layer.meanPairwise)},
            {"chance_divergence_bits", number(layer.nullMean)},
            {"chance_divergence_bits_p95", number(layer.null95)},
            {"divergence_above_chance_bits", number(layer.excess())},
            {"p", number(layer.p)},
            {"q", number(layer.q)},
            {"expert_q", rowJson(layer.expertQ, 0, experts)},
            {"share", std::move(share)},
            {"lift", std::move(lift)}};
}

json leadingJson(const Specialization& of, std::size_t group) {
    constexpr std::size_t kShown = 16;
    json out = json::array();
    for (const GroupExpert& expert : leadingExperts(of, group, kShown))
        out.push_back({{"layer", expert.layer},
                       {"expert", expert.expert},
                       {"lift", expert.lift},
                       {"share", expert.share},
                       {"q", expert.q}});
    return out;
}

}  // namespace

json specializationJson(const Specialization& of) {
    if (of.empty()) return {{"reason", of.reason}};
    json groups = json::array(), layers = json::array();
    for (std::size_t g = 0; g < of.groups.size(); ++g)
        groups.push_back({{"name", of.groups[g].name},
                          {"sequences", of.groups[g].sequences},
                          {"assignments", of.groups[g].assignments},
                          {"leading_experts", leadingJson(of, g)}});
    for (const LayerSpecialization& layer : of.layers)
        layers.push_back(layerJson(layer, of.groups));
    return {{"groups", std::move(groups)},
            {"sequences_left_out", of.sequencesLeftOut},
            {"permutations", of.permutations},
            {"seed", of.seed},
            {"lift_threshold", of.liftThreshold},
            {"specialized_share", number(of.specializedShare)},
            {"chance_specialized_share", number(of.chanceShare)},
            {"specialized_share_p", number(of.shareP)},
            {"reliably_specialized_share", number(of.reliableShare)},
            {"mean_divergence_bits", number(of.meanDivergence)},
            {"chance_mean_divergence_bits", number(of.meanNull)},
            {"p", number(of.p)},
            {"layers", std::move(layers)}};
}

}  // namespace moescope
