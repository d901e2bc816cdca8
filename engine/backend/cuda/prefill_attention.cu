// SPDX-License-Identifier: Apache-2.0
// Attention of many tokens: flash attention on the tensor cores for head sizes that are multiples
// of 16, and a plain kernel for the others.
//
// A block has as many tokens as fit its rows with all query heads of one key head, so that a tile
// of keys serves them all and a window skips as much as it can. A warp has 16 rows. Scores stay in
// registers: the accumulators of one mma are the operand of the next.
#include <algorithm>
#include <cassert>

#include "engine/backend/cuda/prefill_attention.h"

namespace moescope::cuda {
namespace {

int longestRun(const PrefillAttention& a) {
    int longest = 0;
    for (int i = 0; i < a.runCount; ++i) longest = std::max(longest, a.runs[i].tokens);
    return longest;
}

template <int kHeadDim, bool kExact>
void launchFlash(const PrefillAttention& a, cudaStream_t stream) {
    using Shape = FlashShape<kHeadDim, kExact>;
    const int tokens = Shape::kRows / (a.nHead / a.nKvHead);
    Launch l;
    l.grid = dim3(static_cast<unsigned>((longestRun(a) + tokens - 1) / tokens),
                  static_cast<unsigned>(a.nKvHead), static_cast<unsigned>(a.runCount));
    l.block = dim3(Shape::kThreads);
    l.sharedBytes = Shape::kSharedBytes;
    l.stream = stream;
    l.overlap = true;
    launch(l, flashKernel<kHeadDim, kExact>, a);
}

template <int kHeadDim>
void flash(const PrefillAttention& a, cudaStream_t stream) {
    if (a.out.low != nullptr) {
        launchFlash<kHeadDim, true>(a, stream);
    } else {
        launchFlash<kHeadDim, false>(a, stream);
    }
}

constexpr int kPlainWarps = 4;
constexpr int kMaxHeadDim = 512;

/// One warp for each token and head. Lanes have keys for the scores, dimensions for the sums.
__global__ void __launch_bounds__(kPlainWarps* kWarp)
    plainKernel(const __grid_constant__ PrefillAttention a) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int head =
        static_cast<int>(blockIdx.y) * kPlainWarps + static_cast<int>(threadIdx.x) / kWarp;
    const PrefillRun run = a.runs[blockIdx.z];
    if (head >= a.nHead || static_cast<int>(blockIdx.x) >= run.tokens) return;
    const int token = run.first + static_cast<int>(blockIdx.x);
    const int last = run.position + static_cast<int>(blockIdx.x);
    const int first = firstVisibleKey(a, last);
    const int kvHead = head / (a.nHead / a.nKvHead);
    const float* const query = a.queries + std::int64_t{token} * a.queryStride + head * a.headDim;
    const std::int64_t width = std::int64_t{a.nKvHead} * a.headDim;
    const std::uint16_t* const keys = run.keys + kvHead * a.headDim;
    const std::uint16_t* const values = run.values + kvHead * a.headDim;

    float largest = a.sinks != nullptr ? a.sinks[head] : -INFINITY;
    float sum = a.sinks != nullptr ? 1.0F : 0.0F;
    constexpr int kParts = kMaxHeadDim / kWarp;
    float total[kParts] = {};
    for (int base = first; base <= last; base += kWarp) {
        const int key = base + lane;
        float score = -INFINITY;
        if (key <= last) {
            const std::uint16_t* const row = keys + key % run.rows * width;
            score = 0.0F;
            for (int i = 0; i < a.headDim; ++i) score += query[i] * fromHalf(row[i]);
            score *= a.scale;
        }
        const float newLargest = fmaxf(largest, warpMax(score));
        const float shrink = expf(largest - newLargest);
        const float weight = expf(score - newLargest);
        largest = newLargest;
        sum = sum * shrink + warpSum(weight);
        MOESCOPE_UNROLL
        for (int i = 0; i < kParts; ++i) total[i] *= shrink;
        for (int k = 0; k < kWarp && base + k <= last; ++k) {
            const float w = __shfl_sync(kAllLanes, weight, k);
            const std::uint16_t* const row = values + (base + k) % run.rows * width;
            MOESCOPE_UNROLL
            for (int i = 0; i < kParts; ++i) {
                const int at = i * kWarp + lane;
                if (at < a.headDim) total[i] += w * fromHalf(row[at]);
            }
        }
    }
    MOESCOPE_UNROLL
    for (int i = 0; i < kParts; ++i) {
        const int at = i * kWarp + lane;
        if (at >= a.headDim) continue;
        storeOperand(a.out, token, operandPosition(a.out.format, head * a.headDim + at),
                     total[i] / sum);
    }
    if (head + 1 == a.nHead) padOperand(a.out, token, a.nHead * a.headDim, lane, kWarp);
}

void plain(const PrefillAttention& a, cudaStream_t stream) {
    assert(a.headDim <= kMaxHeadDim);
    Launch l;
    l.grid = dim3(static_cast<unsigned>(longestRun(a)),
                  static_cast<unsigned>((a.nHead + kPlainWarps - 1) / kPlainWarps),
                  static_cast<unsigned>(a.runCount));
    l.block = dim3(kPlainWarps * kWarp);
    l.stream = stream;
    l.overlap = true;
    launch(l, plainKernel, a);
}

}  // namespace

void prefillAttention(const PrefillAttention& a, cudaStream_t stream) {
    assert(a.runCount >= 1 && a.runCount <= kRunsOfLaunch);
    if (a.nHead / a.nKvHead > kFlashMaxGroup) return plain(a, stream);
    switch (a.headDim) {
        case 16:
            return flash<16>(a, stream);
        case 32:
            return flash<32>(a, stream);
        case 64:
            return flash<64>(a, stream);
        case 80:
            return flash<80>(a, stream);
        case 96:
            return flash<96>(a, stream);
        case 128:
            return flash<128>(a, stream);
        case 256:
            return flash<256>(a, stream);
        default:
            return plain(a, stream);
    }
}

}  // namespace moescope::cuda
