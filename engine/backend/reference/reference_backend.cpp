// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/reference/reference_backend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "engine/backend/activation.h"
#include "engine/backend/kv_layout.h"
#include "engine/backend/reference/reference_math.h"
#include "engine/backend/reference/reference_state.h"
#include "engine/backend/rope_rotation.h"
#include "engine/backend/routing_rule.h"
#include "engine/formats/dtypes.h"

namespace moescope {
namespace {

using reference::floats;
using reference::multiply;
using reference::normalize;

ReferenceState& own(BackendState& s) {
    return static_cast<ReferenceState&>(s);
}
const ReferenceState& own(const BackendState& s) {
    return static_cast<const ReferenceState&>(s);
}

std::size_t index(std::int64_t value) {
    return static_cast<std::size_t>(value);
}

/// Row `i` of a (n, width) f32 matrix.
template <typename Vector>
auto row(Vector& matrix, int i, std::size_t width) {
    return std::span(matrix).subspan(index(i) * width, width);
}

OpWork named(OpWork work) {
    work.kernel = "reference";
    return work;
}

std::size_t kvWidth(const ModelSpec& spec) {
    return index(spec.nKvHead) * index(spec.headDim);
}
std::size_t queryWidth(const ModelSpec& spec) {
    return index(spec.nHead) * index(spec.headDim);
}

/// Refuses what the cpu back end refuses while packing, so that both take the same files.
Mxfp4Edges checkWeights(const ModelWeights& w, const StopFlag* stop) {
    Mxfp4Edges edges;
    const auto check = [&](const TensorView& t) {
        throwIfStopped(stop);
        refuseNotFinite(t);
        for (std::int64_t s = 0; !t.empty() && s < t.stack(); ++s) {
            for (std::int64_t r = 0; r < t.rows(); ++r) edges += mxfp4Edges(t, s, r);
        }
    };
    for (const TensorView* t : {&w.outputNorm, &w.outputNormBias, &w.head, &w.positions}) check(*t);
    if (w.embedding.data != w.head.data) check(w.embedding);
    for (const LayerWeights& l : w.layers) {
        for (const TensorView* t :
             {&l.attnNorm,   &l.attnNormBias, &l.q,       &l.k,           &l.v,      &l.qBias,
              &l.kBias,      &l.vBias,        &l.qNorm,   &l.kNorm,       &l.sinks,  &l.o,
              &l.oBias,      &l.postAttnNorm, &l.ffnNorm, &l.ffnNormBias, &l.router, &l.routerBias,
              &l.gate,       &l.up,           &l.down,    &l.gateBias,    &l.upBias, &l.downBias,
              &l.postFfnNorm}) {
            check(*t);
        }
    }
    return edges;
}

}  // namespace

ReferenceBackend::ReferenceBackend(const BoundModel& model, const StopFlag* stop)
    : spec_(model.spec), weights_(model.weights) {
    assert(spec_.layers.size() == index(spec_.nLayer));
    edges_ = checkWeights(weights_, stop);
    for (const LayerSpec& layer : spec_.layers)
        rope_.push_back(ropeTable(layer.rope, spec_.headDim));
}

std::uint64_t ReferenceBackend::stateBytes(int, int maxBatch) const {
    const std::uint64_t perToken = 3 * index(spec_.dModel) + 2 * queryWidth(spec_) +
                                   2 * kvWidth(spec_) + index(spec_.nExpert) +
                                   2 * index(spec_.topK);
    return perToken * index(maxBatch) * sizeof(float);
}

std::uint64_t ReferenceBackend::cacheBytes(const CacheShape& shape) const {
    std::uint64_t rows = 0;
    for (const LayerSpec& layer : spec_.layers)
        rows += index(kvRows(layer.window, shape.maxContext, shape.maxRun));
    return 2 * rows * kvWidth(spec_) * sizeof(float);
}

std::shared_ptr<KvCache> ReferenceBackend::newCache(const CacheShape& shape) const {
    assert(shape.maxContext > 0 && shape.maxRun > 0);
    auto cache = std::make_shared<ReferenceCache>();
    cache->prefix = shape.prefix;
    cache->prefixTokens = shape.prefixTokens;
    for (const LayerSpec& layer : spec_.layers) {
        ReferenceCache::Layer& to = cache->layers.emplace_back();
        to.rows = kvRows(layer.window, shape.maxContext, shape.maxRun);
        to.hasPrefix = shape.prefix == nullptr;
        to.keys.resize(index(to.rows) * kvWidth(spec_));
        to.values.resize(to.keys.size());
    }
    return cache;
}

std::unique_ptr<BackendState> ReferenceBackend::newState(int, int maxBatch) const {
    assert(maxBatch > 0);
    auto s = std::make_unique<ReferenceState>();
    s->maxBatch = maxBatch;
    const std::size_t n = index(maxBatch);
    s->hidden.resize(n * index(spec_.dModel));
    s->normed.resize(s->hidden.size());
    s->update.resize(s->hidden.size());
    s->queries.resize(n * queryWidth(spec_));
    s->attended.resize(s->queries.size());
    s->keys.resize(n * kvWidth(spec_));
    s->values.resize(s->keys.size());
    s->routerLogits.resize(n * index(spec_.nExpert));
    s->experts.resize(n * index(spec_.topK));
    s->weights.resize(s->experts.size());
    return s;
}

StepShape ReferenceBackend::shape(const ReferenceState& s) const noexcept {
    return {s.places.tokens(), s.places.runs, static_cast<int>(sizeof(float))};
}

OpWork ReferenceBackend::embed(BackendState& state, std::span<const TokenId> tokens,
                               std::span<const StepRun> runs) const {
    ReferenceState& s = own(state);
    s.places.assign(runs);
    assert(!tokens.empty() && tokens.size() <= index(s.maxBatch));
    assert(s.places.positions.size() == tokens.size());
    const std::size_t d = index(spec_.dModel);
    std::vector<float> learned(spec_.position == PositionKind::Learned ? d : 0);
    for (int t = 0; t < s.places.tokens(); ++t) {
        const std::span<float> h = row(s.hidden, t, d);
        dequantizeRow(weights_.embedding, 0, tokens[index(t)], h);
        for (float& x : h) x *= spec_.embeddingScale;
        if (learned.empty()) continue;
        dequantizeRow(weights_.positions, 0, s.places.positions[index(t)], learned);
        for (std::size_t i = 0; i < d; ++i) h[i] += learned[i];
    }
    return named(embedWork(spec_, weights_, shape(s)));
}

void ReferenceBackend::normBefore(ReferenceState& s, const TensorView& weight,
                                  const TensorView& bias) const {
    const std::size_t d = index(spec_.dModel);
    for (int t = 0; t < s.places.tokens(); ++t) {
        const std::span<float> in = row(s.hidden, t, d);
        const std::span<float> out = row(s.normed, t, d);
        if (spec_.normPlace == NormPlace::Post) {
            std::copy(in.begin(), in.end(), out.begin());
        } else {
            normalize(spec_.norm, spec_.normEps, floats(weight), floats(bias), in, out);
        }
    }
}

void ReferenceBackend::addResidual(ReferenceState& s, const TensorView& postNorm) const {
    const std::size_t d = index(spec_.dModel);
    for (int t = 0; t < s.places.tokens(); ++t) {
        const std::span<float> change = row(s.update, t, d);
        if (spec_.normPlace != NormPlace::Pre) {
            normalize(spec_.norm, spec_.normEps, floats(postNorm), {}, change, change);
        }
        const std::span<float> h = row(s.hidden, t, d);
        for (std::size_t i = 0; i < d; ++i) h[i] += change[i];
    }
}

OpWork ReferenceBackend::attentionInput(BackendState& state, int layer) const {
    ReferenceState& s = own(state);
    const LayerWeights& w = weights_.layers[index(layer)];
    normBefore(s, w.attnNorm, w.attnNormBias);
    multiply(w.q, 0, floats(w.qBias), s.normed, s.queries, s.places.tokens());
    multiply(w.k, 0, floats(w.kBias), s.normed, s.keys, s.places.tokens());
    multiply(w.v, 0, floats(w.vBias), s.normed, s.values, s.places.tokens());
    normAndRotate(s, layer);
    writeCache(s, layer);
    return named(attentionInputWork(spec_, w, shape(s)));
}

void ReferenceBackend::normAndRotate(ReferenceState& s, int layer) const {
    const LayerWeights& w = weights_.layers[index(layer)];
    const std::size_t headDim = index(spec_.headDim);
    std::vector<float> cosines(headDim / 2);
    std::vector<float> sines(headDim / 2);
    const auto prepare = [&](std::span<float> vector, const TensorView& norm) {
        if (spec_.qkNorm == QkNorm::FullWidth) {
            normalize(spec_.norm, spec_.normEps, floats(norm), {}, vector, vector);
        }
        for (std::size_t at = 0; at < vector.size(); at += headDim) {
            const std::span<float> head = vector.subspan(at, headDim);
            if (spec_.qkNorm == QkNorm::PerHead) {
                normalize(spec_.norm, spec_.normEps, floats(norm), {}, head, head);
            }
            if (spec_.position == PositionKind::Rope) {
                rotateHead(spec_.layers[index(layer)].rope.pairing, head, cosines, sines);
            }
        }
    };
    for (int t = 0; t < s.places.tokens(); ++t) {
        ropeAngles(rope_[index(layer)], s.places.positions[index(t)], cosines, sines);
        prepare(row(s.queries, t, queryWidth(spec_)), w.qNorm);
        prepare(row(s.keys, t, kvWidth(spec_)), w.kNorm);
    }
}

void ReferenceBackend::copyPrefix(ReferenceCache& cache, int layer) const {
    ReferenceCache::Layer& to = cache.layers[index(layer)];
    if (std::exchange(to.hasPrefix, true)) return;
    const auto& from = static_cast<const ReferenceCache&>(*cache.prefix).layers[index(layer)];
    const std::size_t width = kvWidth(spec_);
    const int first = firstVisible(cache.prefixTokens, spec_.layers[index(layer)].window);
    for (int p = first; p < cache.prefixTokens; ++p) {
        const int read = kvRow(p, from.rows);
        const int written = kvRow(p, to.rows);
        std::ranges::copy(row(from.keys, read, width), row(to.keys, written, width).begin());
        std::ranges::copy(row(from.values, read, width), row(to.values, written, width).begin());
    }
    if (layer == spec_.nLayer - 1) cache.prefix.reset();  // all of it is here
}

void ReferenceBackend::writeCache(ReferenceState& s, int layer) const {
    const std::size_t width = kvWidth(spec_);
    for (int t = 0; t < s.places.tokens(); ++t) {
        auto& sequence = static_cast<ReferenceCache&>(s.places.cacheOf(t));
        copyPrefix(sequence, layer);
        ReferenceCache::Layer& cache = sequence.layers[index(layer)];
        const int to = kvRow(s.places.positions[index(t)], cache.rows);
        std::ranges::copy(row(s.keys, t, width), row(cache.keys, to, width).begin());
        std::ranges::copy(row(s.values, t, width), row(cache.values, to, width).begin());
    }
}

OpWork ReferenceBackend::attention(BackendState& state, int layer) const {
    ReferenceState& s = own(state);
    const LayerSpec& l = spec_.layers[index(layer)];
    const std::span<const float> sinks = floats(weights_.layers[index(layer)].sinks);
    const std::size_t headDim = index(spec_.headDim);
    const int group = spec_.nHead / spec_.nKvHead;
    for (int t = 0; t < s.places.tokens(); ++t) {
        const auto& cache =
            static_cast<const ReferenceCache&>(s.places.cacheOf(t)).layers[index(layer)];
        for (int h = 0; h < spec_.nHead; ++h) {
            const std::size_t offset = index(h / group) * headDim;
            reference::HeadAttention head;
            head.query = row(s.queries, t, queryWidth(spec_)).subspan(index(h) * headDim, headDim);
            head.keys = cache.keys.data() + offset;
            head.values = cache.values.data() + offset;
            head.cacheRows = cache.rows;
            head.rowWidth = static_cast<int>(kvWidth(spec_));
            head.last = s.places.positions[index(t)];
            head.first = firstVisible(head.last, l.window);
            head.scale = spec_.scale();
            head.sink = spec_.sinks ? &sinks[index(h)] : nullptr;
            reference::attendHead(
                head, row(s.attended, t, queryWidth(spec_)).subspan(index(h) * headDim, headDim));
        }
    }
    return named(attentionWork(spec_, l, shape(s)));
}

OpWork ReferenceBackend::attentionOutput(BackendState& state, int layer) const {
    ReferenceState& s = own(state);
    const LayerWeights& w = weights_.layers[index(layer)];
    multiply(w.o, 0, floats(w.oBias), s.attended, s.update, s.places.tokens());
    addResidual(s, w.postAttnNorm);
    return named(attentionOutputWork(w, shape(s)));
}

OpWork ReferenceBackend::route(BackendState& state, int layer) const {
    ReferenceState& s = own(state);
    const LayerWeights& w = weights_.layers[index(layer)];
    assert(spec_.layers[index(layer)].mlp == MlpKind::Experts);
    normBefore(s, w.ffnNorm, w.ffnNormBias);
    multiply(w.router, 0, floats(w.routerBias), s.normed, s.routerLogits, s.places.tokens());
    for (int t = 0; t < s.places.tokens(); ++t) {
        chooseExperts(spec_.routing, row(s.routerLogits, t, index(spec_.nExpert)),
                      row(s.experts, t, index(spec_.topK)), row(s.weights, t, index(spec_.topK)));
    }
    return named(routeWork(w, shape(s)));
}

RoutingView ReferenceBackend::routing(const BackendState& state) const {
    const ReferenceState& s = own(state);
    const std::size_t count = index(s.places.tokens()) * index(spec_.topK);
    return {std::span(s.experts).first(count), std::span(s.weights).first(count)};
}

OpWork ReferenceBackend::feedForward(BackendState& state, int layer) const {
    ReferenceState& s = own(state);
    const LayerWeights& w = weights_.layers[index(layer)];
    const bool routed = spec_.layers[index(layer)].mlp == MlpKind::Experts;
    if (routed) {
        experts(s, layer);
    } else {
        denseMlp(s, layer);
    }
    addResidual(s, w.postFfnNorm);
    return named(routed ? expertsWork(spec_, w, shape(s), routing(s).experts)
                        : mlpWork(w, shape(s)));
}

void ReferenceBackend::feedForwardMany(int layer, std::int64_t stackIndex,
                                       std::span<const float> in, std::span<float> out,
                                       int tokens) const {
    const LayerWeights& w = weights_.layers[index(layer)];
    const LayerSpec& l = spec_.layers[index(layer)];
    std::vector<float> up(index(tokens) * index(l.ffn));
    multiply(w.up, stackIndex, floats(w.upBias, stackIndex), in, up, tokens);
    if (l.mlp == MlpKind::Plain) {
        for (float& x : up) x = static_cast<float>(plainActivation<double>(spec_, x));
    } else {
        std::vector<float> gate(up.size());
        multiply(w.gate, stackIndex, floats(w.gateBias, stackIndex), in, gate, tokens);
        for (std::size_t i = 0; i < up.size(); ++i) {
            up[i] = static_cast<float>(gatedActivation<double>(spec_, gate[i], up[i]));
        }
    }
    multiply(w.down, stackIndex, floats(w.downBias, stackIndex), up, out, tokens);
}

void ReferenceBackend::denseMlp(ReferenceState& s, int layer) const {
    const LayerWeights& w = weights_.layers[index(layer)];
    normBefore(s, w.ffnNorm, w.ffnNormBias);
    feedForwardMany(layer, 0, s.normed, s.update, s.places.tokens());
}

void ReferenceBackend::experts(ReferenceState& s, int layer) const {
    const std::size_t d = index(spec_.dModel);
    const std::size_t k = index(spec_.topK);
    std::vector<double> sums(index(s.places.tokens()) * d, 0.0);
    // Expert by expert, so that each is dequantised once a step.
    for (std::int32_t e = 0; e < spec_.nExpert; ++e) {
        std::vector<int> users;
        std::vector<float> gateWeights;
        std::vector<float> in;
        for (int t = 0; t < s.places.tokens(); ++t) {
            for (std::size_t i = 0; i < k; ++i) {
                if (s.experts[index(t) * k + i] != e) continue;
                users.push_back(t);
                gateWeights.push_back(s.weights[index(t) * k + i]);
                const std::span<float> x = row(s.normed, t, d);
                in.insert(in.end(), x.begin(), x.end());
            }
        }
        if (users.empty()) continue;
        std::vector<float> out(in.size());
        feedForwardMany(layer, e, in, out, static_cast<int>(users.size()));
        for (std::size_t u = 0; u < users.size(); ++u) {
            double* sum = sums.data() + index(users[u]) * d;
            for (std::size_t i = 0; i < d; ++i) {
                sum[i] += static_cast<double>(gateWeights[u]) * out[u * d + i];
            }
        }
    }
    std::transform(sums.begin(), sums.end(), s.update.begin(),
                   [](double x) { return static_cast<float>(x); });
}

OpWork ReferenceBackend::head(BackendState& state, std::span<const std::int32_t> rows,
                              std::span<float> logits) const {
    const ReferenceState& s = own(state);
    assert(!rows.empty() && rows.back() < s.places.tokens());
    const std::size_t d = index(spec_.dModel);
    const int count = static_cast<int>(rows.size());
    std::vector<float> normed(index(count) * d);
    for (int t = 0; t < count; ++t) {
        normalize(spec_.norm, spec_.normEps, floats(weights_.outputNorm),
                  floats(weights_.outputNormBias), row(s.hidden, rows[index(t)], d),
                  row(normed, t, d));
    }
    multiply(weights_.head, 0, {}, normed, logits, count);
    return named(headWork(weights_, count));
}

std::span<const float> ReferenceBackend::hidden(const BackendState& state) const {
    const ReferenceState& s = own(state);
    return std::span(s.hidden).first(index(s.places.tokens()) * index(spec_.dModel));
}

std::unique_ptr<Backend> makeReferenceBackend(const BoundModel& model, const StopFlag* stop) {
    return std::make_unique<ReferenceBackend>(model, stop);
}

}  // namespace moescope
