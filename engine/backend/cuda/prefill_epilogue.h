// SPDX-License-Identifier: Apache-2.0
// What happens to the results of a prefill product: bias, activation, and where they are stored.
// They pass through shared memory, so that gate and up meet and stores are of whole lines.
#pragma once

#include "engine/backend/cuda/prefill_product.h"

namespace moescope::cuda {

/// The gated activations of engine/backend/activation.h.
__device__ __forceinline__ float gated(const Product& p, float gate, float up) {
    switch (p.activation) {
        case Activation::Silu:
            return gate / (1.0F + expf(-gate)) * up;
        case Activation::GeluTanh: {
            constexpr float kSqrtTwoOverPi = 0.79788456080286535588F;
            const float inner = kSqrtTwoOverPi * (gate + 0.044715F * gate * gate * gate);
            return 0.5F * gate * (1.0F + tanhf(inner)) * up;
        }
        case Activation::GptOssSwiGlu:
            break;
    }
    const float g = fminf(gate, p.swigluLimit);
    const float u = fminf(fmaxf(up, -p.swigluLimit), p.swigluLimit);
    return g / (1.0F + expf(-p.swigluAlpha * g)) * (u + 1.0F);
}

/// Stores a value in operand order's position `at` of rows as high and low part.
__device__ __forceinline__ void storeOperand(const OperandRows& rows, std::size_t at, float value) {
    const std::uint16_t high = toBf16(value);
    rows.high[at] = high;
    if (rows.low != nullptr) rows.low[at] = toBf16(value - fromBf16(high));
}

/// Which rows of the product a block has.
struct BlockShare {
    int expert = 0;
    int first = 0;  ///< slot, or token
    int count = 0;
};

/// Float32 results of the slice's `count` tokens from `token` on, which lie in `slice`.
__device__ inline void storeFloats(const Product& p, const BlockShare& share, int token, int count,
                                   const float* slice) {
    const int row = static_cast<int>(blockIdx.x) * kBlockRows + static_cast<int>(threadIdx.x);
    if (row >= p.weights.rows) return;
    const float bias =
        p.bias == nullptr ? 0.0F : p.bias[std::int64_t{share.expert} * p.weights.rows + row];
    for (int i = 0; i < count; ++i) {
        const int at = share.first + token + i;
        const int target = p.kind == ProductKind::Down ? p.groups.slots[at] : at;
        float* const out = p.out + std::int64_t{target} * p.outStride + row;
        const float value = slice[i * kSliceStride + threadIdx.x] + bias;
        *out = p.add ? *out + value : value;
    }
}

/// Activated rows, in the order that the next product wants. A thread has one position of every
/// second token. The last block of a row also writes the zeros behind it.
__device__ inline void storeHidden(const Product& p, const BlockShare& share, int token, int count,
                                   const float* slice) {
    constexpr int kColumns = kBlockRows / 2;
    const int columns = p.weights.rows / 2;
    const int first = static_cast<int>(blockIdx.x) * kColumns;
    const int chunk = chunkColumns(p.hidden.format);
    const bool last = blockIdx.x + 1 == gridDim.x;
    const int end = last ? p.hidden.stride : first + kColumns;
    const int endOfChunks = (end + chunk - 1) / chunk * chunk;
    const float* const bias =
        p.bias == nullptr ? nullptr : p.bias + std::int64_t{share.expert} * p.weights.rows;
    const int half = static_cast<int>(threadIdx.x) / kColumns;
    for (int position = first / chunk * chunk + static_cast<int>(threadIdx.x) % kColumns;
         position < endOfChunks; position += kColumns) {
        const int column = operandColumn(p.hidden.format, position);
        if (column < first || column >= end || position >= p.hidden.stride) continue;
        const bool real = column < columns;
        const float gateBias = real && bias != nullptr ? bias[2 * column] : 0.0F;
        const float upBias = real && bias != nullptr ? bias[2 * column + 1] : 0.0F;
        for (int i = half; i < count; i += kProductThreads / kColumns) {
            float value = 0.0F;
            if (real) {
                const float* const pair = slice + i * kSliceStride + 2 * (column - first);
                value = gated(p, pair[0] + gateBias, pair[1] + upBias);
            }
            const std::int64_t row = share.first + token + i;
            storeOperand(p.hidden, static_cast<std::size_t>(row * p.hidden.stride + position),
                         value);
        }
    }
}

/// All threads; `slice` is shared memory that other threads may still be reading.
template <int kTokens>
__device__ __forceinline__ void storeProduct(const Product& p, const BlockShare& share,
                                             const float (&acc)[2][kTokens / 8][4], float* slice) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    float* const mine = slice + 2 * (lane % 4) * kSliceStride + 16 * warp + lane / 4;
    MOESCOPE_UNROLL
    for (int s = 0; s < kTokens / kSliceTokens; ++s) {
        const int token = s * kSliceTokens;
        if (token >= share.count) return;
        __syncthreads();
        MOESCOPE_UNROLL
        for (int pair = 0; pair < 2; ++pair) {
            MOESCOPE_UNROLL
            for (int j = 0; j < kSliceTokens / 8; ++j) {
                MOESCOPE_UNROLL
                for (int e = 0; e < 4; ++e) {
                    mine[(8 * j + e % 2) * kSliceStride + 64 * pair + 8 * (e / 2)] =
                        acc[pair][s * kSliceTokens / 8 + j][e];
                }
            }
        }
        __syncthreads();
        const int count = min(kSliceTokens, share.count - token);
        if (p.kind == ProductKind::Up) {
            storeHidden(p, share, token, count, slice);
        } else {
            storeFloats(p, share, token, count, slice);
        }
    }
}

}  // namespace moescope::cuda
