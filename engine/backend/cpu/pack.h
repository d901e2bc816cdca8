// SPDX-License-Identifier: Apache-2.0
// From a tensor as stored to the packed layout of kernel_table.h.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/kernel_table.h"
#include "engine/formats/tensor.h"

namespace moescope::cpu {

/// The packed format of a stored type; every one keeps its values exactly (Q5_0 as Q8_0; of K
/// quants the integers stay, and each sub-block's scale is the product of the file's two, in
/// float32).
PackedFormat packedFormatOf(DType type) noexcept;

/// Matrices of one stack, packed one behind the other.
struct PackedStack {
    PackedMatrix first;
    std::int32_t count = 0;
    std::uint64_t codeStride = 0;
    std::uint64_t scaleStride = 0;

    bool empty() const noexcept { return count == 0; }
    PackedMatrix matrix(std::int64_t index) const noexcept;
    std::uint64_t bytes() const noexcept {
        return static_cast<std::uint64_t>(count) * (codeStride + scaleStride);
    }
};

/// Shape and strides for `t`, pointers still null.
PackedStack planStack(const TensorView& t) noexcept;

/// Packs tile `tile` (32 rows) of `source`, a rank-2 view. `to` must be zero-filled. Throws Error
/// that names the tensor when a stored scale or value is not finite, or a value overflows F16.
void packTile(const TensorView& source, std::int64_t tile, const PackedMatrix& to);

}  // namespace moescope::cpu
