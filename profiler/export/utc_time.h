// SPDX-License-Identifier: Apache-2.0
// Times of day in exports.
#pragma once

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

namespace moescope {

/// "2026-11-27T08:11:27Z" (meta "started_utc") as nanoseconds since 1970; 0 when it is no such
/// text: exports then begin at 1970, and say nothing wrong about durations.
inline std::int64_t utcNanoseconds(const std::string& iso) {
    std::tm time{};
    if (std::sscanf(iso.c_str(), "%d-%d-%dT%d:%d:%d", &time.tm_year, &time.tm_mon, &time.tm_mday,
                    &time.tm_hour, &time.tm_min, &time.tm_sec) != 6)
        return 0;
    if (time.tm_year < 1970 || time.tm_year > 2200) return 0;
    time.tm_year -= 1900;
    time.tm_mon -= 1;
    return std::int64_t(::timegm(&time)) * 1'000'000'000;
}

}  // namespace moescope
