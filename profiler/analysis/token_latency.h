// SPDX-License-Identifier: Apache-2.0
// How long each token took and what its time went to.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/operation_columns.h"
#include "profiler/analysis/statistics.h"

namespace moescope {

/// Of a run with more than 64 names of operations: all but the 63 with the most time.
inline constexpr char kOtherOperations[] = "other operations";
/// Names of the parts that are no operation: within a step, and the rest.
inline constexpr char kBetweenOperations[] = "between operations";
inline constexpr char kBetweenSteps[] = "between steps";

/// One generated token: from the choice of the one before (the first: from the begin of prefill) to
/// its own choice, sampling included. Definitions: docs/metrics.md, Times.
struct TokenTime {
    std::int64_t sequence = 0;
    std::int64_t position = 0;  ///< of the token that was evaluated; the first: last of the prompt
    bool first = false;         ///< time to first token, else time per output token
    std::int64_t startNs = 0, endNs = 0;
    std::vector<std::int64_t> partsNs;  ///< (n_parts) as TokenLatency::parts
    std::int64_t ns() const noexcept { return endNs - startNs; }
};

/// Which tokens: all, those of one sequence, those chosen (endNs) within a range.
struct TokenFilter {
    std::optional<std::int64_t> sequence = {};
    std::optional<TimeRange> range = {};
};

/// Mean time per token by what it went to, over a set of tokens. The parts add up to meanNs as far
/// as operations do not overlap; where they do (streams), gaps are 0 and the sum is larger.
struct LatencyStack {
    std::string name;  ///< "first tokens", "output tokens", "slowest 1 % of output tokens"
    std::int64_t tokens = 0;
    double meanNs = 0;
    std::vector<double> partsNs;  ///< (n_parts) as TokenLatency::parts
};

struct TokenLatency {
    std::vector<TokenTime> tokens;  ///< in order of time
    Distribution ttft, tpot;        ///< ns
    double ttftP90 = Distribution::kUnknown, tpotP90 = Distribution::kUnknown;
    /// Operations by name in order of their time in the whole run, then "between operations" (in a
    /// step) and "between steps".
    std::vector<std::string> parts;
    std::vector<LatencyStack> stacks;  ///< sets without tokens are left out
};

/// `kind` is the run's: an evaluation generates nothing, so it has no token latency (empty).
/// Nor has a sequence that was only prefilled: no token came of it.
TokenLatency tokenLatency(std::span<const StepRow> steps, const OperationColumns& operations,
                          std::span<const SequenceRow> sequences, const std::string& kind,
                          const TokenFilter& filter = {});

}  // namespace moescope
