// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/work.h"

#include <algorithm>
#include <vector>

#include "engine/backend/kv_layout.h"

namespace moescope {
namespace {

std::uint64_t unsignedOf(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}

/// Reading `t` once and multiplying it with `columns` vectors.
void addProduct(OpWork& work, const TensorView& t, int columns) {
    if (t.empty()) return;
    work.bytes += matrixBytes(t);
    work.flops += 2 * unsignedOf(t.rows()) * unsignedOf(t.cols()) * unsignedOf(columns);
}

void addVector(OpWork& work, const TensorView& t) {
    if (!t.empty()) work.bytes += matrixBytes(t);
}

/// One row of a bias stack, or a whole bias vector.
void addBias(OpWork& work, const TensorView& t, std::uint64_t count) {
    if (!t.empty()) work.bytes += count * unsignedOf(t.cols()) * sizeof(float);
}

std::uint64_t keyValueRowBytes(const ModelSpec& spec, const StepShape& step) {
    return 2 * unsignedOf(spec.nKvHead) * unsignedOf(spec.headDim) *
           unsignedOf(step.kvElementBytes);
}

}  // namespace

std::uint64_t matrixBytes(const TensorView& t) noexcept {
    if (t.empty()) return 0;
    const DTypeInfo& info = dtypeInfo(t.type);
    const std::int64_t blocks = t.rows() * (t.cols() / info.blockWeights);
    const std::int64_t scaleBytes = t.type == DType::MXFP4Split ? 1 : 0;
    return unsignedOf(blocks * (info.blockBytes + scaleBytes));
}

OpWork embedWork(const ModelSpec& spec, const ModelWeights& weights,
                 const StepShape& step) noexcept {
    OpWork work;
    const std::uint64_t rowBytes =
        matrixBytes(weights.embedding) / unsignedOf(std::max(spec.vocab, 1));
    work.bytes = rowBytes * unsignedOf(step.tokens);
    if (!weights.positions.empty()) {
        work.bytes += matrixBytes(weights.positions) / unsignedOf(weights.positions.rows()) *
                      unsignedOf(step.tokens);
    }
    return work;
}

OpWork attentionInputWork(const ModelSpec& spec, const LayerWeights& layer,
                          const StepShape& step) noexcept {
    OpWork work;
    addVector(work, layer.attnNorm);
    addVector(work, layer.attnNormBias);
    for (const TensorView* t : {&layer.q, &layer.k, &layer.v}) addProduct(work, *t, step.tokens);
    for (const TensorView* t :
         {&layer.qBias, &layer.kBias, &layer.vBias, &layer.qNorm, &layer.kNorm}) {
        addVector(work, *t);
    }
    work.bytes += keyValueRowBytes(spec, step) * unsignedOf(step.tokens);
    return work;
}

OpWork attentionWork(const ModelSpec& spec, const LayerSpec& layer,
                     const StepShape& step) noexcept {
    OpWork work;
    std::uint64_t pairs = 0;
    for (const StepRun& run : step.runs) {
        const int end = run.position + run.tokens;
        work.bytes += keyValueRowBytes(spec, step) *
                      unsignedOf(end - firstVisible(run.position, layer.window));
        for (int p = run.position; p < end; ++p)
            pairs += unsignedOf(p + 1 - firstVisible(p, layer.window));
    }
    // Scores and weighted values: one multiply-add per element each.
    work.flops = 4 * pairs * unsignedOf(spec.nHead) * unsignedOf(spec.headDim);
    return work;
}

OpWork attentionOutputWork(const LayerWeights& layer, const StepShape& step) noexcept {
    OpWork work;
    addProduct(work, layer.o, step.tokens);
    addVector(work, layer.oBias);
    addVector(work, layer.postAttnNorm);
    return work;
}

OpWork routeWork(const LayerWeights& layer, const StepShape& step) noexcept {
    OpWork work;
    addVector(work, layer.ffnNorm);
    addVector(work, layer.ffnNormBias);
    addProduct(work, layer.router, step.tokens);
    addVector(work, layer.routerBias);
    return work;
}

OpWork expertsWork(const ModelSpec& spec, const LayerWeights& layer, const StepShape& step,
                   std::span<const std::int32_t> experts) {
    std::vector<bool> seen(static_cast<std::size_t>(spec.nExpert), false);
    for (const std::int32_t e : experts) seen[static_cast<std::size_t>(e)] = true;
    const auto distinct = unsignedOf(std::count(seen.begin(), seen.end(), true));
    OpWork perExpert;
    for (const TensorView* t : {&layer.gate, &layer.up, &layer.down}) addProduct(perExpert, *t, 1);
    OpWork work;
    work.bytes = perExpert.bytes * distinct;
    work.flops = perExpert.flops * unsignedOf(step.tokens) * unsignedOf(spec.topK);
    for (const TensorView* t : {&layer.gateBias, &layer.upBias, &layer.downBias}) {
        addBias(work, *t, distinct);
    }
    addVector(work, layer.postFfnNorm);
    return work;
}

OpWork mlpWork(const LayerWeights& layer, const StepShape& step) noexcept {
    OpWork work;
    addVector(work, layer.ffnNorm);
    addVector(work, layer.ffnNormBias);
    for (const TensorView* t : {&layer.gate, &layer.up, &layer.down})
        addProduct(work, *t, step.tokens);
    for (const TensorView* t : {&layer.gateBias, &layer.upBias, &layer.downBias})
        addBias(work, *t, 1);
    addVector(work, layer.postFfnNorm);
    return work;
}

OpWork headWork(const ModelWeights& weights, int rows) noexcept {
    OpWork work;
    addVector(work, weights.outputNorm);
    addVector(work, weights.outputNormBias);
    addProduct(work, weights.head, rows);
    return work;
}

OpWork choiceWork(const ModelSpec& spec, int rows) noexcept {
    OpWork work;
    work.bytes = sizeof(float) * unsignedOf(spec.vocab) * unsignedOf(rows);
    return work;
}

}  // namespace moescope
