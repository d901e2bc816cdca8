// SPDX-License-Identifier: Apache-2.0
// Where the wall time went: computing, copying, or idle, and why idle.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/analysis/operation_columns.h"

namespace moescope {

/// Nanoseconds of one stretch of wall time; the parts add up to wallNs. Overlapping operations
/// count once, a copy under a computation as compute (as Holistic Trace Analysis counts).
struct TimeParts {
    std::int64_t wallNs = 0;
    std::int64_t computeNs = 0;    ///< at least one operation that is no copy
    std::int64_t copyNs = 0;       ///< only copies (see isCopy)
    std::int64_t launchGapNs = 0;  ///< idle within a step: from one operation to the next
    std::int64_t hostWaitNs = 0;   ///< idle between two steps of one sequence: the host's own work
    std::int64_t otherNs = 0;      ///< idle between sequences: loading, tokenizing, writing rows
    std::int64_t idleNs() const noexcept { return launchGapNs + hostWaitNs + otherNs; }
};

struct PhaseTime {
    std::string phase;  ///< "prefill", "decode"; "" the whole run
    TimeParts parts;
};

/// The whole run first, from the begin of its first step or operation to the end of its last, then
/// each phase in order of time: its steps and the waits before them within a sequence. Time between
/// sequences is of no phase. Empty when nothing was timed.
std::vector<PhaseTime> timeBreakdown(std::span<const StepRow> steps,
                                     const OperationColumns& operations);

/// True of memory copies and fills: "memcpy", "memset", and what starts with these words.
bool isCopy(std::string_view op) noexcept;

}  // namespace moescope
