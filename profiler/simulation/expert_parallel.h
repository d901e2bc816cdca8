// SPDX-License-Identifier: Apache-2.0
// How evenly several GPUs are loaded when the experts of each layer are spread over them and tokens
// are routed as this run routed them. Definitions and sources: docs/metrics.md, Experts on several
// GPUs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiler/simulation/expert_placement.h"
#include "profiler/simulation/routing_trace.h"

namespace moescope {

/// What a step is made of: decoding sequences side by side, or evaluating prompts in one piece.
enum class StepMix : std::uint8_t {
    Decode,  ///< each token of another text, as long as there are texts
    Prefill  ///< consecutive tokens, text behind text
};

/// On which texts a placement is decided, and on which it is judged: never on the same.
enum class HeldOut : std::uint8_t {
    Halves,  ///< random halves of the texts, each judged by the placement of the other
    Groups   ///< each group of texts, judged by the placement of all others: an unknown workload
};

struct ExpertParallelOptions {
    std::vector<int> gpus{1, 2, 4, 8};  ///< each at least 1; more than there are experts: left out
    int tokens = 64;                    ///< of a step, over all GPUs
    StepMix mix = StepMix::Decode;
    int redundant = -1;  ///< further copies in a layer (Replicated); -1: one for each GPU
    HeldOut heldOut = HeldOut::Halves;
    int splits = 5;   ///< of HeldOut::Halves; each judges twice
    int steps = 200;  ///< drawn from each judged part; fewer where tokens and layers are many
    /// (n_layer x n_expert) load of another run to decide placements on; empty: this run's own.
    std::vector<double> history;
    std::uint64_t seed = 1;
    const StopFlag* stop = nullptr;  ///< set: throws Interrupted
};

/// One number of GPUs under one policy. All are means over judged parts, steps and layers unless
/// they say otherwise; a step's figure is that of one layer. NaN: cannot be told.
struct PlacementFigures {
    int gpus = 0;
    PlacementPolicy policy = PlacementPolicy::Contiguous;
    int expertsPerGpu = 0;  ///< experts of a layer that each GPU holds
    /// Busiest GPU's assignments over the mean of the GPUs, within a step: what a step waits for.
    double imbalance = 0;
    double lowest = 0, highest = 0;  ///< of the judged parts' means of `imbalance`
    double accumulated = 0;          ///< the same of all judged tokens together: flatters
    double accumulatedInSample =
        0;                      ///< .. and judged by the texts it was decided on: flatters more
    double busiestTokens = 0;   ///< assignments of the busiest GPU
    double busiestExperts = 0;  ///< experts that some token chose, on the GPU with most of them
    double activeExperts = 0;   ///< the same of all GPUs together, each copy counted
    double destinations = 0;    ///< GPUs that hold a token's experts
    double arrivals = 0;        ///< tokens that come to the busiest GPU from others
    std::vector<double> layerImbalance;  ///< (n_layer) `imbalance` of each
    /// (n_layer, n_gpu) assignments over the mean, the busiest GPU of each step first.
    std::vector<double> rankedLoad;
    /// (n_layer, n_gpu) the same by the GPU's number, whose experts each judged part may place
    /// anew.
    std::vector<double> gpuLoad;
};

/// A router without favourites: k of E experts for each token, placed contiguously.
struct ParallelChance {
    int gpus = 0;
    double imbalance = 0, busiestExperts = 0, destinations = 0;
};

struct ExpertParallel {
    std::string reason;  ///< why there are no figures, a sentence; empty when there are
    int experts = 0, topK = 0;
    std::vector<int> layers;
    std::int64_t texts = 0, tokensRouted = 0;
    ExpertParallelOptions options;  ///< as they were used: `steps` may be fewer
    int parts = 0;                  ///< judged: twice the splits, or the groups
    std::int64_t textsOfSmallestPart = 0;
    std::vector<PlacementFigures> figures;  ///< by gpus, then policy
    std::vector<ParallelChance> chance;     ///< by gpus

    bool empty() const noexcept { return figures.empty(); }
    const PlacementFigures* find(int gpus, PlacementPolicy policy) const noexcept;
    const ParallelChance* chanceOf(int gpus) const noexcept;
    /// imbalance over what chance shows; NaN where either is not known.
    double excess(const PlacementFigures& of) const noexcept;
};

/// Deterministic for a seed. Policies that need a load to be decided on are left out, with the
/// reason, where texts are too few to be judged apart (two, or two groups). Never throws for what
/// a trace may hold.
ExpertParallel expertParallel(const RoutingTrace& trace, const ExpertParallelOptions& options = {});

/// (n_layer x n_expert) assignments of another run in the layers of `trace`, for
/// ExpertParallelOptions::history. Throws Error naming the file when it has not these layers, other
/// experts, or is damaged.
std::vector<double> historyLoad(const RunReader& run, const RoutingTrace& trace);

/// (n_layer) placements decided on all texts of the trace or, where given, on `options.history`:
/// what one would run with. 1 <= gpus <= experts.
std::vector<ExpertPlacement> placementsToUse(const RoutingTrace& trace,
                                             const ExpertParallelOptions& options,
                                             PlacementPolicy policy, int gpus);

/// (n_model_layer, n_gpu x experts of each) the expert in each place, GPU by GPU, of
/// placementsToUse: what SGLang's --init-expert-location calls physical_to_logical_map. Layers of
/// the model without experts get ids in turn. Throws Error when the GPUs would not hold as many
/// experts each, which servers ask for.
std::vector<std::vector<int>> physicalExperts(const RoutingTrace& trace,
                                              const ExpertParallelOptions& options,
                                              PlacementPolicy policy, int gpus, int modelLayers);

/// GPUs that hold the experts of one token under a uniform router and contiguous placement,
/// G (1 - C(E - E/G, k) / C(E, k)): exact where G divides E.
double uniformDestinations(int experts, int topK, int gpus) noexcept;

}  // namespace moescope
