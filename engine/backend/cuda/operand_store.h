// SPDX-License-Identifier: Apache-2.0
// Whole rows into operand order (layout.h), 16 bytes a store. Device code.
//
// Eight positions that begin at a multiple of eight hold two columns of each of the four lanes t:
// the pairs lie as far apart in the row as the lanes' octets do.
#pragma once

#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {

/// Columns `column` (even) and the next; 0 for one that the row of `width` does not have.
__device__ __forceinline__ float2 pairAt(const float* row, int width, int column) {
    if (width % 2 == 0) return *reinterpret_cast<const float2*>(row + column);
    return make_float2(row[column], column + 1 < width ? row[column + 1] : 0.0F);
}

/// Row `row` of the operands, its padding zeroed, by `threads` threads of which this is `thread`.
/// pairOf(column): numbers of columns `column` (even) and the next.
template <typename PairOf>
__device__ __forceinline__ void storeRow(const OperandRows& out, std::int64_t row, int width,
                                         int thread, int threads, const PairOf& pairOf) {
    const int chunk = chunkColumns(out.format);
    const int eights = (width + chunk - 1) / chunk * (chunk / 8);
    const int step = columnOf(out.format, 0, 1);
    auto* const high = reinterpret_cast<uint4*>(out.high + row * out.stride);
    auto* const low =
        out.low == nullptr ? nullptr : reinterpret_cast<uint4*>(out.low + row * out.stride);
    for (int i = thread; i < eights; i += threads) {
        const int first = operandColumn(out.format, 8 * i);
        float2 x[4];
        std::uint32_t rounded[4];
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) {
            const int column = first + t * step;
            x[t] = column < width ? pairOf(column) : make_float2(0.0F, 0.0F);
            if (column + 1 >= width) x[t].y = 0.0F;
        }
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) rounded[t] = packBf16(x[t].x, x[t].y);
        high[i] = make_uint4(rounded[0], rounded[1], rounded[2], rounded[3]);
        if (low == nullptr) continue;
        std::uint32_t rest[4];
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) {
            rest[t] = packBf16(x[t].x - fromBf16(rounded[t] & 0xFFFFU),
                               x[t].y - fromBf16(rounded[t] >> 16U));
        }
        low[i] = make_uint4(rest[0], rest[1], rest[2], rest[3]);
    }
}

/// The same of norm(in). in: (width).
__device__ __forceinline__ void storeNormed(const OperandRows& out, std::int64_t row,
                                            const NormWeights& weights, const NormOfRow& norm,
                                            const float* in, int width, int thread, int threads) {
    storeRow(out, row, width, thread, threads, [&](int column) {
        const float2 x = pairAt(in, width, column);
        if (weights.none) return x;
        const float2 weight = pairAt(weights.weight, width, column);
        const float2 bias =
            weights.bias == nullptr ? make_float2(0.0F, 0.0F) : pairAt(weights.bias, width, column);
        const float offset = weights.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
        return make_float2((x.x - norm.mean) * norm.scale * (weight.x + offset) + bias.x,
                           (x.y - norm.mean) * norm.scale * (weight.y + offset) + bias.y);
    });
}

/// Begins to bring a norm's weights, which no kernel writes, by a block of kBlockThreads threads.
__device__ __forceinline__ void prefetchNorm(const NormWeights& norm, int width) {
    constexpr int kLine = 128 / sizeof(float);
    if (norm.none) return;
    for (int i = static_cast<int>(threadIdx.x) * kLine; i < width; i += kBlockThreads * kLine)
        prefetchLine(norm.weight + i);
}

}  // namespace moescope::cuda
