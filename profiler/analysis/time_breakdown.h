// SPDX-License-Identifier: Apache-2.0
// Where the wall time went: computing, copying, or idle, and why idle.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/analysis/operation_columns.h"

namespace moescope {

/// Nanoseconds of one stretch of wall time; the parts add up to wallNs. Overlapping operations
/// count once, a copy under a computation as compute (as Holistic Trace Analysis counts).
///
/// Causes on the CPU, where operations are not launched: within a step it is a launch gap, between
/// two steps of one sequence a wait for the host. On a device the launch of the work that ended the
/// idle time decides, as in Holistic Trace Analysis: launched after the device fell idle, it waited
/// for the host; launched before, a gap of at most kLaunchGapNs is the device's own launch gap.
struct TimeParts {
    static constexpr std::int64_t kLaunchGapNs = 10'000;

    std::int64_t wallNs = 0;
    std::int64_t computeNs = 0;    ///< at least one operation that is no copy
    std::int64_t copyNs = 0;       ///< only copies (see isCopy)
    std::int64_t launchGapNs = 0;  ///< idle from one operation to the next
    std::int64_t hostWaitNs = 0;   ///< idle because the host had not asked for work yet
    std::int64_t otherNs = 0;      ///< between sequences (loading, tokenizing), and longer gaps
    std::int64_t idleNs() const noexcept { return launchGapNs + hostWaitNs + otherNs; }
};

struct PhaseTime {
    std::string phase;  ///< "prefill", "decode"; "" the whole run
    TimeParts parts;
};

/// The whole run first, from the begin of its first step or operation to the end of its last, then
/// each phase in order of time: its steps and the waits before them within a sequence. Time between
/// sequences is of no phase. With a range only what lies in it, phases without time in it left out;
/// causes are the same as without. Empty when nothing was timed (in the range).
std::vector<PhaseTime> timeBreakdown(std::span<const StepRow> steps,
                                     const OperationColumns& operations,
                                     const std::optional<TimeRange>& range = std::nullopt);

/// True of memory copies and fills: operations that start with "memcpy" or "memset", kernels that
/// start with "[CUDA mem".
bool isCopy(std::string_view op, std::string_view kernel) noexcept;

}  // namespace moescope
