// SPDX-License-Identifier: Apache-2.0
// One pass over a run file: everything that the reports, the window and the CLI show of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "profiler/analysis/balance.h"
#include "profiler/runfile/run_reader.h"

namespace moescope {

/// Operations with the same (op, kernel, phase) together.
struct OperationGroup {
    std::string op, kernel, phase;  ///< phase "prefill" or "decode"
    std::int64_t calls = 0;
    std::int64_t totalNs = 0, minNs = 0, maxNs = 0, medianNs = 0, p95Ns = 0;
    std::int64_t bytes = 0, flops = 0;
    double share = 0;  ///< of all operation time
    double bytesPerSecond() const noexcept;
    double flopsPerSecond() const noexcept;
};

struct PhaseSummary {
    std::int64_t steps = 0, tokens = 0, wallNs = 0, operationNs = 0, bytes = 0;
    double tokensPerSecond = 0;
    double medianStepNs = 0, p95StepNs = 0;  ///< TPOT for decode
    double operationShare = 0;  ///< operationNs / wallNs: >= 0.95 or the profile is suspect
};

struct LayerRouting {
    int layer = 0;
    std::vector<std::int64_t> counts;  ///< (n_expert), both phases, all sequences
    Balance balance;
    BalanceNull null;
    double excess = 0;  ///< maxOverMean / null.maxOverMean
};

struct RunSummary {
    std::map<std::string, std::string> meta;
    RunStatus status = RunStatus::Done;
    PhaseSummary prefill, decode;
    double ttftNs =
        0;  ///< median over sequences: start of prefill to end of first decode step's logits
    std::vector<OperationGroup> operations;  ///< by total time, largest first
    std::map<int, std::int64_t> layerNs;     ///< operation time by layer (-1: outside)
    int experts = 0, topK = 0;
    std::vector<LayerRouting> routing;  ///< by layer; empty without routing
    std::vector<SequenceRow> sequences;
    std::vector<QualityRow> quality;
    std::vector<MemoryRow> memory;
    std::vector<SuiteRow> suites;
    std::vector<MetricRow> metrics;
};

/// Throws Error naming the file when it is damaged.
RunSummary summarize(const RunReader& run);

}  // namespace moescope
