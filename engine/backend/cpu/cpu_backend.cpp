// SPDX-License-Identifier: Apache-2.0
// Embedding, projections, residual, routing, head; attention and feed-forward have their own files.
#include "engine/backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <mutex>
#include <utility>

#include "engine/backend/cpu/products.h"
#include "engine/backend/rope_plan.h"
#include "engine/backend/rope_rotation.h"
#include "engine/backend/routing_rule.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"

namespace moescope::cpu {
namespace {

CpuState& own(BackendState& s) {
    return static_cast<CpuState&>(s);
}
const CpuState& own(const BackendState& s) {
    return static_cast<const CpuState&>(s);
}

/// to (rows) += or = values + bias, bias empty or indexed from firstRow.
void storeRows(float* to, const float* values, std::span<const float> bias, std::int64_t firstRow,
               int rows) {
    for (int r = 0; r < rows; ++r) {
        to[r] = values[r] + (bias.empty() ? 0.0F : bias[static_cast<std::size_t>(firstRow + r)]);
    }
}

/// Of one target as the numerics want it. Throws UsageError.
const Kernels& kernelsFor(const CpuOptions& options) {
    const Kernels& exact = chooseKernels(options.target);
    if (options.numerics == Numerics::Exact) return exact;
    if (exact.fast == nullptr) {
        throw UsageError("cpu target \"" + std::string(exact.name) + "\" has no fast numerics",
                         "use --numerics exact");
    }
    return *exact.fast;
}

/// Made once for each target, so that operations only look them up.
/// Formats that `fast` leaves alone keep the name of the kernel that serves them.
const KernelNames& kernelNames(const Kernels& kernels, const Kernels& exact) {
    static std::mutex mutex;
    static std::map<std::string_view, KernelNames> ofTargets;  // whose elements never move
    const std::lock_guard lock(mutex);
    const auto [entry, isNew] = ofTargets.try_emplace(kernels.name);
    for (std::size_t f = 0; isNew && f < entry->second.size(); ++f) {
        const std::string format(packedInfo(static_cast<PackedFormat>(f)).name);
        const std::string target(kernels.matMul[f] == exact.matMul[f] ? exact.name : kernels.name);
        entry->second[f] = {format + "_gemm_" + target, format + "_gemv_" + target};
    }
    return entry->second;
}

}  // namespace

CpuBackend::CpuBackend(const BoundModel& model, const Checkpoint& checkpoint,
                       const CpuOptions& options, const StopFlag* stop)
    : spec_(model.spec),
      weights_(model.weights),
      numerics_(options.numerics),
      kernels_(kernelsFor(options)),
      names_(kernelNames(kernels_, chooseKernels(options.target))),
      pool_(options.threads),
      packed_(model, checkpoint, pool_, stop) {
    RopePlan plan = planRopes(spec_);
    for (const RopeSpec* rope : plan.distinct) ropes_.push_back(ropeTable(*rope, spec_.headDim));
    ropeOf_ = std::move(plan.ofLayer);
}

std::string CpuBackend::description() const {
    return "cpu " + std::string(kernels_.name) + ", " + countText(pool_.size(), "thread") + ", " +
           (numerics_ == Numerics::Fast ? "fast" : "exact");
}

std::uint64_t CpuBackend::stateBytes(int maxContext, int maxBatch) const {
    return CpuState::bytes(spec_, SplitRows(weights_), pool_.size(), maxContext, maxBatch,
                           static_cast<int>(ropes_.size()));
}

std::uint64_t CpuBackend::cacheBytes(const CacheShape& shape) const {
    return CpuCache::bytes(spec_, shape);
}

std::shared_ptr<KvCache> CpuBackend::newCache(const CacheShape& shape) const {
    return std::make_shared<CpuCache>(spec_, shape);
}

void CpuBackend::parallelFor(int n, const std::function<void(int)>& f) const {
    pool_.parallelFor(n, [&](std::int64_t i, int) { f(static_cast<int>(i)); });
}

std::unique_ptr<BackendState> CpuBackend::newState(int maxContext, int maxBatch) const {
    assert(maxContext > 0 && maxBatch > 0);
    return std::make_unique<CpuState>(spec_, SplitRows(weights_), pool_.size(), maxContext,
                                      maxBatch, static_cast<int>(ropes_.size()));
}

OpWork CpuBackend::finish(OpWork work, std::string_view kernel) const noexcept {
    work.threads = pool_.size();
    work.kernel = kernel;
    return work;
}

StepShape CpuBackend::stepShape(const CpuState& s) const noexcept {
    return {s.tokens, s.places.runs, static_cast<int>(sizeof(float))};
}

OpWork CpuBackend::embed(BackendState& state, std::span<const TokenId> tokens,
                         std::span<const StepRun> runs) const {
    CpuState& s = own(state);
    s.places.assign(runs);
    s.tokens = s.places.tokens();
    assert(!tokens.empty() && s.tokens == static_cast<int>(tokens.size()));
    assert(s.tokens <= s.shape.maxBatch);
    planAttention(s);
    const auto d = static_cast<std::size_t>(spec_.dModel);
    const auto half = static_cast<std::size_t>(spec_.headDim / 2);
    forTokens(s.tokens, [&](std::int64_t t, int) {
        const std::span<float> x(s.hidden + static_cast<std::size_t>(t) * d, d);
        const int position = s.places.positions[static_cast<std::size_t>(t)];
        dequantizeRow(weights_.embedding, 0, tokens[static_cast<std::size_t>(t)], x);
        for (float& v : x) v *= spec_.embeddingScale;
        if (spec_.position == PositionKind::Learned) {
            std::vector<float> learned(d);
            dequantizeRow(weights_.positions, 0, position, learned);
            for (std::size_t i = 0; i < d; ++i) x[i] += learned[i];
            return;
        }
        for (std::size_t r = 0; r < ropes_.size(); ++r) {
            ropeAngles(ropes_[r], position,
                       {s.cosines[r] + static_cast<std::size_t>(t) * half, half},
                       {s.sines[r] + static_cast<std::size_t>(t) * half, half});
        }
    });
    return finish(embedWork(spec_, weights_, stepShape(s)), "embed_rows");
}

void CpuBackend::normalize(std::span<const float> weight, std::span<const float> bias,
                           const float* in, float* out, int width) const {
    if (spec_.norm != NormKind::LayerNorm) {
        const float offset = spec_.norm == NormKind::RmsPlusOne ? 1.0F : 0.0F;
        kernels_.rmsNorm(in, weight.data(), offset, spec_.normEps, width, out);
        return;
    }
    const auto n = static_cast<std::size_t>(width);
    double mean = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) mean += in[i];
    mean /= width;
    for (std::size_t i = 0; i < n; ++i) squares += (in[i] - mean) * (in[i] - mean);
    const double scale = 1.0 / std::sqrt(squares / width + spec_.normEps);
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = static_cast<float>((in[i] - mean) * scale * weight[i] +
                                    (bias.empty() ? 0.0F : bias[i]));
    }
}

void CpuBackend::prepareNormed(CpuState& s, std::span<const float> weight,
                               std::span<const float> bias) const {
    const int d = spec_.dModel;
    forTokens(s.tokens, [&](std::int64_t t, int) {
        const float* x = s.hidden + t * d;
        if (spec_.normPlace == NormPlace::Post) {
            std::copy_n(x, d, s.normed.values(t));
        } else {
            normalize(weight, bias, x, s.normed.values(t), d);
        }
        kernels_.finishActivation(s.normed.layout, s.normed.row(t));
    });
}

OpWork CpuBackend::attentionInput(BackendState& state, int layer) const {
    CpuState& s = own(state);
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    prepareNormed(s, w.attnNorm, w.attnNormBias);
    const Product products[] = {{w.q.matrix(0)}, {w.k.matrix(0)}, {w.v.matrix(0)}};
    float* const targets[] = {s.queries, s.keys, s.values};
    const std::span<const float> biases[] = {w.qBias, w.kBias, w.vBias};
    multiply(
        s, products, s.normed, s.tokens,
        [&](std::size_t p, std::int64_t firstRow, int rows, std::int64_t t, const float* values) {
            storeRows(targets[p] + t * products[p].matrix.rows + firstRow, values, biases[p],
                      firstRow, rows);
        });
    forTokens(s.tokens,
              [&](std::int64_t t, int) { rotateAndStore(s, layer, static_cast<int>(t)); });
    return finish(
        attentionInputWork(spec_, weights_.layers[static_cast<std::size_t>(layer)], stepShape(s)),
        kernelName(w.q.first.format, s.tokens <= kVectorTokens));
}

OpWork CpuBackend::attentionOutput(BackendState& state, int layer) const {
    CpuState& s = own(state);
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    forTokens(s.tokens, [&](std::int64_t t, int) {
        kernels_.finishActivation(s.attended.layout, s.attended.row(t));
    });
    const Product products[] = {{w.o.matrix(0)}};
    multiply(
        s, products, s.attended, s.tokens,
        [&](std::size_t, std::int64_t firstRow, int rows, std::int64_t t, const float* values) {
            storeRows(s.branch + t * spec_.dModel + firstRow, values, w.oBias, firstRow, rows);
        });
    addResidual(s, w.postAttnNorm, [&](std::int64_t t) { return s.branch + t * spec_.dModel; });
    return finish(
        attentionOutputWork(weights_.layers[static_cast<std::size_t>(layer)], stepShape(s)),
        kernelName(w.o.first.format, s.tokens <= kVectorTokens));
}

OpWork CpuBackend::route(BackendState& state, int layer) const {
    CpuState& s = own(state);
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    assert(spec_.layers[static_cast<std::size_t>(layer)].mlp == MlpKind::Experts);
    prepareNormed(s, w.ffnNorm, w.ffnNormBias);
    const Product products[] = {{w.router.matrix(0)}};
    multiply(
        s, products, s.normed, s.tokens,
        [&](std::size_t, std::int64_t firstRow, int rows, std::int64_t t, const float* values) {
            storeRows(s.routerLogits + t * spec_.nExpert + firstRow, values, w.routerBias, firstRow,
                      rows);
        });
    const auto k = static_cast<std::size_t>(spec_.topK);
    const auto n = static_cast<std::size_t>(spec_.nExpert);
    forTokens(s.tokens, [&](std::int64_t t, int) {
        const auto i = static_cast<std::size_t>(t);
        chooseExperts(spec_.routing, {s.routerLogits + i * n, n}, {s.experts + i * k, k},
                      {s.gateWeights + i * k, k});
    });
    return finish(routeWork(weights_.layers[static_cast<std::size_t>(layer)], stepShape(s)),
                  kernelName(w.router.first.format, s.tokens <= kVectorTokens));
}

RoutingView CpuBackend::routing(const BackendState& state) const {
    const CpuState& s = own(state);
    const std::size_t count =
        static_cast<std::size_t>(s.tokens) * static_cast<std::size_t>(spec_.topK);
    return {{s.experts, count}, {s.gateWeights, count}};
}

OpWork CpuBackend::head(BackendState& state, std::span<const std::int32_t> rows,
                        std::span<float> logits) const {
    CpuState& s = own(state);
    const auto count = static_cast<int>(rows.size());
    assert(count > 0 && rows.back() < s.tokens);
    assert(logits.size() >=
           static_cast<std::size_t>(count) * static_cast<std::size_t>(spec_.vocab));
    forTokens(count, [&](std::int64_t t, int) {
        normalize(packed_.outputNorm, packed_.outputNormBias,
                  s.hidden + std::int64_t{rows[static_cast<std::size_t>(t)]} * spec_.dModel,
                  s.normed.values(t), spec_.dModel);
        kernels_.finishActivation(s.normed.layout, s.normed.row(t));
    });
    const Product products[] = {{packed_.head.matrix(0)}};
    multiply(s, products, s.normed, count,
             [&](std::size_t, std::int64_t firstRow, int n, std::int64_t t, const float* values) {
                 std::copy_n(values, n, logits.data() + t * spec_.vocab + firstRow);
             });
    return finish(headWork(weights_, count),
                  kernelName(packed_.head.first.format, count <= kVectorTokens));
}

std::span<const float> CpuBackend::hidden(const BackendState& state) const {
    const CpuState& s = own(state);
    return {s.hidden, static_cast<std::size_t>(s.tokens) * static_cast<std::size_t>(spec_.dModel)};
}

}  // namespace moescope::cpu

namespace moescope {

std::uint64_t cpuStateBytes(const BoundModel& model, int maxContext, int maxBatch, int threads) {
    return cpu::CpuState::bytes(model.spec, cpu::SplitRows(model.weights),
                                threads > 0 ? threads : availableCores(), maxContext, maxBatch,
                                static_cast<int>(planRopes(model.spec).distinct.size())) +
           cpu::CpuCache::bytes(model.spec, {maxContext, maxBatch});
}

std::unique_ptr<Backend> makeCpuBackend(const BoundModel& model, const Checkpoint& checkpoint,
                                        const CpuOptions& options, const StopFlag* stop) {
    return std::make_unique<cpu::CpuBackend>(model, checkpoint, options, stop);
}

}  // namespace moescope
