// SPDX-License-Identifier: Apache-2.0
// What is read off logits where they are: the next tokens, and how likely given ones were. For a
// choice a row is shared out among blocks, the last of which to end compares what they found; a
// question is answered by one block, since there are many.
#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/backend/cuda/decode.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Blocks of all rows together, of few rows fewer: as many as an H100 has room for.
constexpr int kBlocks = 1024;
/// Blocks of a row, at least, however many there are.
constexpr int kLeastRowBlocks = 4;
int blocksOfRow(int rows) {
    return std::clamp(kBlocks / rows, kLeastRowBlocks, 128);
}

/// An exponential variate: the minus logarithm of a uniform number. The uniform number is measured
/// from 1, in steps of 2^-40, so that it is finest where rare tokens are decided: a Gumbel variate,
/// which is minus the logarithm of this one, goes up to 28. A float rounds the largest of these
/// numbers to 1, whose variate would be infinite: no token, however certain, could be chosen then.
__device__ __forceinline__ float exponentialAt(std::uint64_t seed, std::uint64_t counter) {
    const std::uint64_t word = splitMixAt(seed, counter);
    const float uniform = (static_cast<float>(word >> 24U) + 0.5F) * 0x1p-40F;
    return -log1pf(-fminf(uniform, 1.0F - 0x1p-24F));
}

/// What was found so far in a row.
struct Found {
    float score;
    int token;    ///< that has it; -1: none
    bool finite;  ///< no logit is NaN or +infinity
    std::uint64_t hash;
};
__device__ __forceinline__ Found nothing() {
    return {-INFINITY, -1, true, 0};
}

constexpr int kNotFinite = -2;  ///< the token of a part with such a logit
__device__ __forceinline__ uint4 packed(const Found& f) {
    return make_uint4(
        floatToBits(f.score), static_cast<std::uint32_t>(f.finite ? f.token : kNotFinite),
        static_cast<std::uint32_t>(f.hash), static_cast<std::uint32_t>(f.hash >> 32U));
}
__device__ __forceinline__ Found unpacked(uint4 part) {
    const auto token = static_cast<int>(part.y);
    return {bitsToFloat(part.x), token, token != kNotFinite, std::uint64_t{part.w} << 32U | part.z};
}

/// The larger score, the lower token among equals.
__device__ __forceinline__ void keepLarger(Found& found, float score, int token) {
    if (token < 0) return;
    if (score > found.score || (score == found.score && score > -INFINITY && token < found.token)) {
        found.score = score;
        found.token = token;
    }
}

__device__ __forceinline__ void add(Found& found, const Found& other) {
    keepLarger(found, other.score, other.token);
    found.hash += other.hash;
    found.finite &= other.finite;
}

/// What the threads of a block found together; every thread has it.
__device__ Found ofBlock(Found found) {
    __shared__ Found warps[kBlockWarps];
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        add(found, {__shfl_xor_sync(kAllLanes, found.score, offset),
                    __shfl_xor_sync(kAllLanes, found.token, offset),
                    __shfl_xor_sync(kAllLanes, found.finite ? 1 : 0, offset) != 0,
                    __shfl_xor_sync(kAllLanes, found.hash, offset)});
    }
    __syncthreads();  // what an earlier call left has been read by all
    if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = found;
    __syncthreads();
    found = warps[0];
    for (int w = 1; w < kBlockWarps; ++w) add(found, warps[w]);
    return found;
}

/// f(token, logit) for every `stride`-th token from `first` on. Four loads are under way at a time:
/// one after another, as ptxas leaves the loop, they would be waited for longer than they take.
template <typename F>
__device__ __forceinline__ void eachLogit(const float* row, int vocab, int first, int stride,
                                          const F& f) {
    constexpr int kAtOnce = 4;
    for (int i = first; i < vocab; i += kAtOnce * stride) {
        float logits[kAtOnce];
        MOESCOPE_UNROLL
        for (int k = 0; k < kAtOnce; ++k)
            logits[k] = i + k * stride < vocab ? row[i + k * stride] : 0.0F;
        MOESCOPE_UNROLL
        for (int k = 0; k < kAtOnce; ++k) {
            if (i + k * stride < vocab) f(i + k * stride, logits[k]);
        }
    }
}

/// Takes a logit into account that is nobody's score yet.
__device__ __forceinline__ void see(Found& found, int token, float logit) {
    found.hash += hashedLogit(static_cast<std::uint32_t>(token), floatToBits(logit));
    found.finite &= logit < INFINITY;
}

/// The share of this block, of a row of logits.
__device__ Found searchRow(const ChooseTokens& c, const float* logits, const TokenRule& rule) {
    Found found = nothing();
    const auto stride = static_cast<int>(gridDim.x) * kBlockThreads;
    const auto first = static_cast<int>(blockIdx.x * kBlockThreads + threadIdx.x);
    const std::uint64_t draws = rule.draw * static_cast<std::uint64_t>(c.vocab);
    eachLogit(logits, c.vocab, first, stride, [&](int i, float score) {
        see(found, i, score);
        if (rule.temperature > 0) {
            const float variate = exponentialAt(rule.seed, draws + static_cast<std::uint64_t>(i));
            // Temperature times the sum of logit / temperature and the Gumbel variate.
            score -= rule.temperature * logf(variate);
        }
        keepLarger(found, score, i);
    });
    return ofBlock(found);
}

__device__ void store(const ChooseTokens& c, int row, const Found& found) {
    const TokenChoice choice{found.finite ? found.token : -1, kLogitsHashBase + found.hash};
    if (c.ids == nullptr) {
        c.chosen[row] = choice;
        return;
    }
    c.chosen[c.rules[0].draw++ % static_cast<std::uint64_t>(c.fedChoices)] = choice;
    c.ids[0] = max(choice.token, 0);  // the host refuses -1; until then any token will do
    c.place->position += 1;
}

__global__ void __launch_bounds__(kBlockThreads) chooseTokensKernel(const ChooseTokens c) {
    __shared__ bool last;
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<int>(blockIdx.y);
    const auto blocks = static_cast<int>(gridDim.x);
    const Found mine = searchRow(c, c.logits + std::int64_t{row} * c.vocab, c.rules[row]);
    uint4* const parts = c.parts + std::int64_t{row} * blocks;
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = packed(mine);
        __threadfence();
        last = atomicAdd(c.counters + row, 1U) + 1 == gridDim.x;
        __threadfence();
        if (last) c.counters[row] = 0;
    }
    __syncthreads();
    if (!last) return;
    Found found = nothing();
    for (int i = static_cast<int>(threadIdx.x); i < blocks; i += kBlockThreads)
        add(found, unpacked(loadShared(parts + i)));
    found = ofBlock(found);
    if (threadIdx.x == 0) store(c, row, found);
}

/// The sum over a block's threads, in a fixed order.
template <typename T>
__device__ T sumOfBlock(T value) {
    __shared__ T warps[kBlockWarps];
    for (int offset = kWarp / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(kAllLanes, value, offset);
    __syncthreads();  // what an earlier call left has been read by all
    if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = warps[0];
    for (int w = 1; w < kBlockWarps; ++w) value += warps[w];
    return value;
}

__global__ void __launch_bounds__(kBlockThreads) examineTokensKernel(const ExamineTokens e) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const TokenQuestion asked = e.questions[blockIdx.x];
    const float* const row = e.logits + std::int64_t{asked.row} * e.vocab;
    const float own = row[asked.token];
    const auto thread = static_cast<int>(threadIdx.x);
    Found found = nothing();
    int above = 0;
    eachLogit(row, e.vocab, thread, kBlockThreads, [&](int i, float logit) {
        see(found, i, logit);
        keepLarger(found, logit, i);
        above += logit > own || (logit == own && i < asked.token) ? 1 : 0;
    });
    found = ofBlock(found);
    above = sumOfBlock(above);
    // In double, as on the host: a log probability near zero is the difference of sums that are
    // all but equal.
    double sum = 0;
    eachLogit(row, e.vocab, thread, kBlockThreads, [&](int, float logit) {
        sum += exp(static_cast<double>(logit) - static_cast<double>(found.score));
    });
    sum = sumOfBlock(sum);
    if (thread > 0) return;
    TokenAnswer answer;
    answer.own = own;
    answer.largest = found.score;
    answer.logSum = log(sum);
    answer.likeliest = found.finite ? found.token : -1;
    answer.rank = above + 1;
    answer.logitsHash = kLogitsHashBase + found.hash;
    e.answers[blockIdx.x] = answer;
}

}  // namespace

std::uint64_t choiceParts(int rows) noexcept {
    return static_cast<std::uint64_t>(std::max(kBlocks, kLeastRowBlocks * rows));
}

void chooseTokens(const ChooseTokens& c, cudaStream_t stream) {
    assert(c.rows > 0 && (c.ids == nullptr || (c.rows == 1 && c.fedChoices > 0)));
    const dim3 grid(static_cast<unsigned>(blocksOfRow(c.rows)), static_cast<unsigned>(c.rows));
    launch({grid, dim3(kBlockThreads), 0, stream, true}, chooseTokensKernel, c);
}

void examineTokens(const ExamineTokens& e, cudaStream_t stream) {
    assert(e.count > 0);
    launch({dim3(static_cast<unsigned>(e.count)), dim3(kBlockThreads), 0, stream, true},
           examineTokensKernel, e);
}

}  // namespace moescope::cuda
