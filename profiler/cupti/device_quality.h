// SPDX-License-Identifier: Apache-2.0
// The proof of completeness of a run on a device: from counts to the quality rows of the run file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "profiler/cupti/activity_collector.h"
#include "profiler/cupti/correlator.h"
#include "profiler/cupti/decoder.h"
#include "profiler/cupti/launch_balance.h"
#include "profiler/runfile/rows.h"

namespace moescope::cupti {

/// What arrived, counted on the decoding thread.
struct DeviceCounts {
    LaunchTotals seen;               ///< of launches made inside a step
    std::int64_t graphLaunches = 0;  ///< records of whole graphs
    std::int64_t beforeRun = 0;      ///< loading and warm-up: not part of the run
    std::int64_t betweenSteps = 0;   ///< launched by nobody's operation, outside every step
    std::int64_t unattributed = 0;   ///< inside a step, but of no known operation
    std::int64_t zeroStamps = 0, incomplete = 0, negative = 0;
    std::int64_t otherClock = 0;    ///< with stamps from while the system's clock was elsewhere
    std::int64_t clockMovedNs = 0;  ///< most between the system's clock and the steady one
    std::int64_t earlyStarts = 0;   ///< began over 5 us before their launch did
    std::int64_t speedSamples = 0, throttledSamples = 0;
    std::int64_t unclearSamples = 0;  ///< for a reason that CUPTI does not know or tell
    std::uint64_t overheadNs = 0;     ///< of the run, by CUPTI's word
    std::uint64_t loadingNs = 0;      ///< in it, CUDA loaded modules and functions on first use
    std::int64_t deviceNs = 0;        ///< sum of the durations of what has good stamps
};

struct DeviceQualityFacts {
    TraceLevel level = TraceLevel::Node;
    DeviceCounts counts;
    std::int64_t steps = 0;
    LaunchTotals expectedEager, expectedReplayed;  ///< by the engine's count
    LaunchDifference difference;                   ///< of each operation, replay and kind by itself
    std::int64_t replays = 0, unknownReplays = 0;
    /// Nodes of each graph by the engine's count, and as CUPTI saw them made.
    std::vector<std::pair<LaunchTotals, LaunchTotals>> graphs;
    std::int64_t unknownOriginals = 0;  ///< GraphNodeMap
    CollectorStatistics collector;
    DecodeStatistics decoder;
    CorrelatorStatistics correlator;
    bool sampled = false;     ///< clocks were to be sampled
    std::int64_t wallNs = 0;  ///< of the steps
};

/// From here on the device's stamps, which are on the system's clock, are elsewhere on the run's.
inline constexpr std::int64_t kClockStepNs = 1'000'000;

std::vector<QualityRow> deviceQuality(const DeviceQualityFacts& facts);

/// How the run was watched: `degradation` of the run file.
std::string degradationName(TraceLevel level);

}  // namespace moescope::cupti
