// SPDX-License-Identifier: Apache-2.0
// Scalar conversions between float32 and the 16-, 8- and 4-bit formats of checkpoints.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace moescope {

/// IEEE 754 binary16 -> float32, exact (subnormals, infinities and NaN payloads included).
constexpr float halfToFloat(std::uint16_t half) noexcept {
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
        return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
    }
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13U);
    return std::bit_cast<float>(sign | (exponent + 112U) << 23U | fraction << 13U);
}

/// Two stored bytes, little-endian, wherever they lie.
inline float halfAt(const std::byte* p) noexcept {
    std::uint16_t half = 0;
    std::memcpy(&half, p, sizeof half);
    return halfToFloat(half);
}

/// float32 -> binary16, round to nearest, ties to even; overflow gives infinity, NaN stays NaN.
constexpr std::uint16_t floatToHalf(float value) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16U) & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    const auto with = [sign](std::uint32_t rest) {
        return static_cast<std::uint16_t>(sign | rest);
    };
    if (magnitude > 0x7F800000U) return with(0x7E00U | ((magnitude >> 13U) & 0x3FFU));
    if (magnitude >= 0x477FF000U) return with(0x7C00U);  // 65520 and above round to infinity
    if (magnitude < 0x33000000U) return with(0);         // below half the smallest subnormal
    if (magnitude < 0x38800000U) {                       // result is subnormal: units of 2^-24
        const std::uint32_t shift = 126U - (magnitude >> 23U);
        const std::uint32_t fraction = (magnitude & 0x7FFFFFU) | 0x800000U;
        const std::uint32_t kept = fraction >> shift;
        const std::uint32_t rest = fraction & ((1U << shift) - 1U);
        const std::uint32_t tie = 1U << (shift - 1U);
        return with(kept + ((rest > tie || (rest == tie && (kept & 1U) != 0)) ? 1U : 0U));
    }
    const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13U) & 1U);
    return with((rounded - 0x38000000U) >> 13U);
}

/// bfloat16 -> float32, exact.
constexpr float bf16ToFloat(std::uint16_t value) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U);
}

/// float32 -> bfloat16, round to nearest, ties to even; NaN becomes a quiet NaN.
constexpr std::uint16_t floatToBf16(float value) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>(bits >> 16U | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

/// OCP MX v1.0 E8M0 scale: 2^(e - 127); e = 255 is NaN, e = 0 is the subnormal 2^-127.
constexpr float e8m0ToFloat(std::uint8_t e) noexcept {
    if (e == 255) return std::bit_cast<float>(0x7FC00000U);
    return std::bit_cast<float>(e == 0 ? 0x00400000U : static_cast<std::uint32_t>(e) << 23U);
}

/// OCP MX v1.0 E2M1 element values by 4-bit code; code 8 is -0.
inline constexpr std::array<float, 16> kE2m1Values{0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,
                                                   4.0F,  6.0F,  -0.0F, -0.5F, -1.0F, -1.5F,
                                                   -2.0F, -3.0F, -4.0F, -6.0F};

}  // namespace moescope
