// SPDX-License-Identifier: Apache-2.0
// CUPTI stamps with CLOCK_REALTIME, a run with the steady clock since it began.
#pragma once

#include <cstdint>

#include "profiler/record/run_clock.h"

namespace moescope::cupti {

/// CLOCK_REALTIME in ns.
std::int64_t realtimeNs() noexcept;

/// CLOCK_REALTIME minus the run's clock, from the best bracketed of several readings.
std::int64_t clockOffset(const RunClock& clock) noexcept;

}  // namespace moescope::cupti
