// SPDX-License-Identifier: Apache-2.0
// Sub-blocks of ggml's K quants, as integers and what they are multiplied with. Layouts: ggml's
// ggml-common.h and dequantize_row_q4_K, _q5_K, _q6_K.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/formats/half.h"

namespace moescope::kquants {

inline constexpr int kSuper = 256;  ///< weights of one block of the file

/// 32 weights: scale * code - minimum. The products of the file's parts are exact in float32.
struct Affine {
    std::uint8_t codes[32];
    float scale, minimum;
};

/// Sub-block j (0..7) of a Q4_K block (d, dmin f16, 12 bytes of scales, 128 bytes of nibbles) or of
/// a Q5_K block, which has 32 bytes of fifth bits between scales and nibbles.
inline Affine affine(const std::byte* block, bool fifthBits, int j) noexcept {
    const auto at = [](const std::byte* p, int i) { return std::to_integer<unsigned>(p[i]); };
    const std::byte* packed = block + 4;
    unsigned scale = at(packed, j) & 63U;
    unsigned minimum = at(packed, j + 4) & 63U;
    if (j >= 4) {
        scale = (at(packed, j + 4) & 15U) | at(packed, j - 4) >> 6 << 4;
        minimum = at(packed, j + 4) >> 4 | at(packed, j) >> 6 << 4;
    }
    Affine out;
    out.scale = halfAt(block) * static_cast<float>(scale);
    out.minimum = halfAt(block + 2) * static_cast<float>(minimum);
    const std::byte* fifths = block + 16;
    const std::byte* nibbles = block + (fifthBits ? 48 : 16) + (j / 2) * 32;
    for (int i = 0; i < 32; ++i) {
        unsigned code = at(nibbles, i) >> (j % 2 * 4) & 15U;
        if (fifthBits) code |= (at(fifths, i) >> j & 1U) << 4;
        out.codes[i] = static_cast<std::uint8_t>(code);
    }
    return out;
}

/// 32 weights: code * scales[i / 16].
struct Scaled {
    std::int8_t codes[32];
    float scales[2];
};

/// Sub-blocks 2j and 2j + 1 (j 0..7) of a Q6_K block: 128 bytes of low nibbles, 64 bytes of upper
/// bit pairs, 16 int8 scales, d f16. The block is two independent halves of 128.
inline Scaled scaled(const std::byte* block, int j) noexcept {
    const auto at = [&](int i) { return std::to_integer<unsigned>(block[i]); };
    const int half = j / 4;
    const int quarter = j % 4;
    Scaled out;
    for (int i = 0; i < 32; ++i) {
        const unsigned low = at(half * 64 + (quarter % 2) * 32 + i) >> (quarter / 2 * 4) & 15U;
        const unsigned high = at(128 + half * 32 + i) >> (2 * quarter) & 3U;
        out.codes[i] = static_cast<std::int8_t>(static_cast<int>(low | high << 4) - 32);
    }
    for (int i = 0; i < 2; ++i)
        out.scales[i] =
            halfAt(block + 208) * static_cast<float>(static_cast<std::int8_t>(at(192 + 2 * j + i)));
    return out;
}

}  // namespace moescope::kquants
