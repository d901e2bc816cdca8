// SPDX-License-Identifier: Apache-2.0
// Whole rows into operand order (layout.h), 16 bytes a store. Device code.
//
// Eight positions that begin at a multiple of eight hold two columns of each of the four lanes t:
// the pairs lie as far apart in the row as the lanes' octets do.
#pragma once

#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {

/// Four pairs of consecutive columns: where they begin (even), and their numbers.
struct FourPairs {
    int column[4];
    float2 x[4];
};

/// The columns' numbers in a row of `width`; all loads are under way before one is used. Columns
/// past the end have any numbers.
__device__ __forceinline__ void loadPairs(FourPairs& pairs, const float* row, int width) {
    if (width % 2 == 0) {
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t)
            pairs.x[t] = *reinterpret_cast<const float2*>(row + min(pairs.column[t], width - 2));
    } else {
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) {
            pairs.x[t] = make_float2(row[min(pairs.column[t], width - 1)],
                                     row[min(pairs.column[t] + 1, width - 1)]);
        }
    }
}

/// Row `row` of the operands, its padding zeroed, by `threads` threads of which this is `thread`.
/// fill(pairs): writes the columns' numbers, and any past the end of the row.
template <typename Fill>
__device__ __forceinline__ void storeRow(const OperandRows& out, std::int64_t row, int width,
                                         int thread, int threads, const Fill& fill) {
    const int chunk = chunkColumns(out.format);
    const int eights = (width + chunk - 1) / chunk * (chunk / 8);
    const int step = columnOf(out.format, 0, 1);
    auto* const high = reinterpret_cast<uint4*>(out.high + row * out.stride);
    auto* const low =
        out.low == nullptr ? nullptr : reinterpret_cast<uint4*>(out.low + row * out.stride);
    for (int i = thread; i < eights; i += threads) {
        FourPairs pairs;
        const int first = operandColumn(out.format, 8 * i);
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) pairs.column[t] = first + t * step;
        fill(pairs);
        std::uint32_t rounded[4], rest[4];
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) {
            const float x = pairs.column[t] < width ? pairs.x[t].x : 0.0F;
            const float y = pairs.column[t] + 1 < width ? pairs.x[t].y : 0.0F;
            rounded[t] = packBf16(x, y);
            rest[t] = packBf16(x - fromBf16(rounded[t] & 0xFFFFU), y - fromBf16(rounded[t] >> 16U));
        }
        high[i] = make_uint4(rounded[0], rounded[1], rounded[2], rounded[3]);
        if (low != nullptr) low[i] = make_uint4(rest[0], rest[1], rest[2], rest[3]);
    }
}

/// The same of norm(in). in: (width).
__device__ __forceinline__ void storeNormed(const OperandRows& out, std::int64_t row,
                                            const NormWeights& weights, const NormOfRow& norm,
                                            const float* in, int width, int thread, int threads) {
    const float offset = weights.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F;
    storeRow(out, row, width, thread, threads, [&](FourPairs& pairs) {
        loadPairs(pairs, in, width);
        if (weights.none) return;
        FourPairs of = pairs;  // the weights, then the biases, which few norms have
        loadPairs(of, weights.weight, width);
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) {
            float2& x = pairs.x[t];
            x.x = (x.x - norm.mean) * norm.scale * (of.x[t].x + offset);
            x.y = (x.y - norm.mean) * norm.scale * (of.x[t].y + offset);
        }
        if (weights.bias == nullptr) return;
        loadPairs(of, weights.bias, width);
        MOESCOPE_UNROLL
        for (int t = 0; t < 4; ++t) {
            pairs.x[t].x += of.x[t].x;
            pairs.x[t].y += of.x[t].y;
        }
    });
}

/// Begins to bring a norm's weights, which no kernel writes. A block of at least kBlockThreads
/// threads.
__device__ __forceinline__ void prefetchNorm(const NormWeights& norm, int width) {
    constexpr int kLine = 128 / sizeof(float);
    if (norm.none) return;
    for (int i = static_cast<int>(threadIdx.x) * kLine; i < width; i += kBlockThreads * kLine)
        prefetchLine(norm.weight + i);
}

}  // namespace moescope::cuda
