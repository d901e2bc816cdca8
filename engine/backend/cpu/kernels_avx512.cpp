// SPDX-License-Identifier: Apache-2.0
// Target "avx512"; built with its own compile flags (targets.cmake), empty where they do not apply.
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX512BW__)
#include "engine/backend/cpu/simd_int8_avx512.h"

namespace moescope::cpu {

const Kernels* avx512Kernels() noexcept {
    static constexpr Kernels kFast = withInt8<Int8Avx512>(floatKernels<SimdAvx512>("avx512_int8"));
    static constexpr Kernels kTable = withFast(floatKernels<SimdAvx512>("avx512"), &kFast);
    return &kTable;
}

}  // namespace moescope::cpu
#else
namespace moescope::cpu {

const Kernels* avx512Kernels() noexcept {
    return nullptr;
}

}  // namespace moescope::cpu
#endif
