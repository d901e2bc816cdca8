// SPDX-License-Identifier: Apache-2.0
// MXFP4 (OCP Microscaling Formats v1.0): quantisers by the three rules in use, and the two byte
// orders. A block is 32 weights: one E8M0 scale byte e, worth 2^(e - 127), and 32 E2M1 codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace moescope {

inline constexpr std::size_t kMxfp4Weights = 32;  ///< of a block
inline constexpr std::size_t kMxfp4Codes = 16;    ///< bytes of codes of a block
inline constexpr std::size_t kMxfp4Record = 17;   ///< bytes of a GGUF block: scale, then codes

/// How a block's scale is chosen and its elements are rounded; docs/mxfp4.md compares them. With
/// amax = the block's largest magnitude:
///   Floor  e - 127 = floor(log2f(amax)) - 2; elements to the nearest value, ties to the lower
///          code, no negative zero. ggml: quantize_row_mxfp4_ref, whose log2f is a float32 and so
///          rounds up to the next power of two just below one.
///   Ceil   e - 127 = ceil(log2(amax / 6)): no element is clipped; elements to nearest, ties to
///          even, signs of zeros kept. triton_kernels: downcast_to_mxfp, ROUND_UP.
///   Rne    e - 127 = floor(log2(amax / 4)), the scale of OCP MX v1.0 section 6.3; elements as
///          Ceil. triton_kernels: ROUND_DOWN; torchao: ScaleCalculationMode.FLOOR.
/// Elements above 6 scales become 6. Blocks whose scale would lie below the smallest get e = 0;
/// Ceil and Rne keep nothing but signs of a block whose amax / 6 or amax / 4 rounds below 2^-126.
enum class Mxfp4Rule : std::uint8_t { Floor, Ceil, Rne };

/// "floor", "ceil", "rne".
std::string_view mxfp4RuleName(Mxfp4Rule rule) noexcept;
std::optional<Mxfp4Rule> mxfp4Rule(std::string_view name) noexcept;

/// Stores `in` as GGUF blocks. in: (n) float32, finite, n a multiple of 32; out: (n / 32 * 17).
void quantizeMxfp4(Mxfp4Rule rule, std::span<const float> in, std::span<std::byte> out);

/// One block in the order of Hugging Face and OpenAI (low nibble of byte i = element 2i, high =
/// 2i + 1; scale apart) to GGUF's (scale, then low nibble of byte j = element j, high = j + 16).
void mxfp4Record(std::span<const std::byte, kMxfp4Codes> interleaved, std::byte scale,
                 std::span<std::byte, kMxfp4Record> out);

}  // namespace moescope
