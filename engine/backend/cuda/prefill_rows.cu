// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/prefill_rows.h"

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/operand_store.h"

namespace moescope::cuda {
namespace {

__global__ void __launch_bounds__(kBlockThreads, 5) normToOperandKernel(const NormToOperand n) {
    letNextKernelBegin();
    prefetchNorm(n.norm, n.width);
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* in = n.in + row * n.width;
    const NormOfRow norm = normOfRow(n.norm, in, n.width);
    storeNormed(n.out, row, n.norm, norm, in, n.width, static_cast<int>(threadIdx.x),
                kBlockThreads);
}

__global__ void __launch_bounds__(kBlockThreads) activateRowsKernel(const ActivateRows a) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* in = a.in + row * a.width;
    storeRow(a.out, row, a.width, static_cast<int>(threadIdx.x), kBlockThreads,
             [&](FourPairs& pairs) {
                 loadPairs(pairs, in, a.width);
                 MOESCOPE_UNROLL
                 for (float2& x : pairs.x)
                     x = make_float2(activated(a.activation, x.x), activated(a.activation, x.y));
             });
}

__global__ void __launch_bounds__(kBlockThreads) chooseExpertsKernel(const ChooseExperts c) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const int token =
        static_cast<int>(blockIdx.x) * kBlockWarps + static_cast<int>(threadIdx.x) / kWarp;
    if (token >= c.tokens) return;
    chooseForToken(c.rule, c.logits + std::int64_t{token} * c.rule.nExpert,
                   c.experts + std::int64_t{token} * c.rule.topK,
                   c.weights + std::int64_t{token} * c.rule.topK);
}

/// sum += weight * x, element by element.
__device__ __forceinline__ void addWeighted(float& sum, float weight, float x) {
    sum += weight * x;
}
__device__ __forceinline__ void addWeighted(float4& sum, float weight, const float4& x) {
    sum.x += weight * x.x;
    sum.y += weight * x.y;
    sum.z += weight * x.z;
    sum.w += weight * x.w;
}

/// Block x: kBlockThreads vectors of a row; y: token. A thread's loads are under way together.
template <typename Vector>
__global__ void __launch_bounds__(kBlockThreads) combineExpertsKernel(const CombineExperts c) {
    letNextKernelBegin();
    waitForPreviousKernel();
    constexpr int kBatch = 4;
    const int vectors = c.width / static_cast<int>(sizeof(Vector) / sizeof(float));
    const auto i = static_cast<int>(blockIdx.x * kBlockThreads + threadIdx.x);
    if (i >= vectors) return;
    const std::int64_t token = blockIdx.y;
    const float* const weights = c.weights + token * c.topK;
    const Vector* const products =
        reinterpret_cast<const Vector*>(c.products) + token * c.topK * vectors + i;
    Vector* const out = reinterpret_cast<Vector*>(c.out) + token * vectors + i;
    const Vector before = c.add ? *out : Vector{};
    Vector sum{};
    for (int first = 0; first < c.topK; first += kBatch) {
        Vector product[kBatch];
        float weight[kBatch];
        MOESCOPE_UNROLL
        for (int k = 0; k < kBatch; ++k) {
            const bool valid = first + k < c.topK;
            product[k] = valid ? products[std::int64_t{first + k} * vectors] : Vector{};
            weight[k] = valid ? weights[first + k] : 0.0F;
        }
        MOESCOPE_UNROLL
        for (int k = 0; k < kBatch; ++k) addWeighted(sum, weight[k], product[k]);
    }
    addWeighted(sum, 1.0F, before);
    *out = sum;
}

__global__ void __launch_bounds__(kBlockThreads) gatherRowsKernel(const GatherRows g) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const std::int64_t from = g.rows[row];
    for (int i = static_cast<int>(threadIdx.x); i < g.width; i += kBlockThreads)
        g.out[row * g.width + i] = g.in[from * g.width + i];
}

template <typename Kernel, typename Args>
void launchRows(Kernel kernel, const Args& args, int blocks, cudaStream_t stream) {
    launch({dim3(static_cast<unsigned>(blocks)), dim3(kBlockThreads), 0, stream, true}, kernel,
           args);
}

}  // namespace

void normToOperand(const NormToOperand& n, cudaStream_t stream) {
    launchRows(normToOperandKernel, n, n.rows, stream);
}

void activateRows(const ActivateRows& a, cudaStream_t stream) {
    launchRows(activateRowsKernel, a, a.rows, stream);
}

void chooseExperts(const ChooseExperts& c, cudaStream_t stream) {
    launchRows(chooseExpertsKernel, c, (c.tokens + kBlockWarps - 1) / kBlockWarps, stream);
}

void combineExperts(const CombineExperts& c, cudaStream_t stream) {
    const bool fours = c.width % 4 == 0;
    const int vectors = fours ? c.width / 4 : c.width;
    launch({dim3(static_cast<unsigned>((vectors + kBlockThreads - 1) / kBlockThreads),
                 static_cast<unsigned>(c.tokens)),
            dim3(kBlockThreads), 0, stream, true},
           fours ? combineExpertsKernel<float4> : combineExpertsKernel<float>, c);
}

void gatherRows(const GatherRows& g, cudaStream_t stream) {
    launchRows(gatherRowsKernel, g, g.count, stream);
}

}  // namespace moescope::cuda
