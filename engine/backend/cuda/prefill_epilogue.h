// SPDX-License-Identifier: Apache-2.0
// What happens to the results of a prefill product: bias, activation, and where they are stored.
// They pass through shared memory, so that gate and up meet and stores are of whole lines.
#pragma once

#include "engine/backend/cuda/prefill_product.h"

namespace moescope::cuda {

/// a / b to two units in the last place; 0 where b is very large or infinite.
__device__ __forceinline__ float divideFast(float a, float b) {
#ifdef __CUDA_ARCH__
    return __fdividef(a, b);
#else
    return a / b;
#endif
}

/// The gated activations of engine/backend/activation.h.
__device__ __forceinline__ float gated(const Product& p, float gate, float up) {
    switch (p.activation) {
        case Activation::Silu:
            return divideFast(gate, 1.0F + __expf(-gate)) * up;
        case Activation::GeluTanh: {
            constexpr float kSqrtTwoOverPi = 0.79788456080286535588F;
            const float inner = kSqrtTwoOverPi * (gate + 0.044715F * gate * gate * gate);
            return 0.5F * gate * (1.0F + tanhf(inner)) * up;
        }
        case Activation::GptOssSwiGlu:
            break;
    }
    // Not minimum and maximum, which drop a NaN.
    const float limit = p.swigluLimit;
    const float g = gate > limit ? limit : gate;
    const float u = up > limit ? limit : up < -limit ? -limit : up;
    return divideFast(g, 1.0F + __expf(-p.swigluAlpha * g)) * (u + 1.0F);
}

/// Stores a value in operand order's position `at` of rows as high and low part.
__device__ __forceinline__ void storeOperand(const OperandRows& rows, std::size_t at, float value) {
    const std::uint32_t high = packBf16(value, 0.0F);
    rows.high[at] = static_cast<std::uint16_t>(high);
    if (rows.low != nullptr) {
        rows.low[at] = static_cast<std::uint16_t>(packBf16(value - fromBf16(high), 0.0F));
    }
}

/// Which part of the product a block has.
struct BlockShare {
    int expert = 0;
    int first = 0;  ///< slot, or token
    int count = 0;
    int firstRow = 0;  ///< of the weights
};

/// The epilogue passes results through shared memory, this many tokens at a time.
inline constexpr int kSliceTokens = 32;
/// Floats between its rows: lanes of a warp then write to 32 different banks.
__host__ __device__ constexpr int sliceStride(int blockRows) {
    return blockRows + 4;
}
__host__ __device__ constexpr int sliceBytes(int blockRows) {
    return kSliceTokens * sliceStride(blockRows) * 4;
}

/// Float32 results of the slice's `count` tokens from `token` on, which lie in `slice`.
template <int kRows, int kThreads>
__device__ inline void storeFloats(const Product& p, const BlockShare& share, int token, int count,
                                   const float* slice) {
    const int within = static_cast<int>(threadIdx.x) % kRows;
    const int row = share.firstRow + within;
    if (row >= p.weights.rows) return;
    const float bias =
        p.bias == nullptr ? 0.0F : p.bias[std::int64_t{share.expert} * p.weights.rows + row];
    for (int i = static_cast<int>(threadIdx.x) / kRows; i < count; i += kThreads / kRows) {
        const int at = share.first + token + i;
        const int target = p.kind == ProductKind::Down ? p.groups.slots[at] : at;
        float* const out = p.out + std::int64_t{target} * p.outStride + row;
        const float value = slice[i * sliceStride(kRows) + within] + bias;
        *out = p.add ? *out + value : value;
    }
}

/// Activated rows, in the order that the next product wants. A thread has one column of every
/// kThreads / kColumns-th token. The last block of a row also writes the zeros behind it.
template <int kRows, int kThreads>
__device__ inline void storeHidden(const Product& p, const BlockShare& share, int token, int count,
                                   const float* slice) {
    constexpr int kColumns = kRows / 2;
    const int columns = p.weights.rows / 2;
    const int first = share.firstRow / 2;
    const int chunk = chunkColumns(p.hidden.format);
    const bool last = share.firstRow + kRows >= p.weights.rows;
    const int end = last ? (p.hidden.stride + chunk - 1) / chunk * chunk : first + kColumns;
    const float* const bias =
        p.bias == nullptr ? nullptr : p.bias + std::int64_t{share.expert} * p.weights.rows;
    for (int column = first + static_cast<int>(threadIdx.x) % kColumns; column < end;
         column += kColumns) {
        const int position = operandPosition(p.hidden.format, column);
        if (position >= p.hidden.stride) continue;
        const bool real = column < columns;
        const float gateBias = real && bias != nullptr ? bias[2 * column] : 0.0F;
        const float upBias = real && bias != nullptr ? bias[2 * column + 1] : 0.0F;
        const float* const pairs = slice + 2 * (column - first);
        for (int i = static_cast<int>(threadIdx.x) / kColumns; i < count;
             i += kThreads / kColumns) {
            float value = 0.0F;
            if (real) {
                const float2 pair =
                    *reinterpret_cast<const float2*>(pairs + i * sliceStride(kRows));
                value = gated(p, pair.x + gateBias, pair.y + upBias);
            }
            const std::int64_t row = share.first + token + i;
            storeOperand(p.hidden, static_cast<std::size_t>(row * p.hidden.stride + position),
                         value);
        }
    }
}

/// The first kThreads threads of a block, which `meet` makes wait for each other. `acc`: 16 rows of
/// a warp from its `warpRow` on, and more at distances of 64; `slice`: shared memory that other
/// threads may still be reading.
template <int kRows, int kThreads, int kPairs, int kColumns8, typename Meet>
__device__ __forceinline__ void storeProduct(const Product& p, const BlockShare& share,
                                             const float (&acc)[kPairs][kColumns8][4], int warpRow,
                                             float* slice, const Meet& meet) {
    constexpr int kStride = sliceStride(kRows);
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    float* const mine = slice + 2 * (lane % 4) * kStride + warpRow + lane / 4;
    MOESCOPE_UNROLL
    for (int s = 0; s < kColumns8 * 8 / kSliceTokens; ++s) {
        const int token = s * kSliceTokens;
        if (token >= share.count) return;
        meet();
        MOESCOPE_UNROLL
        for (int pair = 0; pair < kPairs; ++pair) {
            MOESCOPE_UNROLL
            for (int j = 0; j < kSliceTokens / 8; ++j) {
                MOESCOPE_UNROLL
                for (int e = 0; e < 4; ++e) {
                    mine[(8 * j + e % 2) * kStride + 64 * pair + 8 * (e / 2)] =
                        acc[pair][s * kSliceTokens / 8 + j][e];
                }
            }
        }
        meet();
        const int count = min(kSliceTokens, share.count - token);
        if (p.kind == ProductKind::Up) {
            storeHidden<kRows, kThreads>(p, share, token, count, slice);
        } else {
            storeFloats<kRows, kThreads>(p, share, token, count, slice);
        }
    }
}

}  // namespace moescope::cuda
