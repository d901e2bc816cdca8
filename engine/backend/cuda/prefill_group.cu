// SPDX-License-Identifier: Apache-2.0
// Sorting a step's slots by expert: a stable counting sort with a block for each expert.
#include "engine/backend/cuda/prefill.h"

namespace moescope::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;

/// The block of expert e counts the slots of experts before e, which is where e's begin, and its
/// own; each warp has a stretch of slots and writes e's after those of the warps before it.
__global__ void __launch_bounds__(kThreads)
    groupKernel(const std::int32_t* experts, int slots, int nExpert, ExpertGroups groups) {
    letNextKernelBegin();
    waitForPreviousKernel();
    __shared__ int smaller[kWarps];
    __shared__ int own[kWarps];
    const int expert = static_cast<int>(blockIdx.x);
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int rounds = (slots + kThreads - 1) / kThreads;
    const int begin = warp * rounds * kWarp;

    int smallerOfLane = 0, ownOfLane = 0;
    for (int r = 0; r < rounds; ++r) {
        const int slot = begin + r * kWarp + lane;
        if (slot >= slots) break;
        const int chosen = experts[slot];
        smallerOfLane += chosen < expert ? 1 : 0;
        ownOfLane += chosen == expert ? 1 : 0;
    }
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        smallerOfLane += __shfl_xor_sync(kAllLanes, smallerOfLane, offset);
        ownOfLane += __shfl_xor_sync(kAllLanes, ownOfLane, offset);
    }
    if (lane == 0) {
        smaller[warp] = smallerOfLane;
        own[warp] = ownOfLane;
    }
    __syncthreads();
    int first = 0, before = 0, total = 0;
    for (int w = 0; w < kWarps; ++w) {
        first += smaller[w];
        before += w < warp ? own[w] : 0;
        total += own[w];
    }
    if (threadIdx.x == 0) {
        groups.offsets[expert] = first;
        if (expert + 1 == nExpert) groups.offsets[nExpert] = first + total;
    }
    if (own[warp] == 0) return;
    int at = first + before;
    for (int r = 0; r < rounds; ++r) {
        const int slot = begin + r * kWarp + lane;
        const bool mine = slot < slots && experts[slot] == expert;
        const unsigned votes = __ballot_sync(kAllLanes, mine);
        if (mine) groups.slots[at + __popc(votes & ((1U << lane) - 1U))] = slot;
        at += __popc(votes);
    }
}

}  // namespace

void groupByExpert(const std::int32_t* experts, int tokens, int topK, int nExpert,
                   const ExpertGroups& groups, cudaStream_t stream) {
    Launch l;
    l.grid = dim3(static_cast<unsigned>(nExpert));
    l.block = dim3(kThreads);
    l.stream = stream;
    l.overlap = true;
    launch(l, groupKernel, experts, tokens * topK, nExpert, groups);
}

}  // namespace moescope::cuda
