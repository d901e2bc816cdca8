// SPDX-License-Identifier: Apache-2.0
// What each operation launches. Nothing here waits or copies, so that all of it can be recorded.
#include <algorithm>

#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/decode_bands.h"
#include "engine/backend/cuda/prefill_product.h"
#include "engine/backend/cuda/prefill_rows.h"
#include "engine/backend/kv_layout.h"

namespace moescope::cuda {
namespace {

std::size_t index(std::int64_t value) {
    return static_cast<std::size_t>(value);
}

/// Blocks that share out the context of each of `tokens` tokens.
int splitsOf(const CudaState& s, int layer, int window, int tokens) {
    // A window of 128 keys is one block's work.
    if (window > 0 && window <= 256) return 1;
    int rows = 1;
    for (int r = 0; r < s.runs(); ++r) rows = std::max(rows, s.cache(r).layers[index(layer)].rows);
    // More blocks than have keys even of a full cache would only begin and end.
    return std::min(attentionSplits(tokens), attentionSplitsOfKeys(rows));
}

}  // namespace

NormWeights CudaBackend::norm(const float* weight, const float* bias, bool before) const noexcept {
    NormWeights n;
    n.kind = spec_.norm;
    n.none = before && spec_.normPlace == NormPlace::Post;
    n.eps = spec_.normEps;
    n.weight = weight;
    n.bias = bias;
    return n;
}

RouterChoice CudaBackend::choiceOf(const CudaState& s, int layer) const noexcept {
    if (spec_.layers[index(layer)].mlp != MlpKind::Experts) return s.everyToken;
    const std::size_t at = index(layer) * index(s.tokens()) * index(spec_.topK);
    return {s.experts + at, s.gateWeights + at};
}

OperandRows CudaBackend::rowsFor(const CudaState& s, WeightFormat format) const noexcept {
    return {s.rowsHigh, keepsPairs(s) ? s.rowsLow : nullptr, s.rowStride, format};
}

/// Of gpt-oss-20b on an H100 decode's kernels took about 11 us for each expert that 8 tokens chose,
/// prefill's 8.3 for each that 16 tokens chose (before they had a kernel for few tokens), behind
/// three small kernels more, 11 us in all. So from five tokens on, with 15 different experts, the
/// latter should win; that was not measured.
bool CudaBackend::expertsGrouped(const CudaState& s, int layer) const {
    if (!few(s)) return true;
    const DeviceLayer& w = model_->layers[index(layer)];
    return s.tokens() > kOperandTokens && spec_.layers[index(layer)].mlp == MlpKind::Experts &&
           deviceLimits().warpgroups && routesTokens(w.router) &&
           warpgroupsTake(w.gateUp.format, true) && warpgroupsTake(w.down.format, true);
}

/// Where a block's result goes: straight to the residual, or aside to be normalised first.
float* CudaBackend::blockOutput(CudaState& s) const noexcept {
    return spec_.normPlace == NormPlace::Pre ? s.hidden : s.branch;
}

void CudaBackend::addBranch(CudaState& s, const float* postNorm) const {
    if (spec_.normPlace == NormPlace::Pre) return;
    AddNormed a;
    a.branch = s.branch;
    a.norm = norm(postNorm, nullptr, false);
    a.tokens = s.tokens();
    a.width = spec_.dModel;
    a.hidden = s.hidden;
    addNormed(a, s.stream);
}

void CudaBackend::enqueueEmbed(CudaState& s) const {
    EmbedTokens e;
    e.embedding = model_->embedding;
    e.positions = model_->positions;
    e.ids = s.ids;
    e.places = s.devicePlaces;
    e.scale = spec_.embeddingScale;
    e.tokens = s.tokens();
    e.dModel = spec_.dModel;
    e.hidden = s.hidden;
    e.ropes = ropes_;
    e.nRopes = nRopes_;
    e.half = spec_.headDim / 2;
    e.angles = s.angles;
    e.maxTokens = s.maxBatch;
    embedTokens(e, s.stream);
}

void CudaBackend::enqueueAttentionInput(CudaState& s, int layer) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    if (few(s)) {
        DecodeProjection p;
        p.weights = w.qkv;
        p.hidden = s.hidden;
        p.norm = norm(w.attnNorm, w.attnNormBias);
        p.bias = w.qkvBias;
        p.tokens = s.tokens();
        p.out = s.qkv;
        p.outStride = w.qkv.rows;
        decodeProject(p, multiprocessors_, s.stream);
    } else {
        const OperandRows x = rowsFor(s, w.qkv.format);
        normToOperand({s.hidden, norm(w.attnNorm, w.attnNormBias), s.tokens(), spec_.dModel, x},
                      s.stream);
        project({w.qkv, x, w.qkvBias, s.tokens(), s.qkv, w.qkv.rows, false}, s.stream);
    }
    if (!rotatesInAttention(s)) rotateAndStore(rotation(s, layer), s.stream);
    enqueueCopies(s, layer);
}

/// A single token is rotated by the kernel that uses it: one launch less.
bool CudaBackend::rotatesInAttention(const CudaState& s) const noexcept {
    return s.tokens() == 1 && spec_.qkNorm == QkNorm::None && spec_.position == PositionKind::Rope;
}

RotateAndStore CudaBackend::rotation(const CudaState& s, int layer) const noexcept {
    const DeviceLayer& w = model_->layers[index(layer)];
    RotateAndStore r;
    r.qkv = s.qkv;
    r.places = s.devicePlaces;
    r.tokens = s.tokens();
    r.nHead = spec_.nHead;
    r.nKvHead = spec_.nKvHead;
    r.headDim = spec_.headDim;
    r.qkNorm = spec_.qkNorm;
    r.qNorm = norm(w.qNorm, nullptr, false);
    r.kNorm = norm(w.kNorm, nullptr, false);
    r.rotate = spec_.position == PositionKind::Rope;
    r.pairing = spec_.layers[index(layer)].rope.pairing;
    r.angles =
        s.angles + index(ropeOf_[index(layer)]) * index(s.maxBatch) * index(spec_.headDim / 2);
    r.caches = cachesOf(s, layer);
    return r;
}

StepCaches CudaBackend::cachesOf(const CudaState& s, int layer) const noexcept {
    if (s.runs() == 1) return {s.cache(0).layers[index(layer)], nullptr};
    return {{}, s.caches + index(layer) * index(s.runs())};
}

/// Copies have to follow what the step's tokens have stored, and to precede what reads it.
void CudaBackend::enqueueCopies(CudaState& s, int layer) const {
    CopyRows rows;
    rows.width = spec_.nKvHead * spec_.headDim;
    const int window = spec_.layers[index(layer)].window;
    s.copied = false;
    for (std::size_t i = 0; i < s.copies.size(); ++i) {
        const PrefixCopy& c = s.copies[i];
        const int first = std::max(c.first, firstVisible(c.to->prefixTokens, window));
        if (first < c.end)
            rows.copies[rows.count++] = {c.from->layers[index(layer)], c.to->layers[index(layer)],
                                         first, c.end};
        const bool full = rows.count == kCopiesOfLaunch;
        if (full || (rows.count > 0 && i + 1 == s.copies.size())) {
            copyRows(rows, s.stream);
            rows.count = 0;
            s.copied = true;
        }
    }
    if (layer + 1 < spec_.nLayer) return;
    // All of them is here.
    for (const PrefixCopy& c : s.copies) c.to->prefix.reset();
    s.copies.clear();
}

void CudaBackend::enqueueAttention(CudaState& s, int layer) const {
    const auto firstLong = index(s.shortRuns);
    const bool all = s.shortRuns == s.runs();
    const int shortTokens = all ? s.tokens() : s.places.firsts[firstLong];
    if (shortTokens > 0) attendShort(s, layer, shortTokens);
    for (int run = s.shortRuns; run < s.runs(); run += kRunsOfLaunch) attendLong(s, layer, run);
}

/// The step's first `tokens` tokens, of runs of few.
void CudaBackend::attendShort(CudaState& s, int layer, int tokens) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    DecodeAttention a;
    a.qkv = s.qkv;
    a.qkvStride = w.qkv.rows;
    a.caches = cachesOf(s, layer);
    a.sinks = w.sinks;
    a.places = s.devicePlaces;
    a.window = spec_.layers[index(layer)].window;
    a.tokens = tokens;
    a.nHead = spec_.nHead;
    a.nKvHead = spec_.nKvHead;
    a.headDim = spec_.headDim;
    a.scale = spec_.scale();
    if (few(s)) {
        a.out = s.attended;
        a.out.format = w.o.format;
    } else {
        a.operand = rowsFor(s, w.o.format);
    }
    a.splits = splitsOf(s, layer, a.window, tokens);
    a.partial = s.attentionParts;
    a.counters = s.counters;
    if (rotatesInAttention(s)) {
        const RotateAndStore r = rotation(s, layer);
        a.angles = r.angles;
        a.pairing = r.pairing;
        a.settled = !s.copied;
    }
    decodeAttention(a, s.stream);
}

/// Runs from `firstRun` on, as many as a launch takes.
void CudaBackend::attendLong(CudaState& s, int layer, int firstRun) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    PrefillAttention a;
    a.queries = s.qkv;
    a.queryStride = w.qkv.rows;
    a.sinks = w.sinks;
    a.window = spec_.layers[index(layer)].window;
    a.nHead = spec_.nHead;
    a.nKvHead = spec_.nKvHead;
    a.headDim = spec_.headDim;
    a.scale = spec_.scale();
    a.out = rowsFor(s, w.o.format);
    a.runCount = std::min(s.runs() - firstRun, kRunsOfLaunch);
    for (int i = 0; i < a.runCount; ++i) {
        const StepRun& run = s.places.runs[index(firstRun + i)];
        const LayerCache& cache = s.cache(firstRun + i).layers[index(layer)];
        a.runs[i] = {cache.keys, cache.values, cache.rows, s.places.firsts[index(firstRun + i)],
                     run.tokens, run.position};
    }
    prefillAttention(a, s.stream);
}

void CudaBackend::enqueueAttentionOutput(CudaState& s, int layer) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    const bool add = spec_.normPlace == NormPlace::Pre;
    if (few(s)) {
        DecodeProjection p;
        p.weights = w.o;
        p.x = s.attended;
        p.x.format = w.o.format;
        p.bias = w.oBias;
        p.tokens = s.tokens();
        p.out = blockOutput(s);
        p.outStride = spec_.dModel;
        p.add = add;
        decodeProject(p, multiprocessors_, s.stream);
    } else {
        project(
            {w.o, rowsFor(s, w.o.format), w.oBias, s.tokens(), blockOutput(s), spec_.dModel, add},
            s.stream);
    }
    addBranch(s, w.postAttnNorm);
}

void CudaBackend::enqueueRoute(CudaState& s, int layer) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    if (!expertsGrouped(s, layer)) {
        DecodeProjection p;
        p.weights = w.router;
        p.hidden = s.hidden;
        p.norm = norm(w.ffnNorm, w.ffnNormBias);
        p.keepNormed = s.normed;
        p.keepNormed.format = w.gateUp.format;
        p.bias = w.routerBias;
        p.tokens = s.tokens();
        p.out = s.routerLogits;
        p.outStride = spec_.nExpert;
        decodeProject(p, multiprocessors_, s.stream);
        return;
    }
    const NormWeights n = norm(w.ffnNorm, w.ffnNormBias);
    const OperandRows normed = rowsFor(s, w.gateUp.format);  // which the experts take
    if (routesTokens(w.router)) {
        const RouterChoice choice = choiceOf(s, layer);
        RouteTokens r;
        r.hidden = s.hidden;
        r.norm = n;
        r.weights = w.router;
        r.bias = w.routerBias;
        r.rule = {spec_.routing, spec_.nExpert, spec_.topK};
        r.tokens = s.tokens();
        r.width = spec_.dModel;
        r.normed = normed;
        r.experts = choice.experts;
        r.gateWeights = choice.weights;
        routeTokens(r, multiprocessors_, s.stream);
        return;
    }
    const OperandRows x = rowsFor(s, w.router.format);
    normToOperand({s.hidden, n, s.tokens(), spec_.dModel, x}, s.stream);
    project({w.router, x, w.routerBias, s.tokens(), s.routerLogits, spec_.nExpert, false},
            s.stream);
    enqueueExpertChoice(s, layer);
    normToOperand({s.hidden, n, s.tokens(), spec_.dModel, normed}, s.stream);
}

void CudaBackend::enqueueExpertChoice(const CudaState& s, int layer) const {
    const RouterChoice choice = choiceOf(s, layer);
    chooseExperts({s.routerLogits,
                   {spec_.routing, spec_.nExpert, spec_.topK},
                   s.tokens(),
                   choice.experts,
                   choice.weights},
                  s.stream);
}

void CudaBackend::enqueueFeedForward(CudaState& s, int layer) const {
    if (!expertsGrouped(s, layer)) {
        decodeFeedForward(s, layer);
    } else if (spec_.layers[index(layer)].mlp == MlpKind::Plain) {
        prefillPlainMlp(s, layer);
    } else {
        prefillFeedForward(s, layer);
    }
    addBranch(s, model_->layers[index(layer)].postFfnNorm);
}

void CudaBackend::decodeFeedForward(CudaState& s, int layer) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    const MlpKind kind = spec_.layers[index(layer)].mlp;
    const bool routed = kind == MlpKind::Experts;
    const int topK = routed ? spec_.topK : 1;
    PairRows normed = s.normed;
    normed.format = w.gateUp.format;
    if (!routed) {
        normRows({s.hidden, norm(w.ffnNorm, w.ffnNormBias), s.tokens(), spec_.dModel, normed},
                 s.stream);
    }
    DecodeExpertsUp up;
    up.gateUp = w.gateUp;
    up.bias = w.gateUpBias;
    up.x = normed;
    up.choice = choiceOf(s, layer);
    if (routed) up.routerLogits = s.routerLogits;
    up.rule = {spec_.routing, spec_.nExpert, spec_.topK};
    up.tokens = s.tokens();
    up.topK = topK;
    up.nExpert = routed ? spec_.nExpert : 1;
    up.gated = kind != MlpKind::Plain;
    up.activation = spec_.activation;
    up.swigluAlpha = spec_.swigluAlpha;
    up.swigluLimit = spec_.swigluLimit;
    up.hidden = s.inner;
    up.hidden.format = w.down.format;
    decodeExpertsUp(up, multiprocessors_, s.stream);
    DecodeExpertsDown down;
    down.down = w.down;
    down.bias = w.downBias;
    down.hidden = up.hidden;
    down.routerLogits = up.routerLogits;
    down.rule = up.rule;
    down.choice = up.choice;
    down.tokens = s.tokens();
    down.topK = topK;
    down.nExpert = up.nExpert;
    down.out = blockOutput(s);
    down.add = spec_.normPlace == NormPlace::Pre;
    decodeExpertsDown(down, s.stream);
}

namespace {

/// Room for `rows` rows as `x`, padded to `columns`, where the experts' outputs will be.
OperandRows sortedRowsFor(const CudaState& s, const OperandRows& x, int columns, int rows) {
    auto* const high = reinterpret_cast<std::uint16_t*>(s.products);
    return {high, x.low == nullptr ? nullptr : high + std::int64_t{rows} * columns, columns,
            x.format};
}

}  // namespace

void CudaBackend::prefillFeedForward(CudaState& s, int layer) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    const bool routed = spec_.layers[index(layer)].mlp == MlpKind::Experts;
    const int topK = routed ? spec_.topK : 1;
    const int nExpert = routed ? spec_.nExpert : 1;
    const RouterChoice choice = choiceOf(s, layer);
    const OperandRows x = rowsFor(s, w.gateUp.format);
    // The router has normalised its tokens already.
    if (!routed) {
        normToOperand({s.hidden, norm(w.ffnNorm, w.ffnNormBias), s.tokens(), spec_.dModel, x},
                      s.stream);
    }
    groupByExpert(choice.experts, s.tokens(), topK, nExpert, s.groups, s.stream);
    ExpertsUp up;
    up.gateUp = w.gateUp;
    up.bias = w.gateUpBias;
    up.x = x;
    up.groups = s.groups;
    up.tokens = s.tokens();
    up.topK = topK;
    up.nExpert = nExpert;
    up.activation = spec_.activation;
    up.swigluAlpha = spec_.swigluAlpha;
    up.swigluLimit = spec_.swigluLimit;
    up.hidden = {s.innerHigh, keepsPairs(s) ? s.innerLow : nullptr, w.down.paddedCols(),
                 w.down.format};
    up.sorted = sortedRowsFor(s, x, w.gateUp.paddedCols(), s.tokens() * topK);
    expertsUp(up, s.stream);
    ExpertsDown down;
    down.down = w.down;
    down.bias = w.downBias;
    down.hidden = up.hidden;
    down.groups = s.groups;
    down.tokens = s.tokens();
    down.topK = topK;
    down.nExpert = nExpert;
    down.products = s.products;
    expertsDown(down, s.stream);
    combineExperts({s.products, choice.weights, s.tokens(), topK, spec_.dModel, blockOutput(s),
                    spec_.normPlace == NormPlace::Pre},
                   s.stream);
}

void CudaBackend::prefillPlainMlp(CudaState& s, int layer) const {
    const DeviceLayer& w = model_->layers[index(layer)];
    const int ffn = w.gateUp.rows;
    const OperandRows x = rowsFor(s, w.gateUp.format);
    normToOperand({s.hidden, norm(w.ffnNorm, w.ffnNormBias), s.tokens(), spec_.dModel, x},
                  s.stream);
    project({w.gateUp, x, w.gateUpBias, s.tokens(), s.products, ffn, false}, s.stream);
    const OperandRows inner{s.innerHigh, keepsPairs(s) ? s.innerLow : nullptr, w.down.paddedCols(),
                            w.down.format};
    activateRows({s.products, spec_.activation, s.tokens(), ffn, inner}, s.stream);
    project({w.down, inner, w.downBias, s.tokens(), blockOutput(s), spec_.dModel,
             spec_.normPlace == NormPlace::Pre},
            s.stream);
}

void CudaBackend::enqueueHead(CudaState& s, const float* hidden, int count) const {
    NormWeights n = norm(model_->outputNorm, model_->outputNormBias, false);
    if (count > fewTokens_) {
        const OperandRows x = rowsFor(s, model_->head.format);
        normToOperand({hidden, n, count, spec_.dModel, x}, s.stream);
        project({model_->head, x, nullptr, count, s.logits, spec_.vocab, false}, s.stream);
        return;
    }
    DecodeProjection p;
    p.weights = model_->head;
    p.hidden = hidden;
    p.norm = n;
    p.tokens = count;
    p.out = s.logits;
    p.outStride = spec_.vocab;
    decodeProject(p, multiprocessors_, s.stream);
}

/// `fed`: the choice of one row, with which the device goes on.
void CudaBackend::enqueueNextTokens(CudaState& s, int rows, bool fed) const {
    ChooseTokens c;
    c.logits = s.logits;
    c.rows = rows;
    c.vocab = spec_.vocab;
    c.rules = s.rules;
    c.chosen = s.chosen;
    c.parts = s.choiceParts;
    c.counters = s.choiceCounters;
    if (fed) {
        c.ids = s.ids;
        c.place = s.devicePlaces;
        c.fedChoices = kGreedyBurst;
    }
    chooseTokens(c, s.stream);
}

void CudaBackend::enqueueToken(CudaState& s, bool choosing) const {
    const auto part = [&](Op op, int layer, const auto& enqueue) {
        if (s.launches != nullptr) s.launches->captureOp(op, layer);
        enqueue();
        report(s);
    };
    part(Op::Embed, -1, [&] { enqueueEmbed(s); });
    for (int layer = 0; layer < spec_.nLayer; ++layer) {
        const bool experts = spec_.layers[index(layer)].mlp == MlpKind::Experts;
        part(Op::AttentionInput, layer, [&] { enqueueAttentionInput(s, layer); });
        part(Op::Attention, layer, [&] { enqueueAttention(s, layer); });
        part(Op::AttentionOutput, layer, [&] { enqueueAttentionOutput(s, layer); });
        if (experts) part(Op::Router, layer, [&] { enqueueRoute(s, layer); });
        part(experts ? Op::Experts : Op::Mlp, layer, [&] { enqueueFeedForward(s, layer); });
    }
    part(Op::Head, -1, [&] { enqueueHead(s, s.hidden, 1); });
    if (choosing) part(Op::Sample, -1, [&] { enqueueNextTokens(s, 1, true); });
}

}  // namespace moescope::cuda
