// SPDX-License-Identifier: Apache-2.0
// What happens to the results of a prefill product: bias, activation, and where they are stored.
// Every warp stores its own rows from its registers and waits for no other; lanes exchange what
// belongs together.
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

/// The gated activations of engine/backend/activation.h as one formula, since its code is repeated
/// for every result: gate sigmoid(gate (linear + cubic gate^2)) (up + shift). GELU's tanh(y) is
/// 2 sigmoid(2 y) - 1.
struct GateRule {
    float linear, cubic, limit, shift;
};
__device__ __forceinline__ GateRule gateRule(const Product& p) {
    constexpr float kTwoSqrtTwoOverPi = 1.5957691216057308F;
    switch (p.activation) {
        case Activation::Silu:
            break;
        case Activation::GeluTanh:
            return {kTwoSqrtTwoOverPi, kTwoSqrtTwoOverPi * 0.044715F, INFINITY, 0.0F};
        case Activation::GptOssSwiGlu:
            return {p.swigluAlpha, 0.0F, p.swigluLimit, 1.0F};
    }
    return {1.0F, 0.0F, INFINITY, 0.0F};
}
__device__ __forceinline__ float gated(const GateRule& rule, float gate, float up) {
    // Not minimum and maximum, which drop a NaN.
    const float g = gate > rule.limit ? rule.limit : gate;
    const float below = up > rule.limit ? rule.limit : up;
    const float u = below < -rule.limit ? -rule.limit : below;
    // Without a cubic part an infinite square is not to be seen.
    const float slope = rule.cubic != 0.0F ? rule.linear + rule.cubic * g * g : rule.linear;
    return divideFast(g, 1.0F + __expf(-slope * g)) * (u + rule.shift);
}

/// Which part of the product a block has.
struct BlockShare {
    int expert = 0;
    int first = 0;  ///< slot, or token
    int count = 0;
    int firstRow = 0;  ///< of the weights
};

/// What is added to row `row` of the product.
__device__ __forceinline__ float biasOf(const Product& p, const BlockShare& share, int row) {
    if (p.bias == nullptr || row >= p.weights.rows) return 0.0F;
    return p.bias[std::int64_t{share.expert} * p.weights.rows + row];
}

/// Float32 results of a warp's 16 rows from `row` on: a store is of whole sectors, 8 rows each of
/// four tokens. With kAdd they are added to what is there.
template <bool kAdd, int kColumns8>
__device__ __forceinline__ void storeFloats(const Product& p, const BlockShare& share,
                                            const float (&acc)[kColumns8][4], int row) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int mine = row + lane / 4;
    const float bias[2] = {biasOf(p, share, mine), biasOf(p, share, mine + 8)};
    const bool there[2] = {mine < p.weights.rows, mine + 8 < p.weights.rows};
    // Where token 32 i + lane of the tile goes.
    int targets[(kColumns8 + 3) / 4];
    MOESCOPE_UNROLL
    for (int i = 0; i < (kColumns8 + 3) / 4; ++i) {
        const int at = share.first + min(kWarp * i + lane, share.count - 1);
        targets[i] = p.kind == ProductKind::Down ? p.groups.slots[at] : at;
    }
    MOESCOPE_UNROLL
    for (int j = 0; j < kColumns8; ++j) {
        MOESCOPE_UNROLL
        for (int e = 0; e < 2; ++e) {
            const int within = 8 * (j % 4) + 2 * (lane % 4) + e;
            const bool real = kWarp * (j / 4) + within < share.count;
            const int target = __shfl_sync(kAllLanes, targets[j / 4], within);
            float* const out = p.out + std::int64_t{target} * p.outStride + mine;
            MOESCOPE_UNROLL
            for (int h = 0; h < 2; ++h) {
                const float value = acc[j][2 * h + e] + bias[h];
                if constexpr (kAdd) {
                    // Nobody else adds to this number, so there is no order to depend on; and
                    // nothing waits for what it was.
                    if (real && there[h]) atomicAdd(out + 8 * h, value);
                } else {
                    if (real && there[h]) out[8 * h] = value;
                }
            }
        }
    }
}

/// Two neighbouring numbers in operand order, at an even position.
__device__ __forceinline__ void storeOperandPair(const OperandRows& rows, std::int64_t at,
                                                 float first, float second) {
    const std::uint32_t high = packBf16(first, second);
    *reinterpret_cast<std::uint32_t*>(rows.high + at) = high;
    if (rows.low == nullptr) return;
    *reinterpret_cast<std::uint32_t*>(rows.low + at) =
        packBf16(first - fromBf16(high & 0xFFFFU), second - fromBf16(high >> 16U));
}

/// Activated results of a warp's 16 rows from `row` on, in the order that the next product wants:
/// 8 columns, an octet. Lane 4 g + t has rows g and g + 8 of tokens 2 t and 2 t + 1. Gate and up
/// of a column are 4 lanes apart; of the tokens the former's lane takes the first. Columns that lie
/// side by side are 8 lanes apart; the former's lane takes those of rows up to 7.
template <int kColumns8>
__device__ __forceinline__ void storeHidden(const Product& p, const BlockShare& share,
                                            const float (&acc)[kColumns8][4], int row) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int g = lane / 4;
    const bool isUp = g % 2 != 0;
    const bool isSecond = g / 2 % 2 != 0;
    const float bias[2] = {biasOf(p, share, row + g), biasOf(p, share, row + 8 + g)};
    const GateRule rule = gateRule(p);
    const int half = isSecond ? 1 : 0;
    const int column = row / 2 + 4 * half + 2 * (g / 4);
    const int position = operandPosition(p.hidden.format, row / 2) + 16 * half + 8 * (g / 4);
    const bool stored = position < p.hidden.stride;
    const bool real[2] = {column < p.weights.rows / 2, column + 1 < p.weights.rows / 2};
    MOESCOPE_UNROLL
    for (int j = 0; j < kColumns8; ++j) {
        float values[2];
        MOESCOPE_UNROLL
        for (int h = 0; h < 2; ++h) {
            const float first = acc[j][2 * h] + bias[h];
            const float second = acc[j][2 * h + 1] + bias[h];
            const float other = __shfl_xor_sync(kAllLanes, isUp ? first : second, 4);
            values[h] = gated(rule, isUp ? other : first, isUp ? second : other);
        }
        const float other = __shfl_xor_sync(kAllLanes, isSecond ? values[0] : values[1], 8);
        const float first = isSecond ? other : values[0];
        const float second = isSecond ? values[1] : other;
        const int token = 8 * j + 2 * (lane % 4) + (isUp ? 1 : 0);
        if (!stored || token >= share.count) continue;
        const std::int64_t at = std::int64_t{share.first + token} * p.hidden.stride + position;
        storeOperandPair(p.hidden, at, real[0] ? first : 0.0F, real[1] ? second : 0.0F);
    }
}

/// A warp's 16 rows of the product, from `row` of the block on. `acc`: c of mma.m16n8k16 for 8
/// tokens each.
template <int kColumns8>
__device__ __forceinline__ void storeRows(const Product& p, const BlockShare& share,
                                          const float (&acc)[kColumns8][4], int row) {
    row += share.firstRow;
    if (p.kind == ProductKind::Up) {
        storeHidden(p, share, acc, row);
    } else if (p.add) {
        storeFloats<true>(p, share, acc, row);
    } else {
        storeFloats<false>(p, share, acc, row);
    }
}

/// Up: the zeros behind the hidden rows of a block of kRows rows, if it is the last; by its first
/// kThreads threads.
template <int kRows, int kThreads>
__device__ __forceinline__ void padHidden(const Product& p, const BlockShare& share) {
    if (p.kind != ProductKind::Up || share.firstRow + kRows < p.weights.rows) return;
    const int chunk = chunkColumns(p.hidden.format);
    const int end = (p.hidden.stride + chunk - 1) / chunk * chunk;
    const int thread = static_cast<int>(threadIdx.x);
    for (int column = (share.firstRow + kRows) / 2 + 2 * (thread % kWarp); column < end;
         column += 2 * kWarp) {
        const int position = operandPosition(p.hidden.format, column);
        if (position >= p.hidden.stride) continue;
        for (int token = thread / kWarp; token < share.count; token += kThreads / kWarp) {
            const std::int64_t at = std::int64_t{share.first + token} * p.hidden.stride + position;
            storeOperandPair(p.hidden, at, 0.0F, 0.0F);
        }
    }
}

}  // namespace moescope::cuda
