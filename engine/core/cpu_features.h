// SPDX-License-Identifier: Apache-2.0
// What this processor (and its operating system) can execute.
#pragma once

#include <string>

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

}  // namespace moescope
