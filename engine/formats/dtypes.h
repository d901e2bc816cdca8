// SPDX-License-Identifier: Apache-2.0
// Sizes of stored rows, quantisers, and the check for numbers that are not finite.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/core/error.h"
#include "engine/formats/tensor.h"

namespace moescope {

/// Bytes of one packed row of `cols` weights (MXFP4Split: without the scales). Nothing when `cols`
/// is negative, no multiple of the block, or the product overflows.
std::optional<std::int64_t> rowBytes(DType type, std::int64_t cols) noexcept;

/// Bytes of the whole tensor as stored, packed; 0 for an empty view. The scales of MXFP4Split,
/// which lie apart, are counted.
std::uint64_t storedBytes(const TensorView& t) noexcept;

/// Fills rowStride and stackStride for a contiguous tensor from type, shape and rank; requires that
/// the sizes have been checked not to overflow.
void setContiguousStrides(TensorView& t) noexcept;

/// Stores `in` (n float32, n a multiple of the block) as one packed row of rowBytes(type, n) bytes.
/// Types F32, F16, BF16, Q8_0, Q4_0, Q4_1, MXFP4; asserts otherwise. Rounding:
///  - F16, BF16: nearest, ties to even.
///  - Q8_0: d = amax / 127; Q4_0: d = (signed value of greatest magnitude) / -8; Q4_1: range / 15.
///    Codes are computed with the unrounded d, which is then stored as f16 (as ggml does).
///  - MXFP4: Mxfp4Rule::Floor of engine/formats/mxfp4.h, which has the other rules.
void quantizeRow(DType type, std::span<const float> in, std::span<std::byte> out);

/// Whether every floating-point number that a row stores is finite: the scales and minima of its
/// blocks (MXFP4: no E8M0 scale is 255, and no weight exceeds float32), or the values of a plain
/// type. Weight types only.
bool rowIsFinite(const TensorView& t, std::int64_t stackIndex, std::int64_t row) noexcept;

/// Of one tensor: whoever knows the file puts its name before it.
class WeightError : public Error {
public:
    using Error::Error;
};

/// Throws WeightError "tensor 'NAME': row R holds a number that is not finite" unless rowIsFinite.
/// A single such weight can hide behind a clamp or a router and yield plausible, wrong text.
void refuseNotFinite(const TensorView& t, std::int64_t stackIndex, std::int64_t row);
/// The same for all rows of all matrices; nothing for an empty view.
void refuseNotFinite(const TensorView& t);

/// MXFP4 blocks at the ends of E8M0's range that hold a weight other than 0. They are decoded as
/// OCP MX v1.0 says; other programs make 0 or infinity of them, so a person should know. Real
/// models are far from either end.
struct Mxfp4Edges {
    std::int64_t smallest = 0;  ///< scale byte 0: 2^-127, below float32's normal numbers
    std::int64_t next = 0;      ///< scale byte 1: 2^-126, whose half is below them
    std::int64_t largest = 0;   ///< scale byte 254: 2^127

    bool any() const noexcept { return smallest + next + largest > 0; }
    Mxfp4Edges& operator+=(const Mxfp4Edges& other) noexcept;
};
/// Of one row; nothing for other types.
Mxfp4Edges mxfp4Edges(const TensorView& t, std::int64_t stackIndex, std::int64_t row) noexcept;

}  // namespace moescope
