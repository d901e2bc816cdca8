// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/prefill_rows.h"

#include "engine/backend/cuda/choose.h"
#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Rows of `width` columns as operands, element by element from `valueOf(column)`.
template <typename ValueOf>
__device__ void storeRow(const OperandRows& out, std::int64_t row, int width,
                         const ValueOf& valueOf) {
    const int chunk = chunkColumns(out.format);
    const int padded = (width + chunk - 1) / chunk * chunk;
    for (int p = static_cast<int>(threadIdx.x); p < padded; p += kBlockThreads) {
        const int column = operandColumn(out.format, p);
        storeOperand(out, row, p, column < width ? valueOf(column) : 0.0F);
    }
}

__global__ void __launch_bounds__(kBlockThreads) normToOperandKernel(const NormToOperand n) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* in = n.in + row * n.width;
    const NormOfRow norm = normOfRow(n.norm, in, n.width);
    storeRow(n.out, row, n.width, [&](int c) { return norm.of(n.norm, in[c], c); });
}

__global__ void __launch_bounds__(kBlockThreads) activateRowsKernel(const ActivateRows a) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const float* in = a.in + row * a.width;
    storeRow(a.out, row, a.width, [&](int c) { return activated(a.activation, in[c]); });
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

__global__ void __launch_bounds__(kBlockThreads) combineExpertsKernel(const CombineExperts c) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto token = static_cast<std::int64_t>(blockIdx.x);
    for (int i = static_cast<int>(threadIdx.x); i < c.width; i += kBlockThreads) {
        float sum = 0;
        for (int k = 0; k < c.topK; ++k) {
            const std::int64_t slot = token * c.topK + k;
            sum += c.weights[slot] * c.products[slot * c.width + i];
        }
        float& out = c.out[token * c.width + i];
        out = c.add ? out + sum : sum;
    }
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
    launchRows(combineExpertsKernel, c, c.tokens, stream);
}

void gatherRows(const GatherRows& g, cudaStream_t stream) {
    launchRows(gatherRowsKernel, g, g.count, stream);
}

}  // namespace moescope::cuda
