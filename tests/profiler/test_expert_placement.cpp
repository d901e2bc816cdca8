// SPDX-License-Identifier: Apache-2.0
// Worked values: the README of EPLB (github.com/deepseek-ai/EPLB, commit d52c72d5) under its global
// policy, computed by its own algorithm.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <set>

#include "profiler/simulation/drawn.h"
#include "profiler/simulation/expert_placement.h"

using namespace moescope;

namespace {

const std::vector<double> kLayer0{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
const std::vector<double> kLayer1{20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27};

double maxOverMean(const std::vector<double>& load) {
    return *std::max_element(load.begin(), load.end()) * double(load.size()) /
           std::accumulate(load.begin(), load.end(), 0.0);
}

double imbalance(const std::vector<double>& load, PlacementPolicy policy, int gpus,
                 int redundant = 0) {
    return maxOverMean(placeExperts(load, policy, gpus, redundant).gpuLoad(load));
}

/// Every expert has a copy, no GPU holds one twice, none is over its room, both tables agree.
void requireSound(const ExpertPlacement& placement, std::size_t experts) {
    REQUIRE(placement.gpusOf.size() == experts);
    std::size_t copies = 0, held = 0;
    for (const auto& gpus : placement.gpusOf) {
        REQUIRE_FALSE(gpus.empty());
        REQUIRE(std::set<int>(gpus.begin(), gpus.end()).size() == gpus.size());
        copies += gpus.size();
    }
    for (const auto& held_ : placement.expertsOf) {
        REQUIRE(held_.size() <= std::size_t(placement.expertsPerGpu));
        REQUIRE(std::set<int>(held_.begin(), held_.end()).size() == held_.size());
        held += held_.size();
    }
    REQUIRE(copies == held);
}

}  // namespace

TEST_CASE("packing without copies gives EPLB's loads") {
    const ExpertPlacement placed = placeExperts(kLayer0, PlacementPolicy::Packed, 4);
    CHECK(placed.expertsOf ==
          std::vector<std::vector<int>>{{10, 3, 7}, {5, 8, 6}, {1, 11, 2}, {4, 0, 9}});
    CHECK(placed.gpuLoad(kLayer0) == std::vector<double>{248, 277, 258, 250});
    CHECK(imbalance(kLayer0, PlacementPolicy::Packed, 4) == Approx(1.072604).epsilon(1e-6));
    CHECK(imbalance(kLayer1, PlacementPolicy::Packed, 4) == Approx(1.010381).epsilon(1e-6));
    CHECK(imbalance(kLayer0, PlacementPolicy::Contiguous, 4) == Approx(1.277832).epsilon(1e-6));
    CHECK(imbalance(kLayer1, PlacementPolicy::Contiguous, 4) == Approx(1.785467).epsilon(1e-6));
}

TEST_CASE("copies go to the experts with the most load a copy, as EPLB makes them") {
    const ExpertPlacement placed = placeExperts(kLayer0, PlacementPolicy::Replicated, 8, 4);
    requireSound(placed, kLayer0.size());
    std::vector<std::size_t> copies;
    for (const auto& gpus : placed.gpusOf) copies.push_back(gpus.size());
    CHECK(copies == std::vector<std::size_t>{1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1});
    // Where EPLB puts both copies of an expert on one GPU (1.072604, 1.066796) they go apart.
    CHECK(imbalance(kLayer0, PlacementPolicy::Replicated, 8, 4) == Approx(1.076476).epsilon(1e-6));
    CHECK(imbalance(kLayer0, PlacementPolicy::Replicated, 4, 4) == Approx(1.047435).epsilon(1e-6));
    // Nothing to mend: as EPLB has it.
    CHECK(imbalance(kLayer1, PlacementPolicy::Replicated, 8, 4) == Approx(1.190311).epsilon(1e-6));
    CHECK(imbalance(kLayer1, PlacementPolicy::Replicated, 4, 4) == Approx(1.010381).epsilon(1e-6));
}

TEST_CASE("no expert has more copies than there are GPUs, where EPLB would waste a slot") {
    const std::vector<double> load{8, 4, 3, 1};
    const ExpertPlacement placed = placeExperts(load, PlacementPolicy::Replicated, 2, 2);
    requireSound(placed, 4);
    CHECK(placed.expertsPerGpu == 3);
    CHECK(placed.gpusOf[0] == std::vector<int>{0, 1});
    CHECK(placed.gpusOf[1] == std::vector<int>{0, 1});
    CHECK(placed.gpuLoad(load) == std::vector<double>{9, 7});
    CHECK(placeExperts(load, PlacementPolicy::Packed, 2).gpuLoad(load) ==
          std::vector<double>{9, 7});
}

TEST_CASE("with as many copies as expertsPerGpu for all every GPU has every expert") {
    const ExpertPlacement placed =
        placeExperts(std::vector<double>{5, 1, 1}, PlacementPolicy::Replicated, 3, 100);
    requireSound(placed, 3);
    CHECK(placed.expertsPerGpu == 3);
    for (const auto& gpus : placed.gpusOf) CHECK(gpus.size() == 3);
}

TEST_CASE("experts that do not divide evenly fill the GPUs within one of each other") {
    const std::vector<double> load(10, 1.0);
    for (const PlacementPolicy policy : {PlacementPolicy::Contiguous, PlacementPolicy::Packed}) {
        const ExpertPlacement placed = placeExperts(load, policy, 4);
        requireSound(placed, 10);
        for (const auto& held : placed.expertsOf) CHECK((held.size() == 2 || held.size() == 3));
    }
}

TEST_CASE("placements of any load are sound, the load of nobody among them") {
    Drawn draw(3);
    for (int trial = 0; trial < 500; ++trial) {
        std::vector<double> load(1 + draw.below(40));
        for (double& value : load) value = double(draw.below(4) == 0 ? draw.below(1000) : 0);
        const int gpus = int(1 + draw.below(load.size()));
        const int redundant = int(draw.below(3 * load.size()));
        for (const PlacementPolicy policy : kPlacementPolicies) {
            const ExpertPlacement placed = placeExperts(load, policy, gpus, redundant);
            requireSound(placed, load.size());
            const std::vector<double> loads = placed.gpuLoad(load);
            CHECK(std::accumulate(loads.begin(), loads.end(), 0.0) ==
                  Approx(std::accumulate(load.begin(), load.end(), 0.0)));
        }
    }
}
