// SPDX-License-Identifier: Apache-2.0
// The clock of one run: nanoseconds of the steady clock since the run began.
#pragma once

#include <chrono>
#include <cstdint>

namespace moescope {

class RunClock {
public:
    /// `offsetNs`: where a resumed run continues.
    explicit RunClock(std::int64_t offsetNs = 0) noexcept
        : origin_(std::chrono::steady_clock::now() - std::chrono::nanoseconds(offsetNs)) {}

    std::int64_t now() const noexcept {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::steady_clock::now() - origin_)
            .count();
    }

private:
    std::chrono::steady_clock::time_point origin_;
};

/// What reading the steady clock costs and how fine it is, measured in well under a millisecond.
struct TimerFacts {
    double resolutionNs = 0;  ///< smallest difference seen between two readings
    double costNs = 0;        ///< mean cost of one reading
};
TimerFacts measureTimer();

}  // namespace moescope
