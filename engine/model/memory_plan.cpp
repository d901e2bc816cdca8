// SPDX-License-Identifier: Apache-2.0
#include "engine/model/memory_plan.h"

#include <algorithm>

#include "engine/backend/kv_layout.h"
#include "engine/core/error.h"
#include "engine/run/memory.h"
#include "engine/run/session.h"

namespace moescope {
namespace {

constexpr std::uint64_t kFloat = 4;

std::uint64_t product(std::int64_t a, std::int64_t b) {
    return static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b);
}

std::uint64_t weightBytes(const Checkpoint& checkpoint) {
    std::uint64_t bytes = 0;
    for (const TensorView& t : checkpoint.tensors()) {
        const DTypeInfo& info = dtypeInfo(t.type);
        bytes += product(t.elements() / info.blockWeights, info.blockBytes);
    }
    return bytes;
}

std::uint64_t cacheBytes(const ModelSpec& spec, int context, int batch) {
    std::uint64_t rows = 0;
    for (const LayerSpec& layer : spec.layers) {
        rows += static_cast<std::uint64_t>(kvRows(layer.window, context, batch));
    }
    return 2 * kFloat * rows * product(spec.nKvHead, spec.headDim);
}

/// One step's buffers: hidden and normed states, queries, keys, values, attention output, the
/// chosen experts' intermediates, and the logits of one position.
std::uint64_t activationBytes(const ModelSpec& spec, int batch) {
    std::int64_t ffn = 0;
    for (const LayerSpec& layer : spec.layers) ffn = std::max<std::int64_t>(ffn, layer.ffn);
    const std::int64_t branches = spec.nExpert > 0 ? spec.topK : 1;
    const std::int64_t qWidth = std::int64_t{spec.nHead} * spec.headDim;
    const std::int64_t kvWidth = std::int64_t{spec.nKvHead} * spec.headDim;
    const std::int64_t perToken = 2 * std::int64_t{spec.dModel} + 2 * qWidth + 2 * kvWidth +
                                  spec.nExpert + branches * (2 * ffn + spec.dModel);
    return kFloat * (product(batch, perToken) + static_cast<std::uint64_t>(spec.vocab));
}

}  // namespace

MemoryPlan planMemory(const ModelSpec& spec, const Checkpoint& checkpoint, std::int32_t context) {
    MemoryPlan plan;
    plan.context = std::clamp(context, 1, std::max(1, spec.contextLength));
    const int batch = std::min<int>(Session::kDefaultBatch, plan.context);
    plan.weights = weightBytes(checkpoint);
    plan.kvCache = cacheBytes(spec, plan.context, batch);
    plan.activations = activationBytes(spec, batch);
    plan.available = availableMemory();
    return plan;
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
