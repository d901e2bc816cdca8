// SPDX-License-Identifier: Apache-2.0
// Speeds of several models in interleaved rounds, so that a machine that drifts favours none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/shape_list.h"
#include "cli/speed_bench.h"
#include "evals/stats/paired.h"

namespace moescope::cli {

struct SpeedSetting {
    int prompt = 0, tokens = 0, depth = 0;  ///< as bench's -p, -n, -d
    int rounds = 0;
};
/// -p, -n, -d, --rounds.
void addSpeedOptions(Options& options);
/// UsageError for what is out of range, or longer than one of the shapes takes.
SpeedSetting speedSetting(const Options& options, const ShapeList& list);

struct ShapeSpeed {
    SpeedRow prefill, decode;                   ///< one repetition a round
    stats::Estimate prefillRatio, decodeRatio;  ///< of rates, to the first shape's
    double memoryBytes = 0;  ///< planned: weights, cache and, on cpu, activations
    bool cached = false;     ///< the model fits the cache: a share of bandwidth means nothing

    static double rate(const SpeedRow& row) { return row.tokens / row.median(); }
    double bandwidthShare() const;  ///< of decode; NaN where it means nothing
};

struct MeasuredSpeeds {
    std::vector<ShapeSpeed> shapes;  ///< of each model
    int rounds = 0;                  ///< whole ones
    bool interrupted = false;
};

/// Every round runs all models once, prefill then decode; every other one backwards, so that what
/// changes steadily cancels over two. Stopped in between, the whole rounds so far; Interrupted
/// when there is none.
MeasuredSpeeds measureSpeeds(const std::vector<std::shared_ptr<const Model>>& models,
                             const SpeedSetting& setting, const StopFlag* stop,
                             const std::function<void(int done, int total)>& progress);

void printSpeeds(const MeasuredSpeeds& speeds, const SpeedSetting& setting, const ShapeList& list);
nlohmann::json speedsJson(const MeasuredSpeeds& speeds, const SpeedSetting& setting,
                          const ShapeList& list);
/// {"value", "low", "high"}
nlohmann::json estimateJson(const stats::Estimate& estimate);
/// "1.234 [1.200, 1.270]"; without the interval where there is none.
std::string estimateText(const stats::Estimate& estimate, int decimals);

}  // namespace moescope::cli
