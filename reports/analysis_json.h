// SPDX-License-Identifier: Apache-2.0
// The analyses of times as JSON, the same in `moescope kernels --json`, `compare --json` and the
// JSON report. Times in ns, rates per second, shares 0..1; what is not known is null.
#pragma once

#include <nlohmann/json.hpp>

#include "profiler/analysis/run_analysis.h"
#include "profiler/analysis/run_difference.h"

namespace moescope {

nlohmann::json qualityJson(const std::vector<QualityLine>& lines);
nlohmann::json operationGroupJson(const OperationGroup& group, const Ceilings& ceilings);
/// {"quality", "time", "token_latency", "roofline", "expert_load", "sampled_counters"}
nlohmann::json analysisJson(const RunAnalysis& analysis);
nlohmann::json differenceJson(const RunDifference& difference);

}  // namespace moescope
