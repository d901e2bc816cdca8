// SPDX-License-Identifier: Apache-2.0
// Plan every stack, reserve the sum, pack in slices of some MiB and hand each slice's pages back.
#include "engine/backend/cpu/packed_model.h"

#include <algorithm>

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

void packJob(const Job& job, const Checkpoint& checkpoint, ThreadPool& pool, bool keepPages) {
    const PackedStack& stack = *job.target;
    const std::int64_t tiles = stack.first.tiles();
    const std::int64_t tileBytes = std::max<std::int64_t>(1, job.source->rowStride * kTileRows);
    const std::int64_t slice = std::max<std::int64_t>(1, kSliceBytes / tileBytes);
    const std::int64_t all = tiles * stack.count;
    for (std::int64_t begin = 0; begin < all; begin += slice) {
        const std::int64_t end = std::min(all, begin + slice);
        pool.parallelFor(end - begin, [&](std::int64_t i, int) {
            const std::int64_t tile = begin + i;
            const std::int64_t m = tile / tiles;
            packTile(
                stack.count == 1 && job.source->rank <= 2 ? *job.source : job.source->matrix(m),
                tile % tiles, stack.matrix(m));
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
}

PackedLayer sideTensors(const LayerWeights& w) {
    PackedLayer l;
    l.attnNorm = widen(w.attnNorm);
    l.attnNormBias = widen(w.attnNormBias);
    l.qBias = widen(w.qBias);
    l.kBias = widen(w.kBias);
    l.vBias = widen(w.vBias);
    l.qNorm = widen(w.qNorm);
    l.kNorm = widen(w.kNorm);
    l.sinks = widen(w.sinks);
    l.oBias = widen(w.oBias);
    l.postAttnNorm = widen(w.postAttnNorm);
    l.ffnNorm = widen(w.ffnNorm);
    l.ffnNormBias = widen(w.ffnNormBias);
    l.routerBias = widen(w.routerBias);
    l.gateBias = widen(w.gateBias);
    l.upBias = widen(w.upBias);
    l.downBias = widen(w.downBias);
    l.postFfnNorm = widen(w.postFfnNorm);
    return l;
}

}  // namespace

PackedModel::PackedModel(const BoundModel& model, const Checkpoint& checkpoint, ThreadPool& pool) {
    const ModelWeights& w = model.weights;
    outputNorm = widen(w.outputNorm);
    outputNormBias = widen(w.outputNormBias);
    layers.reserve(w.layers.size());
    for (const LayerWeights& layer : w.layers) layers.push_back(sideTensors(layer));

    // The head first: it is the largest single matrix, and the arena is still empty.
    std::vector<Job> jobs{{&w.head, &head}};
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const LayerWeights& from = w.layers[i];
        PackedLayer& to = layers[i];
        for (const Job job :
             {Job{&from.q, &to.q}, Job{&from.k, &to.k}, Job{&from.v, &to.v}, Job{&from.o, &to.o},
              Job{&from.router, &to.router}, Job{&from.gate, &to.gate}, Job{&from.up, &to.up},
              Job{&from.down, &to.down}}) {
            jobs.push_back(job);
        }
    }
    std::uint64_t bytes = 0;
    for (const Job& job : jobs) {
        *job.target = planStack(*job.source);
        bytes += Arena::aligned(job.target->bytes());
    }
    arena_ = Arena(bytes);
    for (const Job& job : jobs) {
        if (job.target->empty()) continue;
        const auto count = static_cast<std::uint64_t>(job.target->count);
        job.target->first.codes = arena_.take(count * job.target->codeStride);
        job.target->first.scales = arena_.take(count * job.target->scaleStride);
        packJob(job, checkpoint, pool, job.source->data == w.embedding.data);
    }
}

}  // namespace moescope::cpu
