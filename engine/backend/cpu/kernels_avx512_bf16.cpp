// SPDX-License-Identifier: Apache-2.0
// Target "avx512_bf16": as "avx512_vnni", and bf16 weights by vdpbf16ps; built with its own compile
// flags (targets.cmake), empty where they do not apply.
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX512BF16__)
#include "engine/backend/cpu/matmul_bf16.h"

namespace moescope::cpu {

const Kernels* avx512Bf16Kernels() noexcept {
    static constexpr Kernels kTable = [] {
        Kernels k = int16Kernels("avx512_bf16");
        k.finishActivation = finishBf16;
        k.matVec[static_cast<int>(PackedFormat::Bf16)] = matVecBf16;
        k.matMul[static_cast<int>(PackedFormat::Bf16)] = matMulBf16;
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
