// SPDX-License-Identifier: Apache-2.0
#include "engine/model/memory_plan.h"

#include <algorithm>

#include "engine/backend/backend.h"
#include "engine/backend/kv_layout.h"
#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/run/memory.h"
#include "engine/run/session.h"

namespace moescope {
namespace {

constexpr int kFloat = 4;

std::uint64_t product(std::int64_t a, std::int64_t b) {
    return static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b);
}

/// Copies that binding made: transposed experts, widened vectors.
std::uint64_t ownedBytes(const ModelWeights& weights) {
    std::uint64_t bytes = 0;
    for (const auto& buffer : weights.owned) bytes += buffer->size();
    return bytes;
}

}  // namespace

std::uint64_t keyValueBytes(const ModelSpec& spec, int context, int batch, int elementBytes) {
    std::uint64_t rows = 0;
    for (const LayerSpec& layer : spec.layers) {
        rows += static_cast<std::uint64_t>(kvRows(layer.window, context, batch));
    }
    return 2 * rows * product(spec.nKvHead, spec.headDim) *
           static_cast<std::uint64_t>(elementBytes);
}

MemoryPlan planMemory(const BoundModel& model, std::int32_t context, int threads) {
    MemoryPlan plan;
    plan.context = std::clamp(context, 1, std::max(1, model.spec.contextLength));
    const int batch = std::min<int>(Session::kDefaultBatch, plan.context);
    const std::uint64_t owned = ownedBytes(model.weights);
    plan.weights = cpuWeightBytes(model) + owned;
    const std::uint64_t state = cpuStateBytes(model, plan.context, batch, threads);
    plan.kvCache = std::min(state, keyValueBytes(model.spec, plan.context, batch, kFloat));
    plan.activations = state - plan.kvCache;
    const std::uint64_t available = availableMemory();
    plan.available = available + std::min(owned, ~available);  // which may be "unlimited"
    return plan;
}

std::uint64_t expertBytes(const ModelSpec& spec, const ModelWeights& weights) {
    std::uint64_t largest = 0;
    for (const LayerWeights& l : weights.layers) {
        if (l.router.empty()) continue;
        std::uint64_t layer = 0;
        for (const TensorView* t : {&l.gate, &l.up, &l.down, &l.gateBias, &l.upBias, &l.downBias})
            layer += storedBytes(*t);
        largest = std::max(largest, layer / static_cast<std::uint64_t>(spec.nExpert));
    }
    return largest;
}

void refuseIfTooLarge(const MemoryPlan& plan, const std::string& what) {
    if (plan.total() <= plan.available) return;
    throw Error(what + " needs " + memoryText(plan.total()) + " (weights " +
                    memoryText(plan.weights) + " + KV cache " + memoryText(plan.kvCache) + " for " +
                    std::to_string(plan.context) + " tokens + activations " +
                    memoryText(plan.activations) + "), " + memoryText(plan.available) +
                    " are available",
                "Use a shorter context, a smaller model, or close other programs.");
}

}  // namespace moescope
