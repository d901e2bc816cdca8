// SPDX-License-Identifier: Apache-2.0
// Experts and dense MLP by one path: jobs (an expert and its tokens), expanded in one phase (gate,
// up, activation) and contracted in a second (down). Both share out 32-row tiles, job by job: each
// weight tile is read once for all tokens of its job, whose activations stay in the cache from tile
// to tile. What the experts of a token give is summed where it is added to the residual.
#include <algorithm>
#include <cassert>

#include "engine/backend/cpu/products.h"

namespace moescope::cpu {
namespace {

CpuState& own(BackendState& s) {
    return static_cast<CpuState&>(s);
}

/// Bias row of one matrix of a stack; null when there is none.
const float* biasRow(const std::vector<float>& bias, std::int64_t expert, std::int64_t rows) {
    return bias.empty() ? nullptr : bias.data() + expert * rows;
}

void addBias(float* tile, int n, const float* bias, int rows) {
    if (bias == nullptr) return;
    for (int j = 0; j < n; ++j) {
        for (int r = 0; r < rows; ++r) tile[j * kTileRows + r] += bias[r];
    }
}

}  // namespace

std::span<const FeedForwardJob> CpuBackend::jobsOf(CpuState& s, int layer) const {
    FeedForwardJobs& jobs = s.jobs;
    jobs.clear();
    if (spec_.layers[static_cast<std::size_t>(layer)].mlp != MlpKind::Experts) {
        FeedForwardJob& job = jobs.add(0);
        for (int t = 0; t < s.tokens; ++t) {
            job.tokens.push_back(t);
            job.slots.push_back(t);
        }
        return jobs.all();
    }
    jobs.jobOfExpert.assign(static_cast<std::size_t>(spec_.nExpert), -1);
    for (int slot = 0; slot < s.tokens * spec_.topK; ++slot) {
        std::int32_t& index = jobs.jobOfExpert[static_cast<std::size_t>(s.experts[slot])];
        if (index < 0) {
            index = static_cast<std::int32_t>(jobs.all().size());
            jobs.add(s.experts[slot]);
        }
        FeedForwardJob& job = jobs.all()[static_cast<std::size_t>(index)];
        job.tokens.push_back(slot / spec_.topK);
        job.slots.push_back(slot);
    }
    return jobs.all();
}

void CpuBackend::expandTile(CpuState& s, int layer, const FeedForwardJob& job, std::int64_t tile,
                            int thread) const {
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    const bool gated = !w.gate.empty();
    const PackedMatrix up = w.up.matrix(job.expert);
    const std::int64_t firstRow = tile * kTileRows;
    const auto rows = static_cast<int>(std::min<std::int64_t>(kTileRows, up.rows - firstRow));
    ThreadScratch& scratch = s.scratch[static_cast<std::size_t>(thread)];
    const float* upBias = biasRow(w.upBias, job.expert, up.rows);
    const float* gateBias = biasRow(w.gateBias, job.expert, up.rows);
    const auto total = static_cast<int>(job.tokens.size());
    for (int t = 0; t < total; t += kCallTokens) {
        const int n = std::min(kCallTokens, total - t);
        const std::int32_t* tokens = job.tokens.data() + t;
        const std::int32_t* slots = job.slots.data() + t;
        for (int j = 0; j < n; ++j) scratch.rows[j] = s.normed.row(tokens[j]);
        tileProduct(up, tile, s.normed.layout, scratch.rows, n, scratch.panel, scratch.tile[0]);
        addBias(scratch.tile[0], n, upBias == nullptr ? nullptr : upBias + firstRow, rows);
        if (gated) {
            tileProduct(w.gate.matrix(job.expert), tile, s.normed.layout, scratch.rows, n,
                        scratch.panel, scratch.tile[1]);
            addBias(scratch.tile[1], n, gateBias == nullptr ? nullptr : gateBias + firstRow, rows);
        }
        for (int j = 0; j < n; ++j) {
            const float* linear = scratch.tile[0] + j * kTileRows;
            kernels_.activate(spec_.activation, spec_.swigluAlpha, spec_.swigluLimit,
                              gated ? scratch.tile[1] + j * kTileRows : linear,
                              gated ? linear : nullptr, rows, s.inner.values(slots[j]) + firstRow);
        }
    }
}

template <typename F>
void CpuBackend::forJobTiles(std::span<const FeedForwardJob> jobs, std::int64_t tiles,
                             const F& f) const {
    forRuns(pool_, tiles * static_cast<std::int64_t>(jobs.size()),
            [&](std::int64_t begin, std::int64_t end, int thread) {
                for (std::int64_t i = begin; i < end; ++i)
                    f(jobs[static_cast<std::size_t>(i / tiles)], i % tiles, thread);
            });
}

void CpuBackend::contractTile(CpuState& s, int layer, const FeedForwardJob& job, std::int64_t tile,
                              int thread) const {
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    const std::int64_t d = spec_.dModel;
    const std::int64_t firstRow = tile * kTileRows;
    const auto rows = static_cast<int>(std::min<std::int64_t>(kTileRows, d - firstRow));
    ThreadScratch& scratch = s.scratch[static_cast<std::size_t>(thread)];
    const float* bias = biasRow(w.downBias, job.expert, d);
    const auto total = static_cast<int>(job.slots.size());
    for (int t = 0; t < total; t += kCallTokens) {
        const int n = std::min(kCallTokens, total - t);
        const std::int32_t* slots = job.slots.data() + t;
        for (int j = 0; j < n; ++j) scratch.rows[j] = s.inner.row(slots[j]);
        tileProduct(w.down.matrix(job.expert), tile, s.inner.layout, scratch.rows, n, scratch.panel,
                    scratch.tile[0]);
        addBias(scratch.tile[0], n, bias == nullptr ? nullptr : bias + firstRow, rows);
        for (int j = 0; j < n; ++j)
            std::copy_n(scratch.tile[0] + j * kTileRows, rows, s.branch + slots[j] * d + firstRow);
    }
}

/// In the order of the experts' indices, so that a token's sum has the same bits in every step that
/// it could be part of.
float* CpuBackend::sumOfExperts(CpuState& s, std::int64_t token) const {
    const std::int64_t d = spec_.dModel;
    const std::int64_t first = token * spec_.topK;
    float* sum = s.normed.values(token);  // its products are done
    std::fill_n(sum, d, 0.0F);
    std::int32_t last = -1;
    for (int i = 0; i < spec_.topK; ++i) {
        std::int64_t next = -1;
        for (std::int64_t slot = first; slot < first + spec_.topK; ++slot) {
            if (s.experts[slot] > last && (next < 0 || s.experts[slot] < s.experts[next]))
                next = slot;
        }
        last = s.experts[next];
        const float weight = s.gateWeights[next];
        const float* from = s.branch + next * d;
        for (std::int64_t c = 0; c < d; ++c) sum[c] += weight * from[c];
    }
    return sum;
}

OpWork CpuBackend::feedForward(BackendState& state, int layer) const {
    CpuState& s = own(state);
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    const LayerSpec& l = spec_.layers[static_cast<std::size_t>(layer)];
    const LayerWeights& stored = weights_.layers[static_cast<std::size_t>(layer)];
    const bool routed = l.mlp == MlpKind::Experts;
    if (!routed) prepareNormed(s, w.ffnNorm, w.ffnNormBias);
    s.inner.layout = ActivationLayout(l.ffn, s.shape.split.inner);
    const std::span<const FeedForwardJob> jobs = jobsOf(s, layer);
    forJobTiles(jobs, w.up.first.tiles(),
                [&](const FeedForwardJob& job, std::int64_t tile, int thread) {
                    expandTile(s, layer, job, tile, thread);
                });
    const auto finishSlot = [&](std::int64_t slot, int) {
        kernels_.finishActivation(s.inner.layout, s.inner.row(slot));
    };
    const int slots = s.tokens * (routed ? spec_.topK : 1);
    if (s.tokens <= kVectorTokens) {  // a phase for a handful of rows costs more than the rows
        for (int slot = 0; slot < slots; ++slot) finishSlot(slot, 0);
    } else {
        forTokens(slots, finishSlot);
    }
    forJobTiles(jobs, w.down.first.tiles(),
                [&](const FeedForwardJob& job, std::int64_t tile, int thread) {
                    contractTile(s, layer, job, tile, thread);
                });
    addResidual(s, w.postFfnNorm, [&](std::int64_t t) {
        return routed ? sumOfExperts(s, t) : s.branch + t * spec_.dModel;
    });
    const auto largest = std::max_element(
        jobs.begin(), jobs.end(),
        [](const auto& a, const auto& b) { return a.tokens.size() < b.tokens.size(); });
    const bool vector = largest->tokens.size() <= static_cast<std::size_t>(kVectorTokens);
    return finish(routed ? expertsWork(spec_, stored, stepShape(s), routing(s).experts)
                         : mlpWork(stored, stepShape(s)),
                  kernelName(w.up.first.format, vector));
}

}  // namespace moescope::cpu
