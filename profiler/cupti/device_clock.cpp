// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/device_clock.h"

#include <ctime>

#include <limits>

namespace moescope::cupti {

std::int64_t realtimeNs() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t clockOffset(const RunClock& clock, SystemClock system) noexcept {
    std::int64_t offset = 0, width = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < 9; ++i) {
        const std::int64_t before = clock.now();
        const std::int64_t real = system();
        const std::int64_t after = clock.now();
        if (after - before >= width) continue;
        width = after - before;
        offset = real - (before + after) / 2;
    }
    return offset;
}

}  // namespace moescope::cupti
