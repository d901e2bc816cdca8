// SPDX-License-Identifier: Apache-2.0
// Norms by one block of kBlockThreads threads. Device code.
#pragma once

#include "engine/backend/cuda/decode_bands.h"

namespace moescope::cuda {

/// Sum over the block, the same on every thread and in every run.
__device__ __forceinline__ float blockSum(float value) {
    __shared__ float sums[kBlockWarps];
    value = warpSum(value);
    if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = value;
    __syncthreads();
    float total = 0;
    for (int w = 0; w < kBlockWarps; ++w) total += sums[w];
    __syncthreads();  // before the next call overwrites what another warp still reads
    return total;
}

/// x -> (x - mean) * scale * weight + bias: what a norm does to the elements of one row.
struct NormOfRow {
    float mean = 0;
    float scale = 1;

    __device__ __forceinline__ float of(const NormWeights& norm, float x, int i) const {
        if (norm.none) return x;
        const float weight = norm.weight[i] + (norm.kind == NormKind::RmsPlusOne ? 1.0F : 0.0F);
        return (x - mean) * scale * weight + (norm.bias != nullptr ? norm.bias[i] : 0.0F);
    }
};

/// Sum over the row's elements of valueOf(element), a part of it for each of `threads` threads.
/// Four elements a load where the row lies so. row: (width).
template <typename ValueOf>
__device__ __forceinline__ float partialSum(const float* row, int width, int thread, int threads,
                                            const ValueOf& valueOf) {
    float sum = 0;
    if (width % 4 == 0 && reinterpret_cast<std::uintptr_t>(row) % sizeof(float4) == 0) {
        for (int i = 4 * thread; i < width; i += 4 * threads) {
            const float4 x = *reinterpret_cast<const float4*>(row + i);
            sum += (valueOf(x.x) + valueOf(x.y)) + (valueOf(x.z) + valueOf(x.w));
        }
    } else {
        for (int i = thread; i < width; i += threads) sum += valueOf(row[i]);
    }
    return sum;
}

/// Statistics of one row by the whole block. row: (width).
__device__ __forceinline__ NormOfRow normOfRow(const NormWeights& norm, const float* row,
                                               int width) {
    NormOfRow result;
    if (norm.none) return result;
    const auto thread = static_cast<int>(threadIdx.x);
    if (norm.kind == NormKind::LayerNorm) {
        const float sum = partialSum(row, width, thread, kBlockThreads, [](float x) { return x; });
        result.mean = blockSum(sum) / static_cast<float>(width);
    }
    const float squares = partialSum(row, width, thread, kBlockThreads, [&](float x) {
        return (x - result.mean) * (x - result.mean);
    });
    result.scale = 1.0F / sqrtf(blockSum(squares) / static_cast<float>(width) + norm.eps);
    return result;
}

/// Where a row's pair for `column` lies: its high part, and eight numbers on its low one.
__device__ __forceinline__ std::uint16_t* pairAt(const PairRows& rows, std::int64_t row,
                                                 int column) {
    return reinterpret_cast<std::uint16_t*>(rows.words + row * rows.stride +
                                            8 * octetSlot(rows.format, column)) +
           column % 8;
}
/// A value as a pair of bf16.
__device__ __forceinline__ void storePair(std::uint16_t* pair, float value) {
    const std::uint16_t high = toBf16(value);
    pair[0] = high;
    pair[8] = toBf16(value - fromBf16(high));
}
__device__ __forceinline__ void storePair(const PairRows& rows, std::int64_t row, int column,
                                          float value) {
    storePair(pairAt(rows, row, column), value);
}

}  // namespace moescope::cuda
