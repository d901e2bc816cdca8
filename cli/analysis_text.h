// SPDX-License-Identifier: Apache-2.0
// The analyses of times as a terminal shows them, shared by kernels, profile and compare.
#pragma once

#include <string>
#include <vector>

#include "profiler/analysis/run_analysis.h"
#include "profiler/analysis/run_difference.h"

namespace moescope::cli {

/// "Quality of the measurement" and a line a question; lines not known are joined into one.
std::string qualityText(const std::vector<QualityLine>& lines);
/// At most `limit` rows, with what the rest adds up to; `steps` names rows grouped by step.
std::string operationTableText(const std::vector<OperationGroupRow>& rows,
                               const std::vector<StepRow>& steps, const Ceilings& ceilings,
                               std::size_t limit);
/// Compute, copy and idle by cause, the whole run and each phase.
std::string timeText(const std::vector<PhaseTime>& time);
/// TTFT and TPOT with percentiles, then what each token's time went to. "" without tokens.
std::string latencyText(const TokenLatency& latency);
/// Ceilings, then a point a kernel. "" without points.
std::string rooflineText(const Roofline& roofline, std::size_t limit);
/// Mean and peak of each metric in each phase. "" without samples.
std::string sampledText(const std::vector<SampledMetric>& sampled);
std::string expertLoadText(const ExpertLoad& load);
std::string differenceText(const RunDifference& difference);

}  // namespace moescope::cli
