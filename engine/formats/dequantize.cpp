// SPDX-License-Identifier: Apache-2.0
// Stored rows to float32. Layouts are those of ggml's block structures and of the OCP MX blocks in
// OpenAI's and Hugging Face's gpt-oss checkpoints; all multi-byte fields are little-endian.
#include <cassert>
#include <cstring>

#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"
#include "engine/formats/k_quants.h"
#include "engine/formats/tensor.h"

namespace moescope {
namespace {

std::uint8_t byteAt(const std::byte* p, std::int64_t i) {
    return std::to_integer<std::uint8_t>(p[i]);
}
int signedAt(const std::byte* p, std::int64_t i) {
    return static_cast<std::int8_t>(byteAt(p, i));
}
int low(std::uint8_t byte) {
    return byte & 0xF;
}
int high(std::uint8_t byte) {
    return byte >> 4;
}

std::uint16_t word(const std::byte* p) {
    std::uint16_t value = 0;
    std::memcpy(&value, p, sizeof value);
    return value;
}

void blockQ8_0(const std::byte* p, float* out) {
    const float d = halfAt(p);
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(signedAt(p, 2 + i));
}

void blockQ4_0(const std::byte* p, float* out) {
    const float d = halfAt(p);
    for (int i = 0; i < 16; ++i) {
        out[i] = d * static_cast<float>(low(byteAt(p, 2 + i)) - 8);
        out[i + 16] = d * static_cast<float>(high(byteAt(p, 2 + i)) - 8);
    }
}

void blockQ4_1(const std::byte* p, float* out) {
    const float d = halfAt(p);
    const float m = halfAt(p + 2);
    for (int i = 0; i < 16; ++i) {
        out[i] = d * static_cast<float>(low(byteAt(p, 4 + i))) + m;
        out[i + 16] = d * static_cast<float>(high(byteAt(p, 4 + i))) + m;
    }
}

void blockQ5_0(const std::byte* p, float* out) {
    const float d = halfAt(p);
    std::uint32_t fifths = 0;  // bit i: the fifth bit of element i
    std::memcpy(&fifths, p + 2, sizeof fifths);
    for (int i = 0; i < 16; ++i) {
        const std::uint8_t byte = byteAt(p, 6 + i);
        const int first = low(byte) | static_cast<int>(fifths >> i & 1U) << 4;
        const int second = high(byte) | static_cast<int>(fifths >> (i + 16) & 1U) << 4;
        out[i] = d * static_cast<float>(first - 16);
        out[i + 16] = d * static_cast<float>(second - 16);
    }
}

void blockQ45K(const std::byte* p, bool fifthBits, float* out) {
    for (int j = 0; j < 8; ++j) {
        const kquants::Affine sub = kquants::affine(p, fifthBits, j);
        for (int i = 0; i < 32; ++i)
            out[32 * j + i] = sub.scale * static_cast<float>(sub.codes[i]) - sub.minimum;
    }
}
void blockQ4K(const std::byte* p, float* out) {
    blockQ45K(p, false, out);
}
void blockQ5K(const std::byte* p, float* out) {
    blockQ45K(p, true, out);
}

void blockQ6K(const std::byte* p, float* out) {
    for (int j = 0; j < 8; ++j) {
        const kquants::Scaled sub = kquants::scaled(p, j);
        for (int i = 0; i < 32; ++i)
            out[32 * j + i] = sub.scales[i / 16] * static_cast<float>(sub.codes[i]);
    }
}

void blockMxfp4(const std::byte* p, float* out) {
    const float scale = e8m0ToFloat(byteAt(p, 0));
    for (int i = 0; i < 16; ++i) {
        const std::uint8_t byte = byteAt(p, 1 + i);
        out[i] = scale * kE2m1Values[static_cast<std::size_t>(low(byte))];
        out[i + 16] = scale * kE2m1Values[static_cast<std::size_t>(high(byte))];
    }
}

void rowMxfp4Split(const std::byte* codes, const std::byte* scales, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::uint8_t byte = byteAt(codes, static_cast<std::int64_t>(i / 2));
        const float scale = e8m0ToFloat(byteAt(scales, static_cast<std::int64_t>(i / 32)));
        const int code = i % 2 == 0 ? low(byte) : high(byte);
        out[i] = scale * kE2m1Values[static_cast<std::size_t>(code)];
    }
}

template <void (*Block)(const std::byte*, float*)>
void rowOf(DType type, const std::byte* p, std::span<float> out) {
    const DTypeInfo& info = dtypeInfo(type);
    const auto weights = static_cast<std::size_t>(info.blockWeights);
    for (std::size_t i = 0; i < out.size(); i += weights, p += info.blockBytes) Block(p, &out[i]);
}

}  // namespace

void dequantizeRow(const TensorView& t, std::int64_t stackIndex, std::int64_t row,
                   std::span<float> out) {
    assert(stackIndex >= 0 && stackIndex < t.stack() && row >= 0 && row < t.rows());
    assert(static_cast<std::int64_t>(out.size()) == t.cols());
    const std::byte* p = t.matrixData(stackIndex) + row * t.rowStride;
    switch (t.type) {
        case DType::F32:
            std::memcpy(out.data(), p, out.size_bytes());
            return;
        case DType::F16:
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = halfAt(p + 2 * i);
            return;
        case DType::BF16:
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = bf16ToFloat(word(p + 2 * i));
            return;
        case DType::Q8_0:
            return rowOf<blockQ8_0>(t.type, p, out);
        case DType::Q4_0:
            return rowOf<blockQ4_0>(t.type, p, out);
        case DType::Q4_1:
            return rowOf<blockQ4_1>(t.type, p, out);
        case DType::Q5_0:
            return rowOf<blockQ5_0>(t.type, p, out);
        case DType::Q4_K:
            return rowOf<blockQ4K>(t.type, p, out);
        case DType::Q5_K:
            return rowOf<blockQ5K>(t.type, p, out);
        case DType::Q6_K:
            return rowOf<blockQ6K>(t.type, p, out);
        case DType::MXFP4:
            return rowOf<blockMxfp4>(t.type, p, out);
        case DType::MXFP4Split: {
            const std::byte* scales =
                t.scales + stackIndex * t.scaleStackStride + row * t.scaleStride;
            return rowMxfp4Split(p, scales, out);
        }
        default:
            break;
    }
    assert(!"dequantizeRow: not a weight format");
}

}  // namespace moescope
