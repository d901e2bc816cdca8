// SPDX-License-Identifier: Apache-2.0
// Target "avx512"; built with its own compile flags (targets.cmake), empty where they do not apply.
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX512BW__)
#include "engine/backend/cpu/simd_avx512.h"
#include "engine/backend/cpu/vector_impl.h"

namespace moescope::cpu {

const Kernels* avx512Kernels() noexcept {
    static constexpr Kernels kTable = floatKernels<SimdAvx512>("avx512");
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
