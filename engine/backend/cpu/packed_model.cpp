// SPDX-License-Identifier: Apache-2.0
// Plan every stack, reserve the sum, pack in slices of some MiB and hand each slice's pages back.
#include "engine/backend/cpu/packed_model.h"

#include <algorithm>
#include <mutex>

namespace moescope::cpu {
namespace {

struct Job {
    const TensorView* source;
    PackedStack* target;
};

/// Source bytes read between two releases: bounds what is held twice.
constexpr std::int64_t kSliceBytes = 32 << 20;

std::vector<float> widen(const TensorView& t) {
    if (t.empty()) return {};
    refuseNotFinite(t);
    const auto cols = static_cast<std::size_t>(t.cols());
    std::vector<float> out(cols * static_cast<std::size_t>(t.rows()));
    for (std::int64_t r = 0; r < t.rows(); ++r) {
        dequantizeRow(t, 0, r, std::span(out).subspan(static_cast<std::size_t>(r) * cols, cols));
    }
    return out;
}

TensorView rowsOf(const TensorView& matrix, std::int64_t begin, std::int64_t end) {
    TensorView part = matrix;
    part.shape[static_cast<std::size_t>(part.rank - 2)] = end - begin;
    part.data += begin * part.rowStride;
    if (part.scales != nullptr) part.scales += begin * part.scaleStride;
    return part;
}

/// Of the rows of one tile, while they are in the cache.
Mxfp4Edges edgesOf(const TensorView& matrix, std::int64_t tile) {
    Mxfp4Edges edges;
    const std::int64_t end = std::min<std::int64_t>(matrix.rows(), (tile + 1) * kTileRows);
    for (std::int64_t row = tile * kTileRows; row < end; ++row) edges += mxfp4Edges(matrix, 0, row);
    return edges;
}

/// Of a matrix that is read where it is.
void checkRows(const TensorView& t, ThreadPool& pool, const StopFlag* stop) {
    if (t.empty()) return;
    const std::int64_t slice = std::max<std::int64_t>(1, kSliceBytes / t.rowStride);
    for (std::int64_t begin = 0; begin < t.rows(); begin += slice) {
        throwIfStopped(stop);
        pool.parallelFor(std::min(slice, t.rows() - begin),
                         [&](std::int64_t i, int) { refuseNotFinite(t, 0, begin + i); });
    }
}

Mxfp4Edges packJob(const Job& job, const Checkpoint& checkpoint, ThreadPool& pool, bool keepPages,
                   const StopFlag* stop) {
    Mxfp4Edges edges;
    std::mutex edgesMutex;
    const PackedStack& stack = *job.target;
    const std::int64_t tiles = stack.first.tiles();
    const std::int64_t tileBytes = std::max<std::int64_t>(1, job.source->rowStride * kTileRows);
    const std::int64_t slice = std::max<std::int64_t>(1, kSliceBytes / tileBytes);
    const std::int64_t all = tiles * stack.count;
    for (std::int64_t begin = 0; begin < all; begin += slice) {
        throwIfStopped(stop);
        const std::int64_t end = std::min(all, begin + slice);
        pool.parallelFor(end - begin, [&](std::int64_t i, int) {
            const std::int64_t tile = begin + i;
            const std::int64_t m = tile / tiles;
            const TensorView matrix =
                stack.count == 1 && job.source->rank <= 2 ? *job.source : job.source->matrix(m);
            packTile(matrix, tile % tiles, stack.matrix(m));
            const Mxfp4Edges found = edgesOf(matrix, tile % tiles);
            if (!found.any()) return;
            const std::scoped_lock lock(edgesMutex);
            edges += found;
        });
        if (keepPages || job.source->rank < 2) continue;
        for (std::int64_t tile = begin; tile < end;) {
            const std::int64_t m = tile / tiles;
            const std::int64_t last = std::min(end, (m + 1) * tiles);
            const TensorView matrix = job.source->rank > 2 ? job.source->matrix(m) : *job.source;
            checkpoint.release(
                rowsOf(matrix, tile % tiles * kTileRows,
                       std::min<std::int64_t>(matrix.rows(), (last - m * tiles) * kTileRows)));
            tile = last;
        }
    }
    return edges;
}

struct MatrixMember {
    TensorView LayerWeights::*from;
    PackedStack PackedLayer::*to;
};
constexpr MatrixMember kMatrices[] = {
    {&LayerWeights::q, &PackedLayer::q},           {&LayerWeights::k, &PackedLayer::k},
    {&LayerWeights::v, &PackedLayer::v},           {&LayerWeights::o, &PackedLayer::o},
    {&LayerWeights::router, &PackedLayer::router}, {&LayerWeights::gate, &PackedLayer::gate},
    {&LayerWeights::up, &PackedLayer::up},         {&LayerWeights::down, &PackedLayer::down},
};

struct VectorMember {
    TensorView LayerWeights::*from;
    std::vector<float> PackedLayer::*to;
};
constexpr VectorMember kVectors[] = {
    {&LayerWeights::attnNorm, &PackedLayer::attnNorm},
    {&LayerWeights::attnNormBias, &PackedLayer::attnNormBias},
    {&LayerWeights::qBias, &PackedLayer::qBias},
    {&LayerWeights::kBias, &PackedLayer::kBias},
    {&LayerWeights::vBias, &PackedLayer::vBias},
    {&LayerWeights::oBias, &PackedLayer::oBias},
    {&LayerWeights::qNorm, &PackedLayer::qNorm},
    {&LayerWeights::kNorm, &PackedLayer::kNorm},
    {&LayerWeights::sinks, &PackedLayer::sinks},
    {&LayerWeights::postAttnNorm, &PackedLayer::postAttnNorm},
    {&LayerWeights::ffnNorm, &PackedLayer::ffnNorm},
    {&LayerWeights::ffnNormBias, &PackedLayer::ffnNormBias},
    {&LayerWeights::routerBias, &PackedLayer::routerBias},
    {&LayerWeights::gateBias, &PackedLayer::gateBias},
    {&LayerWeights::upBias, &PackedLayer::upBias},
    {&LayerWeights::downBias, &PackedLayer::downBias},
    {&LayerWeights::postFfnNorm, &PackedLayer::postFfnNorm},
};

std::uint64_t planned(const TensorView& t) noexcept {
    return Arena::aligned(planStack(t).bytes());
}

std::uint64_t widened(const TensorView& t) noexcept {
    return t.empty() ? 0 : sizeof(float) * static_cast<std::uint64_t>(t.rows() * t.cols());
}

}  // namespace

std::uint64_t PackedModel::arenaBytes(const ModelWeights& weights) noexcept {
    std::uint64_t bytes = planned(weights.head);
    for (const LayerWeights& layer : weights.layers) {
        for (const MatrixMember& m : kMatrices) bytes += planned(layer.*m.from);
    }
    return bytes;
}

PackedModel::PackedModel(const BoundModel& model, const Checkpoint& checkpoint, ThreadPool& pool,
                         const StopFlag* stop)
    : arena_(arenaBytes(model.weights)) {
    const ModelWeights& w = model.weights;
    outputNorm = widen(w.outputNorm);
    outputNormBias = widen(w.outputNormBias);
    checkRows(w.positions, pool, stop);
    if (w.embedding.data != w.head.data) checkRows(w.embedding, pool, stop);
    layers.resize(w.layers.size());
    // The head first: it is the largest single matrix, and the arena is still empty.
    std::vector<Job> jobs{{&w.head, &head}};
    for (std::size_t i = 0; i < layers.size(); ++i) {
        for (const VectorMember& m : kVectors) layers[i].*m.to = widen(w.layers[i].*m.from);
        for (const MatrixMember& m : kMatrices) {
            jobs.push_back({&(w.layers[i].*m.from), &(layers[i].*m.to)});
        }
    }
    for (const Job& job : jobs) {
        *job.target = planStack(*job.source);
        if (job.target->empty()) continue;
        const auto count = static_cast<std::uint64_t>(job.target->count);
        job.target->first.codes = arena_.take(count * job.target->codeStride);
        job.target->first.scales = arena_.take(count * job.target->scaleStride);
        edges_ += packJob(job, checkpoint, pool, job.source->data == w.embedding.data, stop);
    }
}

}  // namespace moescope::cpu

namespace moescope {

std::uint64_t cpuWeightBytes(const BoundModel& model) {
    const ModelWeights& w = model.weights;
    std::uint64_t bytes = cpu::PackedModel::arenaBytes(w) + cpu::widened(w.outputNorm) +
                          cpu::widened(w.outputNormBias);
    for (const LayerWeights& layer : w.layers) {
        for (const cpu::VectorMember& m : cpu::kVectors) bytes += cpu::widened(layer.*m.from);
    }
    const auto stored = [](const TensorView& t) {
        return static_cast<std::uint64_t>(t.rows() * t.rowStride);
    };
    return bytes + stored(w.embedding) + (w.positions.empty() ? 0 : stored(w.positions));
}

}  // namespace moescope
