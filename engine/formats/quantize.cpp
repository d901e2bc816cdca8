// SPDX-License-Identifier: Apache-2.0
// float32 to stored rows; the rounding rules stand at quantizeRow's declaration.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"
#include "engine/formats/mxfp4.h"

namespace moescope {
namespace {

void putHalf(std::byte* out, float value) {
    const std::uint16_t half = floatToHalf(value);
    std::memcpy(out, &half, sizeof half);
}

std::byte nibbles(int lowCode, int highCode) {
    return static_cast<std::byte>(lowCode | highCode << 4);
}

void blockQ8_0(const float* x, std::byte* out) {
    float amax = 0.0F;
    for (int i = 0; i < 32; ++i) amax = std::max(amax, std::fabs(x[i]));
    const float d = amax / 127.0F;
    const float inverse = d > 0.0F ? 1.0F / d : 0.0F;
    putHalf(out, d);
    for (int i = 0; i < 32; ++i) {
        out[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(x[i] * inverse)));
    }
}

void blockQ4_0(const float* x, std::byte* out) {
    float extreme = 0.0F;
    for (int i = 0; i < 32; ++i) {
        if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    }
    const float d = extreme / -8.0F;
    const float inverse = d != 0.0F ? 1.0F / d : 0.0F;
    putHalf(out, d);
    const auto code = [&](int i) { return std::min(15, static_cast<int>(x[i] * inverse + 8.5F)); };
    for (int i = 0; i < 16; ++i) out[2 + i] = nibbles(code(i), code(i + 16));
}

void blockQ4_1(const float* x, std::byte* out) {
    const auto [low, high] = std::minmax_element(x, x + 32);
    const float minimum = *low;
    const float d = (*high - minimum) / 15.0F;
    const float inverse = d > 0.0F ? 1.0F / d : 0.0F;
    putHalf(out, d);
    putHalf(out + 2, minimum);
    const auto code = [&](int i) {
        // Rounds as ggml does, so that the bytes are the same.
        // NOLINTNEXTLINE(bugprone-incorrect-roundings)
        return std::min(15, static_cast<int>((x[i] - minimum) * inverse + 0.5F));
    };
    for (int i = 0; i < 16; ++i) out[4 + i] = nibbles(code(i), code(i + 16));
}

template <void (*Block)(const float*, std::byte*)>
void rowOf(DType type, std::span<const float> in, std::byte* out) {
    const DTypeInfo& info = dtypeInfo(type);
    const auto weights = static_cast<std::size_t>(info.blockWeights);
    for (std::size_t i = 0; i < in.size(); i += weights, out += info.blockBytes) {
        Block(&in[i], out);
    }
}

template <std::uint16_t (*Convert)(float)>
void rowOf16(std::span<const float> in, std::byte* out) {
    for (std::size_t i = 0; i < in.size(); ++i) {
        const std::uint16_t value = Convert(in[i]);
        std::memcpy(out + 2 * i, &value, sizeof value);
    }
}

}  // namespace

void quantizeRow(DType type, std::span<const float> in, std::span<std::byte> out) {
    assert(rowBytes(type, static_cast<std::int64_t>(in.size())) ==
           static_cast<std::int64_t>(out.size()));
    switch (type) {
        case DType::F32:
            std::memcpy(out.data(), in.data(), in.size_bytes());
            return;
        case DType::F16:
            return rowOf16<floatToHalf>(in, out.data());
        case DType::BF16:
            return rowOf16<floatToBf16>(in, out.data());
        case DType::Q8_0:
            return rowOf<blockQ8_0>(type, in, out.data());
        case DType::Q4_0:
            return rowOf<blockQ4_0>(type, in, out.data());
        case DType::Q4_1:
            return rowOf<blockQ4_1>(type, in, out.data());
        case DType::MXFP4:
            return quantizeMxfp4(Mxfp4Rule::Floor, in, out);
        default:
            break;
    }
    assert(!"quantizeRow: no quantiser for this format");
}

}  // namespace moescope
