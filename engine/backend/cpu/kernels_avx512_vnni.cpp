// SPDX-License-Identifier: Apache-2.0
// Target "avx512_vnni": integer-coded weights by vpdpwssd; built with its own compile flags
// (targets.cmake), empty where they do not apply.
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX512VNNI__)
#include "engine/backend/cpu/matmul_int16.h"
#include "engine/backend/cpu/simd_int8_avx512.h"

namespace moescope::cpu {

const Kernels* avx512VnniKernels() noexcept {
    static constexpr Kernels kFast = withInt8<Int8Vnni>(floatKernels<Simd>("avx512_vnni_int8"));
    static constexpr Kernels kTable = withFast(int16Kernels("avx512_vnni"), &kFast);
    return &kTable;
}

}  // namespace moescope::cpu
#else
namespace moescope::cpu {

const Kernels* avx512VnniKernels() noexcept {
    return nullptr;
}

}  // namespace moescope::cpu
#endif
