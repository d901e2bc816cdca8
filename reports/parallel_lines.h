// SPDX-License-Identifier: Apache-2.0
// Experts on several GPUs, as the terminal, the pages and the window show them: one table of
// columns for all.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "profiler/simulation/parallel_cost.h"

namespace moescope {

/// A simulation with what it takes to say what it costs.
struct ParallelForecast {
    ExpertParallel of;
    ExpertShape shape;                      ///< known() or no costs are told
    const GpuHardware* hardware = nullptr;  ///< one of gpuHardware(), or outlives this
};

/// Of a run's routing with default options, on the first of gpuHardware().
ParallelForecast parallelForecast(const RunReader& run, const RoutingTrace& trace);

/// One number of GPUs under one policy.
struct ParallelLine {
    int gpus = 0;
    std::string policy;
    const PlacementFigures* figures = nullptr;
    const ParallelChance* chance = nullptr;
    double excess = 0;  ///< NaN: not known
    std::optional<ParallelCost> cost;
    int tokens = 0;  ///< of a step
};
/// Point into `forecast`.
std::vector<ParallelLine> parallelLines(const ParallelForecast& forecast);

struct ParallelColumn {
    const char* title;
    const char* help;
    bool cost;  ///< needs ParallelLine::cost
    std::string (*text)(const ParallelLine& line);
    double (*value)(const ParallelLine& line);  ///< to sort by; null: by the text
};
/// Those that apply: the ones of costs only where they are told.
std::vector<ParallelColumn> parallelColumns(const ParallelForecast& forecast);

/// What was simulated, what it shows, and what limits it. Plain text; the reason where there is
/// nothing.
std::vector<std::string> parallelSentences(const ParallelForecast& forecast);

/// {"reason": ..} or all figures; what is not known is null.
nlohmann::json parallelJson(const ParallelForecast& forecast);

}  // namespace moescope
