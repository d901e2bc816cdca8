// SPDX-License-Identifier: Apache-2.0
// Hardware counters that were sampled over time, by phase.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// A metric in the steps of one phase. A sample belongs to the step in which its middle lies; what
/// lies between two steps belongs to none.
struct SampledPhase {
    std::string phase;         ///< "prefill", "decode"
    std::int64_t samples = 0;  ///< that took time and have a value
    double mean = 0;           ///< weighted by the samples' times
    double peak = 0;           ///< of one sample
};

struct SampledMetric {
    std::string metric;                ///< NVIDIA's name
    std::vector<SampledPhase> phases;  ///< in the order of their first steps; only those sampled
};

/// In the order in which the metrics were sampled; empty without samples inside steps. Throws Error
/// naming the file when it is damaged.
std::vector<SampledMetric> sampledCounters(const RunReader& run, std::span<const StepRow> steps);

}  // namespace moescope
