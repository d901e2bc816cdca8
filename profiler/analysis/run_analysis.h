// SPDX-License-Identifier: Apache-2.0
// All analyses of the times of one run together, as the commands, the reports and the window show
// them. Definitions: docs/metrics.md.
#pragma once

#include <vector>

#include "profiler/analysis/expert_load.h"
#include "profiler/analysis/operation_table.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/analysis/roofline.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/analysis/sampled_counters.h"
#include "profiler/analysis/time_breakdown.h"
#include "profiler/analysis/token_latency.h"

namespace moescope {

struct RunAnalysis {
    std::vector<QualityLine> quality;
    std::vector<PhaseTime> time;
    TokenLatency latency;
    Roofline roofline;
    ExpertLoad expertLoad;
    std::vector<SampledMetric> sampled;
    bool empty() const noexcept { return time.empty(); }
};

struct AnalysedRun {
    RunSummary summary;
    std::vector<StepRow> steps;
    OperationColumns operations;
    OperationColumns device;  ///< work on devices; empty for runs on the CPU
    RunAnalysis analysis;

    /// What the kernel table is made of: the device's kernels where there are any.
    const OperationColumns& kernels() const noexcept {
        return device.size() > 0 ? device : operations;
    }
};

/// Reads the file once. Memory: 60 bytes an operation. Throws Error naming the file when it is
/// damaged.
AnalysedRun analyse(const RunReader& run);

/// The analyses of what is in memory already; only the experts of each token and
/// the counters are read from `run`.
/// Idle time is the device's where `device` holds work, else the CPU's.
RunAnalysis analyseLoaded(const RunReader& run, const RunSummary& summary,
                          std::span<const StepRow> steps, const OperationColumns& operations,
                          const OperationColumns& device);

}  // namespace moescope
