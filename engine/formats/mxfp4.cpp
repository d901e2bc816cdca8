// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/mxfp4.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>

#include "engine/formats/half.h"

namespace moescope {
namespace {

constexpr std::array<std::string_view, 3> kRuleNames{"floor", "ceil", "rne"};

// Midpoints between the magnitudes 0, .5, 1, 1.5, 2, 3, 4, 6 of the codes 0 to 7.
constexpr std::array<float, 7> kMidpoints{0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
constexpr float kLargest = 6.0F;
constexpr float kLargestPower = 4.0F;  ///< largest power of two among the magnitudes

std::byte nibbles(int lowCode, int highCode) {
    return static_cast<std::byte>(lowCode | highCode << 4);
}

/// Nearest code up to `largest` to `value`, which is in units of the scale; ties to the smaller
/// magnitude.
int codeTiesDown(float value, int largest) {
    const float magnitude = std::fabs(value);
    int code = 0;
    for (const float midpoint : kMidpoints) code += magnitude > midpoint ? 1 : 0;
    code = std::min(code, largest);
    return value < 0.0F && code > 0 ? code | 8 : code;
}

/// The same with ties to the even code, and the sign of a zero kept.
int codeTiesEven(float value) {
    const float magnitude = std::fabs(value);
    int code = 0;
    for (std::size_t i = 0; i < kMidpoints.size(); ++i) {
        const bool upAtTie = i % 2 != 0;
        code += (upAtTie ? magnitude >= kMidpoints[i] : magnitude > kMidpoints[i]) ? 1 : 0;
    }
    return std::signbit(value) ? code | 8 : code;
}

float largestMagnitude(const float* x) {
    float amax = 0.0F;
    for (std::size_t i = 0; i < kMxfp4Weights; ++i) amax = std::max(amax, std::fabs(x[i]));
    return amax;
}

template <typename Code>
void putBlock(std::uint8_t scale, const Code& code, std::byte* out) {
    out[0] = static_cast<std::byte>(scale);
    for (std::size_t j = 0; j < kMxfp4Codes; ++j) {
        out[1 + j] = nibbles(code(j), code(j + kMxfp4Codes));
    }
}

void blockFloor(const float* x, std::byte* out) {
    const float amax = largestMagnitude(x);
    // float32 log2, as ggml has it: the bytes shall be the same. ggml converts a negative exponent
    // to uint8 unchecked, which may come out as the NaN scale; ours stops at the smallest.
    const int power = amax > 0.0F ? static_cast<int>(std::floor(std::log2(amax))) - 2 : -127;
    const auto scale = static_cast<std::uint8_t>(std::clamp(power + 127, 0, 254));
    // Division by a power of two is exact unless it leaves the normal range.
    const float unit = e8m0ToFloat(scale);
    // Just below 2^128 the float32 log2 gives a scale of which 4 and 6 are infinite.
    const int largest = std::isinf(unit * kLargestPower) ? 5 : 7;
    putBlock(
        scale, [&](std::size_t i) { return codeTiesDown(x[i] / unit, largest); }, out);
}

/// `exponent`: of the scale as float32 stores it; 0 stands for a block too small to keep.
void blockTiesEven(const float* x, std::uint32_t exponent, std::byte* out) {
    const float inverse = exponent == 0 ? 0.0F : std::ldexp(1.0F, 127 - static_cast<int>(exponent));
    putBlock(
        static_cast<std::uint8_t>(exponent),
        [&](std::size_t i) { return codeTiesEven(x[i] * inverse); }, out);
}

void blockCeil(const float* x, std::byte* out) {
    // The fraction's largest value carries into the exponent unless the fraction is zero.
    const auto bits = std::bit_cast<std::uint32_t>(largestMagnitude(x) / kLargest);
    blockTiesEven(x, (bits + 0x7FFFFFU) >> 23U, out);
}

void blockRne(const float* x, std::byte* out) {
    const auto bits = std::bit_cast<std::uint32_t>(largestMagnitude(x) / kLargestPower);
    blockTiesEven(x, bits >> 23U, out);
}

template <void (*Block)(const float*, std::byte*)>
void blocksOf(std::span<const float> in, std::byte* out) {
    for (std::size_t i = 0; i < in.size(); i += kMxfp4Weights, out += kMxfp4Record) {
        Block(&in[i], out);
    }
}

}  // namespace

std::string_view mxfp4RuleName(Mxfp4Rule rule) noexcept {
    return kRuleNames[static_cast<std::size_t>(rule)];
}

std::optional<Mxfp4Rule> mxfp4Rule(std::string_view name) noexcept {
    const auto found = std::find(kRuleNames.begin(), kRuleNames.end(), name);
    if (found == kRuleNames.end()) return std::nullopt;
    return static_cast<Mxfp4Rule>(found - kRuleNames.begin());
}

void quantizeMxfp4(Mxfp4Rule rule, std::span<const float> in, std::span<std::byte> out) {
    assert(in.size() % kMxfp4Weights == 0);
    assert(out.size() == in.size() / kMxfp4Weights * kMxfp4Record);
    switch (rule) {
        case Mxfp4Rule::Floor:
            return blocksOf<blockFloor>(in, out.data());
        case Mxfp4Rule::Ceil:
            return blocksOf<blockCeil>(in, out.data());
        case Mxfp4Rule::Rne:
            return blocksOf<blockRne>(in, out.data());
    }
}

void mxfp4Record(std::span<const std::byte, kMxfp4Codes> interleaved, std::byte scale,
                 std::span<std::byte, kMxfp4Record> out) {
    const auto element = [&](std::size_t i) {
        const auto byte = std::to_integer<int>(interleaved[i / 2]);
        return i % 2 == 0 ? byte & 0xF : byte >> 4;
    };
    out[0] = scale;
    for (std::size_t j = 0; j < kMxfp4Codes; ++j) {
        out[1 + j] = nibbles(element(j), element(j + kMxfp4Codes));
    }
}

}  // namespace moescope
