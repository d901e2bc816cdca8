// SPDX-License-Identifier: Apache-2.0
// Target "avx2"; built with its own compile flags (targets.cmake), empty where they do not apply.
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX2__)
#include "engine/backend/cpu/simd_int8_avx2.h"

namespace moescope::cpu {

const Kernels* avx2Kernels() noexcept {
    static constexpr Kernels kFast = withInt8<Int8Avx2>(floatKernels<SimdAvx2>("avx2_int8"));
    static constexpr Kernels kTable = withFast(floatKernels<SimdAvx2>("avx2"), &kFast);
    return &kTable;
}

}  // namespace moescope::cpu
#else
namespace moescope::cpu {

const Kernels* avx2Kernels() noexcept {
    return nullptr;
}

}  // namespace moescope::cpu
#endif
