// SPDX-License-Identifier: Apache-2.0
// What this processor (and its operating system) can execute.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moescope {

struct CpuFeatures {
    bool avx2 = false;    ///< AVX2, FMA and F16C
    bool avx512 = false;  ///< AVX-512 F, BW, VL, DQ
    bool avx512Vnni = false;
    bool avx512Bf16 = false;
    std::string model;  ///< "AMD EPYC 9R14", from /proc/cpuinfo; "unknown" when absent
};

/// Asked once, then cached. All false on anything but x86-64.
const CpuFeatures& cpuFeatures();

/// Bytes of the level 3 cache that the first processor shares with its neighbours, as the kernel
/// tells; 0 where it does not. sysconf(_SC_LEVEL3_CACHE_SIZE) is no substitute: on a machine of
/// several such caches glibc may give their sum, which none of them can hold.
std::uint64_t lastLevelCacheBytes();

/// "32768K" of the kernel's files of caches as bytes; 0 of anything else.
std::uint64_t cacheSizeOf(std::string_view text) noexcept;

}  // namespace moescope
