// SPDX-License-Identifier: Apache-2.0
// Target "portable": plain C++, any architecture.
#include "engine/backend/cpu/simd_portable.h"
#include "engine/backend/cpu/vector_impl.h"

namespace moescope::cpu {

const Kernels* portableKernels() noexcept {
    static constexpr Kernels kTable = floatKernels<SimdPortable>("portable");
    return &kTable;
}

}  // namespace moescope::cpu
