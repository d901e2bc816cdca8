// SPDX-License-Identifier: Apache-2.0
// Rows of activations in the order of the slots that experts take them in.
#include "engine/backend/cuda/prefill_product.h"

namespace moescope::cuda {
namespace {

constexpr int kThreads = 128;

/// A block for each slot. `columns`: a multiple of 8.
__global__ void __launch_bounds__(kThreads)
    gatherSlotsKernel(const OperandRows from, const std::int32_t* slots, int topK, int columns,
                      const OperandRows to) {
    letNextKernelBegin();
    waitForPreviousKernel();
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const std::int64_t source = slots[row] / topK;
    const auto copy = [&](const std::uint16_t* plane, std::uint16_t* out) {
        const auto* const in = reinterpret_cast<const uint4*>(plane + source * from.stride);
        auto* const target = reinterpret_cast<uint4*>(out + row * to.stride);
        for (int i = static_cast<int>(threadIdx.x); i < columns / 8; i += kThreads)
            target[i] = in[i];
    };
    copy(from.high, to.high);
    if (from.low != nullptr) copy(from.low, to.low);
}

}  // namespace

void gatherSlots(const Product& p, cudaStream_t stream) {
    Launch l;
    l.grid = dim3(static_cast<unsigned>(p.tokens * p.topK));
    l.block = dim3(kThreads);
    l.stream = stream;
    l.overlap = true;
    launch(l, gatherSlotsKernel, p.x, p.groups.slots, p.topK, p.weights.paddedCols(), p.sorted);
}

}  // namespace moescope::cuda
