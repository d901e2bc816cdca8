// SPDX-License-Identifier: Apache-2.0
// CUPTI stamps with CLOCK_REALTIME, a run with the steady clock since it began.
#pragma once

#include <cstdint>

#include "profiler/record/run_clock.h"

namespace moescope::cupti {

/// CLOCK_REALTIME in ns.
std::int64_t realtimeNs() noexcept;

/// That clock, or one that a test sets.
using SystemClock = std::int64_t (*)() noexcept;

/// The system's clock minus the run's, from the best bracketed of several readings.
std::int64_t clockOffset(const RunClock& clock, SystemClock system = &realtimeNs) noexcept;

}  // namespace moescope::cupti
