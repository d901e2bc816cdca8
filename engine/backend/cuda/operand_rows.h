// SPDX-License-Identifier: Apache-2.0
// Activations as the matrix products of many tokens take them.
#pragma once

#include <cstdint>

#include "engine/backend/cuda/layout.h"

namespace moescope::cuda {

/// Row vectors as bf16 in operand order (layout.h) of the format they are multiplied with. Exact
/// numerics carry what bf16 rounds away in `low`; without it activations are bf16.
struct OperandRows {
    std::uint16_t* high = nullptr;  // (n_rows, stride)
    std::uint16_t* low = nullptr;   // (n_rows, stride), or null
    /// Elements: at least the columns of whole chunks. Those of the last one that are past the end
    /// hold zeros; nobody reads what is behind it.
    std::int32_t stride = 0;
    WeightFormat format = WeightFormat::Bf16;

    /// These rows without the first `count`.
    OperandRows from(std::int64_t count) const {
        return {high + count * stride, low == nullptr ? nullptr : low + count * stride, stride,
                format};
    }
};

/// One number at `position` of a row, in operand order.
__device__ __forceinline__ void storeOperand(const OperandRows& rows, std::int64_t row,
                                             int position, float value) {
    const std::int64_t to = row * rows.stride + position;
    const std::uint16_t high = toBf16(value);
    rows.high[to] = high;
    if (rows.low != nullptr) rows.low[to] = toBf16(value - fromBf16(high));
}

/// Zeros behind the `width` columns of a row, up to the end of the format's last chunk (the stride
/// is another format's perhaps, and cuts one), by `threads` threads.
__device__ __forceinline__ void padOperand(const OperandRows& rows, std::int64_t row, int width,
                                           int thread, int threads) {
    const int chunk = chunkColumns(rows.format);
    const int end = (width + chunk - 1) / chunk * chunk;
    for (int column = width + thread; column < end; column += threads)
        storeOperand(rows, row, operandPosition(rows.format, column), 0.0F);
}

}  // namespace moescope::cuda
