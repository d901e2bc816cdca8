// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/expert_placement.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace moescope {
namespace {

struct Copy {
    int expert = 0;
    double load = 0;  ///< its share of the expert's
};

/// (n_expert) copies of each: one, and of the `total` others each to whom a copy carries most.
std::vector<int> copiesOf(std::span<const double> load, int gpus, int total) {
    std::vector<int> copies(load.size(), 1);
    for (int made = static_cast<int>(load.size()); made < total; ++made) {
        int heaviest = -1;
        for (std::size_t e = 0; e < load.size(); ++e) {
            if (copies[e] >= gpus) continue;
            if (heaviest < 0 ||
                load[e] / copies[e] > load[std::size_t(heaviest)] / copies[std::size_t(heaviest)])
                heaviest = static_cast<int>(e);
        }
        if (heaviest < 0) break;  // every GPU has every expert
        ++copies[std::size_t(heaviest)];
    }
    return copies;
}

/// Balanced packing: copies in the order of their load onto the lightest GPU that has room.
class Packer {
public:
    Packer(int gpus, int room, std::size_t experts)
        : room_(std::size_t(room)),
          held_(std::size_t(gpus)),
          holds_(std::size_t(gpus), std::vector<bool>(experts)),
          weight_(std::size_t(gpus)) {}

    void put(const Copy& copy) {
        const std::size_t gpu = lightest(copy.expert, false);
        if (gpu < held_.size()) {
            add(gpu, copy);
        } else {
            makeRoom(lightest(copy.expert, true), copy);
        }
    }

    std::vector<std::vector<int>> experts() const {
        std::vector<std::vector<int>> out(held_.size());
        for (std::size_t g = 0; g < held_.size(); ++g)
            for (const Copy& copy : held_[g]) out[g].push_back(copy.expert);
        return out;
    }

private:
    bool holds(std::size_t gpu, int expert) const { return holds_[gpu][std::size_t(expert)]; }

    /// With room, and with or without a copy of `expert`; held_.size() when there is none.
    std::size_t lightest(int expert, bool holding) const {
        std::size_t best = held_.size();
        for (std::size_t g = 0; g < held_.size(); ++g) {
            if (held_[g].size() >= room_ || holds(g, expert) != holding) continue;
            if (best == held_.size() || weight_[g] < weight_[best]) best = g;
        }
        return best;
    }

    void add(std::size_t gpu, const Copy& copy) {
        held_[gpu].push_back(copy);
        holds_[gpu][std::size_t(copy.expert)] = true;
        weight_[gpu] += copy.load;
    }

    /// All GPUs with room hold this expert: one without it, which is full, takes it and gives
    /// `roomy` a copy that `roomy` lacks. There is one, for it holds more experts than `roomy`
    /// does. Of all such exchanges the one after which the heavier of the two is lightest.
    void makeRoom(std::size_t roomy, const Copy& copy) {
        std::size_t giver = held_.size(), given = 0;
        double least = 0;
        for (std::size_t g = 0; g < held_.size(); ++g) {
            if (holds(g, copy.expert)) continue;
            for (std::size_t i = 0; i < held_[g].size(); ++i) {
                const Copy& other = held_[g][i];
                if (holds(roomy, other.expert)) continue;
                const double heavier =
                    std::max(weight_[roomy] + other.load, weight_[g] - other.load + copy.load);
                if (giver < held_.size() && heavier >= least) continue;
                least = heavier;
                giver = g;
                given = i;
            }
        }
        const Copy moved = std::exchange(held_[giver][given], copy);
        holds_[giver][std::size_t(moved.expert)] = false;
        holds_[giver][std::size_t(copy.expert)] = true;
        add(roomy, moved);
        weight_[giver] += copy.load - moved.load;
    }

    std::size_t room_;
    std::vector<std::vector<Copy>> held_;   // (n_gpu)
    std::vector<std::vector<bool>> holds_;  // (n_gpu, n_expert)
    std::vector<double> weight_;            // (n_gpu)
};

std::vector<std::vector<int>> pack(std::span<const double> load, const std::vector<int>& copies,
                                   int gpus, int room) {
    std::vector<Copy> order;
    for (std::size_t e = 0; e < load.size(); ++e)
        order.insert(order.end(), std::size_t(copies[e]),
                     Copy{static_cast<int>(e), load[e] / copies[e]});
    std::stable_sort(order.begin(), order.end(),
                     [](const Copy& a, const Copy& b) { return a.load > b.load; });
    Packer packer(gpus, room, load.size());
    for (const Copy& copy : order) packer.put(copy);
    return packer.experts();
}

}  // namespace

std::string_view placementPolicyName(PlacementPolicy policy) noexcept {
    switch (policy) {
        case PlacementPolicy::Contiguous:
            return "contiguous";
        case PlacementPolicy::Packed:
            return "packed";
        case PlacementPolicy::Replicated:
            return "replicated";
    }
    return "";
}

std::vector<double> ExpertPlacement::gpuLoad(std::span<const double> load) const {
    std::vector<double> out(std::size_t(gpus), 0.0);
    for (std::size_t g = 0; g < out.size(); ++g)
        for (const int expert : expertsOf[g])
            out[g] += load[std::size_t(expert)] / double(gpusOf[std::size_t(expert)].size());
    return out;
}

ExpertPlacement placeExperts(std::span<const double> load, PlacementPolicy policy, int gpus,
                             int redundant) {
    const int experts = static_cast<int>(load.size());
    ExpertPlacement out;
    out.gpus = gpus;
    const int copies = experts + (policy == PlacementPolicy::Replicated ? redundant : 0);
    out.expertsPerGpu = std::min((copies + gpus - 1) / gpus, experts);
    if (policy == PlacementPolicy::Contiguous) {
        out.expertsOf.resize(std::size_t(gpus));
        for (int e = 0; e < experts; ++e)
            out.expertsOf[std::size_t(std::int64_t{e} * gpus / experts)].push_back(e);
    } else {
        const bool replicate = policy == PlacementPolicy::Replicated && redundant > 0;
        const int total = replicate ? out.expertsPerGpu * gpus : experts;
        out.expertsOf = pack(load, copiesOf(load, gpus, total), gpus, out.expertsPerGpu);
    }
    out.gpusOf.resize(load.size());
    for (int g = 0; g < gpus; ++g)
        for (const int expert : out.expertsOf[std::size_t(g)])
            out.gpusOf[std::size_t(expert)].push_back(g);
    return out;
}

}  // namespace moescope
