// SPDX-License-Identifier: Apache-2.0
// Does a hot expert cost time? Time of each launch of the experts against its own expert load.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/operation_columns.h"
#include "profiler/analysis/regression.h"

namespace moescope {

/// One launch: operation "experts" of one layer in one step, with the load that it had to serve.
/// Several kernels of one launch are added up.
struct ExpertLaunch {
    int step = 0;  ///< index into the run's steps
    int layer = 0;
    std::int64_t tokens = 0;
    std::int64_t activeExperts = 0;  ///< chosen by at least one token
    std::int64_t hottestLoad = 0;    ///< tokens of the busiest expert
    int hottestExpert = -1;
    std::int64_t assignments = 0;
    std::int64_t ns = 0;
    std::int64_t bytes = 0;  ///< by the engine's count: of the active experts
    /// Load of the busiest expert over the mean of all `experts`; 1 is even.
    double maxOverMean(int experts) const noexcept;
};

/// Launches of one quarter of the load, by maxOverMean within launches of about as many tokens.
struct LoadQuarter {
    std::int64_t launches = 0;
    double meanHottestLoad = 0, meanActiveExperts = 0, meanMaxOverMean = 0;
    double nsPerToken = 0;  ///< sum of times / sum of tokens
};

struct ExpertLoadPhase {
    std::string phase;
    std::int64_t launches = 0, tokens = 0;
    double meanNs = 0;
    /// Nanoseconds of a launch on "tokens", "active experts" and "hottest expert's tokens", each
    /// layer with a level of its own, errors clustered by step, launches that something else
    /// disturbed clipped (Huber). The last answers the question: what one more token in the
    /// busiest expert costs, at equal tokens and equal active experts.
    Regression fit;
    std::vector<LoadQuarter> quarters;  ///< four, coolest first; empty below 8 launches that vary
    std::string verdict;                ///< one sentence for a person
    /// What the fit rests on, in sentences; empty when nothing is estimated.
    std::string basis() const;
};

struct ExpertLoad {
    std::vector<ExpertLaunch> launches;   ///< by step, then layer
    std::vector<ExpertLoadPhase> phases;  ///< "prefill", "decode": those that have launches
    std::string reason;                   ///< why there is nothing; empty when there is something
};

/// Needs times of operations and each token's experts (`--routing-tokens`); a step's tokens are
/// found by sequence and position. Launches whose tokens are not all routed are left out. Throws
/// Error naming the file when it is damaged.
ExpertLoad expertLoad(const RunReader& run, std::span<const StepRow> steps,
                      const OperationColumns& operations, int experts);

/// The same from launches at hand; `experts` of a layer (0: unknown).
std::vector<ExpertLoadPhase> expertLoadPhases(std::span<const ExpertLaunch> launches,
                                              std::span<const StepRow> steps, int experts);

}  // namespace moescope
