// SPDX-License-Identifier: Apache-2.0
// Seeded random tensors of any stored type, built from random codes and tame scales: no quantiser
// is needed, and every code occurs.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "engine/formats/tensor.h"

namespace moescope::test {

/// Makes what the last block of a tensor stores (in memory that is writable) not a number: its
/// scale, or the value itself where the type is plain.
inline void spoilLastBlock(const TensorView& t) {
    const DTypeInfo& info = dtypeInfo(t.type);
    const std::int64_t row = (t.stack() - 1) * t.stackStride + (t.rows() - 1) * t.rowStride;
    std::byte* block =
        const_cast<std::byte*>(t.data) + row + (t.cols() / info.blockWeights - 1) * info.blockBytes;
    if (t.type == DType::MXFP4Split) {
        const std::int64_t scales =
            (t.stack() - 1) * t.scaleStackStride + (t.rows() - 1) * t.scaleStride;
        const_cast<std::byte*>(t.scales)[scales + t.cols() / info.blockWeights - 1] =
            std::byte{255};
    } else if (t.type == DType::MXFP4) {
        block[0] = std::byte{255};
    } else if (t.type == DType::F32) {
        const std::uint32_t nan = 0x7fc00000U;
        std::memcpy(block, &nan, 4);
    } else {  // a half, or a bf16: both are no numbers with these bits
        const std::uint16_t nan = 0x7fe0U;
        const bool second = t.type == DType::Q4_1 || t.type == DType::Q5_K;  // the minimum
        std::memcpy(block + (t.type == DType::Q6_K ? 208 : second ? 2 : 0), &nan, 2);
    }
}

/// Owns the bytes of the tensors it makes.
class RandomTensors {
public:
    explicit RandomTensors(std::uint32_t seed) : random_(seed) {}

    float normal(float deviation = 1.0F) {
        return std::normal_distribution<float>(0.0F, deviation)(random_);
    }
    std::vector<float> normals(std::size_t n, float deviation = 1.0F) {
        std::vector<float> v(n);
        for (float& x : v) x = normal(deviation);
        return v;
    }

    /// (stack, rows, cols); rank 2 when stack is 1. Weights have a deviation near 0.1.
    TensorView matrix(DType type, int rows, int cols, int stack = 1, const char* name = "test") {
        const DTypeInfo& info = dtypeInfo(type);
        const int blocks = cols / info.blockWeights;
        TensorView t = shaped(type, rows, cols, stack, name);
        t.rowStride = std::int64_t{blocks} * info.blockBytes;
        t.stackStride = t.rowStride * rows;
        std::vector<std::byte>& bytes = allocate(static_cast<std::size_t>(t.stackStride * stack));
        for (std::byte& b : bytes) b = static_cast<std::byte>(random_() & 255U);
        for (std::size_t at = 0; at < bytes.size();
             at += static_cast<std::size_t>(info.blockBytes)) {
            tame(type, bytes.data() + at);
        }
        t.data = bytes.data();
        if (type == DType::MXFP4Split) {
            t.scaleStride = blocks;
            t.scaleStackStride = t.scaleStride * rows;
            std::vector<std::byte>& scales =
                allocate(static_cast<std::size_t>(t.scaleStackStride * stack));
            for (std::byte& b : scales) b = exponent();
            t.scales = scales.data();
        }
        return t;
    }

    /// (n) float32 vector around `centre`, or a stack (rows, n) of them.
    TensorView vector(int n, float centre, float deviation, int rows = 0) {
        std::vector<std::byte>& bytes =
            allocate(4 * static_cast<std::size_t>(n) * static_cast<std::size_t>(std::max(1, rows)));
        for (std::size_t i = 0; i < bytes.size(); i += 4)
            put(bytes.data() + i, centre + normal(deviation));
        TensorView t;
        t.name = "vector";
        t.rank = rows > 0 ? 2 : 1;
        t.shape = {rows > 0 ? rows : n, rows > 0 ? n : 1, 1, 1};
        t.rowStride = 4 * std::int64_t{n};
        t.stackStride = t.rowStride * std::max(1, rows);
        t.data = bytes.data();
        return t;
    }

    std::vector<std::byte>& lastBytes() { return owned_.back(); }

private:
    TensorView shaped(DType type, int rows, int cols, int stack, const char* name) {
        TensorView t;
        t.name = name;
        t.type = type;
        t.rank = stack > 1 ? 3 : 2;
        t.shape = stack > 1 ? std::array<std::int64_t, 4>{stack, rows, cols, 1}
                            : std::array<std::int64_t, 4>{rows, cols, 1, 1};
        return t;
    }
    std::vector<std::byte>& allocate(std::size_t n) { return owned_.emplace_back(n); }
    template <typename T>
    static void put(std::byte* to, T value) {
        std::memcpy(to, &value, sizeof value);
    }
    std::byte exponent() { return static_cast<std::byte>(120 + random_() % 5); }
    /// A half-precision number in [2^e, 2^(e + 1)), e = exponent - 15, either sign.
    std::uint16_t half(unsigned exponent) {
        return static_cast<std::uint16_t>((random_() & 0x83ffU) | exponent << 10);
    }

    void tame(DType type, std::byte* block) {
        switch (type) {
            case DType::F32:
                put(block, normal(0.1F));
                return;
            case DType::F16:
                put(block, half(8 + random_() % 5));
                return;
            case DType::BF16:
                put(block,
                    static_cast<std::uint16_t>((random_() & 0x807fU) | (120 + random_() % 5) << 7));
                return;
            case DType::MXFP4:
                block[0] = exponent();
                return;
            case DType::Q8_0:
                put(block, half(5));
                return;
            case DType::Q4_0:
            case DType::Q5_0:
                put(block, half(8));
                return;
            case DType::Q4_1:
            case DType::Q4_K:
            case DType::Q5_K:
                put(block, half(type == DType::Q4_1 ? 8 : 3));
                put(block + 2, half(type == DType::Q4_1 ? 10 : 4));
                return;
            case DType::Q6_K:
                put(block + 208, half(2));
                return;
            default:
                return;
        }
    }

    std::mt19937 random_;
    std::deque<std::vector<std::byte>> owned_;
};

}  // namespace moescope::test
