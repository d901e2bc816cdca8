// SPDX-License-Identifier: Apache-2.0
// Prefill's matrix products: the choice between mma.sync and wgmma, and the former's kernels.
#include <cassert>
#include <initializer_list>

#include "engine/backend/cuda/prefill_kernel.h"

namespace moescope::cuda {
namespace {

/// The runtime keeps this much of every block's shared memory.
constexpr std::size_t kReserved = 1 << 10;

/// Stages with which two blocks share a multiprocessor, or else one runs; 0: none. Two stages leave
/// no time for copies, so three for a single block come before them.
int stagesThatFit(const Product& p, int tileTokens) {
    const bool low = p.x.low != nullptr;
    struct Choice {
        int blocks, stages;
    };
    for (const Choice c : {Choice{2, 4}, {2, 3}, {1, 4}, {1, 3}, {2, 2}, {1, 2}}) {
        const std::size_t bytes = productShared(p.weights.format, tileTokens, low, c.stages);
        const std::size_t all = static_cast<std::size_t>(c.blocks) * (bytes + kReserved);
        if (bytes <= deviceLimits().sharedOfBlock && all <= deviceLimits().sharedOfSm)
            return c.stages;
    }
    return 0;
}

template <WeightFormat kFormat>
void launchMma(const Product& p, int tileTokens, const Launch& l) {
    if (tileTokens == 32) return launch(l, productKernel<kFormat, 32>, p);
    if (tileTokens == 64) return launch(l, productKernel<kFormat, 64>, p);
    // Q8_0 needs more registers than a thread has with 128.
    if constexpr (kFormat != WeightFormat::Q8_0) launch(l, productKernel<kFormat, 128>, p);
}

}  // namespace

void multiplyMma(const Product& p, int tileTokens, cudaStream_t stream) {
    assert(p.x.format == p.weights.format && p.x.stride % 8 == 0);
    assert(p.x.stride >= p.weights.paddedCols());
    if (p.tokens <= 0) return;
    if (p.weights.format == WeightFormat::Q8_0 && tileTokens > 64) tileTokens = 64;
    Product launched = p;
    launched.stages = stagesThatFit(p, tileTokens);
    while (launched.stages == 0 && tileTokens > 32) {
        tileTokens /= 2;
        launched.stages = stagesThatFit(p, tileTokens);
    }
    if (launched.stages == 0) throw Error("the GPU has too little shared memory for prefill");
    const bool grouped = p.groups.offsets != nullptr;
    const int products = grouped ? p.tokens * p.topK : p.tokens;
    // Every expert may end with a tile that is not full; blocks past the last tile return.
    const int tiles = (products + tileTokens - 1) / tileTokens + (grouped ? p.nExpert : 0);
    Launch l;
    l.grid = dim3(static_cast<unsigned>((p.weights.rows + kBlockRows - 1) / kBlockRows),
                  static_cast<unsigned>(tiles));
    l.block = dim3(kProductThreads);
    l.sharedBytes =
        productShared(p.weights.format, tileTokens, p.x.low != nullptr, launched.stages);
    l.stream = stream;
    l.overlap = true;
    switch (p.weights.format) {
        case WeightFormat::Bf16:
            return launchMma<WeightFormat::Bf16>(launched, tileTokens, l);
        case WeightFormat::Bf16Pair:
            return launchMma<WeightFormat::Bf16Pair>(launched, tileTokens, l);
        case WeightFormat::Q8_0:
            return launchMma<WeightFormat::Q8_0>(launched, tileTokens, l);
        case WeightFormat::Mxfp4:
            return launchMma<WeightFormat::Mxfp4>(launched, tileTokens, l);
    }
}

void multiply(const Product& p, cudaStream_t stream) {
    if (warpgroupsTake(p.weights.format, p.x.low != nullptr) && deviceLimits().warpgroups) {
        return multiplyWarpgroups(p, stream);
    }
    // A tile is half empty on average at the end of every expert's slots: not much larger than
    // their number.
    const int average = p.tokens * p.topK / p.nExpert;
    multiplyMma(p, average <= 32 ? 32 : average <= 96 ? 64 : 128, stream);
}

Product productOf(const Projection& projection) {
    Product p;
    p.weights = projection.weights;
    p.x = projection.x;
    p.bias = projection.bias;
    p.tokens = projection.tokens;
    p.out = projection.out;
    p.outStride = projection.outStride;
    p.add = projection.add;
    return p;
}

Product productOf(const ExpertsUp& e) {
    Product p;
    p.kind = ProductKind::Up;
    p.weights = e.gateUp;
    p.x = e.x;
    p.bias = e.bias;
    p.groups = e.groups;
    p.tokens = e.tokens;
    p.topK = e.topK;
    p.nExpert = e.nExpert;
    p.activation = e.activation;
    p.swigluAlpha = e.swigluAlpha;
    p.swigluLimit = e.swigluLimit;
    p.hidden = e.hidden;
    p.sorted = e.sorted;
    return p;
}

Product productOf(const ExpertsDown& e) {
    Product p;
    p.kind = ProductKind::Down;
    p.weights = e.down;
    p.x = e.hidden;
    p.bias = e.bias;
    p.groups = e.groups;
    p.tokens = e.tokens;
    p.topK = e.topK;
    p.nExpert = e.nExpert;
    p.out = e.products;
    p.outStride = e.down.rows;
    return p;
}

void project(const Projection& p, cudaStream_t stream) {
    multiply(productOf(p), stream);
}
void expertsUp(const ExpertsUp& e, cudaStream_t stream) {
    multiply(productOf(e), stream);
}
void expertsDown(const ExpertsDown& e, cudaStream_t stream) {
    multiply(productOf(e), stream);
}

}  // namespace moescope::cuda
