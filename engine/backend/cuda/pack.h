// SPDX-License-Identifier: Apache-2.0
// From tensors as stored to the layout of device memory (layout.h), on the host.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/backend/cuda/layout.h"
#include "engine/formats/tensor.h"

namespace moescope::cuda {

/// The format of a stored type. MXFP4 (both byte orders), Q8_0 and BF16 keep their values exactly;
/// all else is dequantised and keeps 16 bits of mantissa.
WeightFormat formatOf(DType type) noexcept;

/// Where row `row` of matrix `matrix` comes from.
struct SourceRow {
    const TensorView* tensor = nullptr;
    std::int64_t stackIndex = 0;
    std::int64_t row = 0;
};

/// A matrix on the device made of the rows of one or more tensors of the same width: q, k and v one
/// after the other, or gate and up taking turns. Views; the tensors must outlive it.
class MatrixSource {
public:
    MatrixSource() = default;  ///< none
    /// Rows of the tensors one after the other. Empty tensors count as absent.
    static MatrixSource concatenated(std::vector<const TensorView*> tensors);
    /// Row 2 i of `first`, then row i of `second`. Both of one shape.
    static MatrixSource interleaved(const TensorView& first, const TensorView& second);

    bool empty() const noexcept { return tensors_.empty(); }
    std::int64_t stack() const noexcept { return empty() ? 0 : tensors_.front()->stack(); }
    SourceRow at(std::int64_t matrix, std::int64_t row) const noexcept;
    const std::vector<const TensorView*>& tensors() const noexcept { return tensors_; }
    /// Shape and format; pointers null. Tensors of unlike formats become Bf16Pair.
    DeviceMatrix shape() const;

private:
    std::vector<const TensorView*> tensors_;
    bool interleaved_ = false;
};

/// Writes tile `tile` of matrix `matrix`: shape.tileUnits() units and shape.tileScales() words.
/// Throws Error that names the tensor when a weight is not finite, or a MXFP4 scale exceeds 2.
void packTile(const MatrixSource& source, const DeviceMatrix& shape, std::int64_t matrix, int tile,
              uint4* codes, std::uint32_t* scales);

}  // namespace moescope::cuda
