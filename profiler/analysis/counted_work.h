// SPDX-License-Identifier: Apache-2.0
// What hardware counters saw of the operations of a run (`--counters`), by group.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// Sums over the operations of one (op, kernel, phase) that have counters; NaN: the set does not
/// count it.
struct CountedWork {
    static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

    std::string op, kernel, phase;
    std::int64_t calls = 0;        ///< with counters
    double ns = kUnknown;          ///< of the device: gpu__time_duration
    double bytes = kUnknown;       ///< to and from DRAM
    double operations = kUnknown;  ///< of the bf16 tensor cores; a multiply-add counts two
    std::int64_t modelledBytes = 0, modelledFlops = 0;  ///< the engine's count of the same calls
};

struct CountedRun {
    std::vector<CountedWork> groups;  ///< by op, kernel, phase; empty: the run has no counters
    /// What the device could do at the clocks of the run: the hardware's most in one cycle times
    /// the cycles in a second, median over the operations. NaN: the set does not count it.
    double bytesPerSecond = CountedWork::kUnknown;
    double operationsPerSecond = CountedWork::kUnknown;  ///< of the bf16 tensor cores
};

/// One more reading of the operations where there are counters, nothing where there are none.
/// Throws Error naming the file when it is damaged.
CountedRun countedWork(const RunReader& run);

}  // namespace moescope
