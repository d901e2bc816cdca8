// SPDX-License-Identifier: Apache-2.0
// Sizes of stored rows, quantisers, and the check of MXFP4 block scales.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/formats/tensor.h"

namespace moescope {

/// Bytes of one packed row of `cols` weights (MXFP4Split: without the scales). Nothing when `cols`
/// is negative, no multiple of the block, or the product overflows.
std::optional<std::int64_t> rowBytes(DType type, std::int64_t cols) noexcept;

/// Fills rowStride and stackStride for a contiguous tensor from type, shape and rank; requires that
/// the sizes have been checked not to overflow.
void setContiguousStrides(TensorView& t) noexcept;

/// Stores `in` (n float32, n a multiple of the block) as one packed row of rowBytes(type, n) bytes.
/// Types F32, F16, BF16, Q8_0, Q4_0, Q4_1, MXFP4; asserts otherwise. Rounding:
///  - F16, BF16: nearest, ties to even.
///  - Q8_0: d = amax / 127; Q4_0: d = (signed value of greatest magnitude) / -8; Q4_1: range / 15.
///    Codes are computed with the unrounded d, which is then stored as f16 (as ggml does).
///  - MXFP4: OCP MX v1.0 6.3: e = floor(log2 amax) - 2 + 127, elements nearest (ties to the smaller
///    code), saturating at 6; amax = 0 gives e = 0. e is kept within 0..254.
void quantizeRow(DType type, std::span<const float> in, std::span<std::byte> out);

/// What is unusual about the E8M0 scales of a tensor. Packers that read every scale byte anyway
/// call `add` as they go; `refuseNanScales` then decides.
struct ScaleReport {
    static constexpr std::uint8_t kNan = 255;
    static constexpr std::uint8_t kTinyLimit = 16;  ///< real weights are nowhere near 2^-111

    std::int64_t blocks = 0;
    std::int64_t nan = 0;   ///< e = 255
    std::int64_t tiny = 0;  ///< e <= 16, with blocks of zeros (e = 0) among them

    void add(std::uint8_t e) noexcept {
        ++blocks;
        nan += e == kNan ? 1 : 0;
        tiny += e <= kTinyLimit ? 1 : 0;
    }
};

/// Reads all scales of an MXFP4 or MXFP4Split tensor; an empty report for other types.
ScaleReport scanMxScales(const TensorView& t);

/// Throws Error "tensor 'NAME': N of M blocks have a NaN scale" when report.nan > 0.
void refuseNanScales(const std::string& tensorName, const ScaleReport& report);

}  // namespace moescope
