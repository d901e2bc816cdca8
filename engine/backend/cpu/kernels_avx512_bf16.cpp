// SPDX-License-Identifier: Apache-2.0
// Target "avx512_bf16": products by vdpbf16ps where weights are exact in bf16 (all but F16, F32);
// built with its own compile flags (targets.cmake).
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX512BF16__)
#include "engine/backend/cpu/matmul_bf16.h"

namespace moescope::cpu {

const Kernels* avx512Bf16Kernels() noexcept {
    static constexpr Kernels kTable = [] {
        Kernels k = floatKernels<SimdAvx512>("avx512_bf16");
        k.usesBf16 = true;
        k.finishActivation = finishBf16;
        useBf16<PackedFormat::Mxfp4>(k);
        useBf16<PackedFormat::Q4_0>(k);
        useBf16<PackedFormat::Q4_1>(k);
        useBf16<PackedFormat::Bf16>(k);
        useBf16<PackedFormat::Q8_0>(k);
        return k;
    }();
    return &kTable;
}

}  // namespace moescope::cpu
#else
namespace moescope::cpu {

const Kernels* avx512Bf16Kernels() noexcept {
    return nullptr;
}

}  // namespace moescope::cpu
#endif
