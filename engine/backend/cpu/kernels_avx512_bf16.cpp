// SPDX-License-Identifier: Apache-2.0
// Target "avx512_bf16": as "avx512_vnni", and bf16 weights by vdpbf16ps; built with its own compile
// flags (targets.cmake), empty where they do not apply.
#include "engine/backend/cpu/kernel_table.h"

#if defined(__AVX512BF16__)
#include "engine/backend/cpu/matmul_bf16.h"
#include "engine/backend/cpu/simd_int8_avx512.h"

namespace moescope::cpu {

namespace {

constexpr Kernels withBf16(Kernels k) {
    k.matVec[static_cast<int>(PackedFormat::Bf16)] = matVecBf16;
    k.matMul[static_cast<int>(PackedFormat::Bf16)] = matMulBf16;
    return k;
}

void finishExact(const ActivationLayout& layout, std::byte* row) {
    finishInt16(layout, row);
    splitRow(layout, row);
}

void finishFast(const ActivationLayout& layout, std::byte* row) {
    quantiseRow<Int8Vnni>(layout, row);
    splitRow(layout, row);
}

}  // namespace

const Kernels* avx512Bf16Kernels() noexcept {
    static constexpr Kernels kFast = [] {
        Kernels k = withBf16(withInt8<Int8Vnni>(floatKernels<Simd>("avx512_bf16_int8")));
        k.finishActivation = finishFast;
        return k;
    }();
    static constexpr Kernels kTable = [] {
        Kernels k = withFast(withBf16(int16Kernels("avx512_bf16")), &kFast);
        k.finishActivation = finishExact;
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
