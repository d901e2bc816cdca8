// SPDX-License-Identifier: Apache-2.0
// One pass over a run file: everything that the reports, the window and the CLI show of it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
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
    double meanNs = 0;
    std::int64_t p99Ns = 0;
    double standardDeviationNs = 0;  ///< of a sample; NaN of a single call
    double bytesPerSecond() const noexcept;
    double flopsPerSecond() const noexcept;

    /// Fills calls and times from the durations of the calls, which it sorts. Not the share.
    void setTimes(std::vector<std::int64_t>& durations);
};

/// Prefill or decode. Two views of the same steps: what a user waits for, and the forward pass
/// alone. Figures that the run cannot tell are NaN, never 0. Definitions: docs/metrics.md, Times.
struct PhaseSummary {
    static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

    std::int64_t steps = 0, tokens = 0;
    /// As a user waits. Decode: sum over its tokens of the time since the sequence's previous
    /// token, with sampling and whatever else happened between them. Prefill: the forward pass.
    std::int64_t wallNs = 0;
    double tokensPerSecond = kUnknown;                           ///< tokens / wallNs
    double medianStepNs = kUnknown, p95StepNs = kUnknown;        ///< decode: time per output token
    std::int64_t forwardNs = 0;                                  ///< time inside steps
    double forwardTokensPerSecond = kUnknown;                    ///< tokens / forwardNs
    double forwardMedianNs = kUnknown, forwardP95Ns = kUnknown;  ///< of one step
    std::int64_t operationNs = 0;                                ///< of operations inside steps
    /// operationNs / forwardNs: >= 0.95 or the profile is suspect. NaN when nothing was timed.
    double operationShare = kUnknown;
    std::int64_t bytes = 0;  ///< that had to be read, sampling included
    /// bytes / wallNs, "decode bandwidth": what of the machine's a user gets. NaN without either.
    double bytesPerSecond() const noexcept;
};

struct LayerRouting {
    int layer = 0;
    std::vector<std::int64_t> counts;  ///< (n_expert), both phases, all sequences
    Balance balance;
    BalanceNull null;
    double excess = 0;  ///< maxOverMean / null.maxOverMean; NaN where either is not known
};

/// Of the layers whose excess is known; NaN when none is.
double worstExcess(std::span<const LayerRouting> layers) noexcept;

struct RunSummary {
    std::map<std::string, std::string> meta;
    RunStatus status = RunStatus::Done;
    PhaseSummary prefill, decode;
    PhaseSummary other;  ///< steps of another kind: a "capture" of another tool
    /// Median over the sequences that generate: begin of prefill to the first token's choice. NaN
    /// when none generates, and in evaluations, which score texts and generate nothing.
    double ttftNs = PhaseSummary::kUnknown;
    std::vector<OperationGroup> operations;  ///< by total time, largest first
    std::map<int, std::int64_t> layerNs;     ///< operation time by layer (-1: outside)
    int experts = 0, topK = 0;
    std::vector<LayerRouting> routing;  ///< by layer; empty without routing
    std::vector<SequenceRow> sequences;
    std::vector<QualityRow> quality;
    std::vector<MemoryRow> memory;
    std::vector<SuiteRow> suites;
    std::map<std::int64_t, ItemCounts> itemCounts;  ///< of each suite, by its id
    std::vector<MetricRow> metrics;
};

/// Throws Error naming the file when it is damaged. `also` sees every operation row of the file, so
/// that who needs more than the summary does not read the file twice; what it throws passes on.
RunSummary summarize(const RunReader& run,
                     const std::function<void(const OperationRow&)>& also = {});

}  // namespace moescope
