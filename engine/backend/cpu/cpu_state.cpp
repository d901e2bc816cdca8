// SPDX-License-Identifier: Apache-2.0
// One walk over all buffers serves both counting and placing, so that stateBytes cannot be wrong.
#include "engine/backend/cpu/cpu_state.h"

#include <algorithm>

#include "engine/backend/kv_layout.h"

namespace moescope::cpu {
namespace {

std::uint64_t product(std::int64_t a, std::int64_t b = 1, std::int64_t c = 1) {
    return static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b) *
           static_cast<std::uint64_t>(c);
}

/// Counts bytes, and places buffers where there is an arena to place them in.
class Placer {
public:
    explicit Placer(Arena* arena) : arena_(arena) {}

    template <typename T>
    void operator()(T*& pointer, std::uint64_t count) {
        const std::uint64_t bytes = count * sizeof(T);
        total_ += Arena::aligned(bytes);
        if (arena_ != nullptr) pointer = reinterpret_cast<T*>(arena_->take(bytes));
    }
    void operator()(ActivationRows& rows, int cols, bool split, std::int64_t count) {
        rows.layout = ActivationLayout(cols, split);
        (*this)(rows.base, product(count, static_cast<std::int64_t>(rows.layout.bytes)));
    }
    std::uint64_t total() const { return total_; }

private:
    Arena* arena_;
    std::uint64_t total_ = 0;
};

}  // namespace

SplitRows::SplitRows(const ModelWeights& weights) noexcept {
    const auto isBf16 = [](const TensorView& t) { return !t.empty() && t.type == DType::BF16; };
    normed = isBf16(weights.head);
    for (const LayerWeights& w : weights.layers) {
        for (const TensorView* t : {&w.q, &w.k, &w.v, &w.router, &w.gate, &w.up})
            normed = normed || isBf16(*t);
        attended = attended || isBf16(w.o);
        inner = inner || isBf16(w.down);
    }
}

StateShape::StateShape(const ModelSpec& spec, SplitRows split_, int threads_, int maxContext_,
                       int maxBatch_)
    : split(split_),
      maxContext(maxContext_),
      maxBatch(maxBatch_),
      threads(threads_),
      headWidth(roundUp16(spec.headDim)),
      slots(std::int64_t{maxBatch_} * std::max(1, spec.topK)) {
    std::int32_t longest = 0;
    for (const LayerSpec& layer : spec.layers) {
        maxFfn = std::max(maxFfn, layer.ffn);
        // What the queries of one block see together.
        longest = std::max(longest, kvRows(layer.window, maxContext, kQueryBlock));
    }
    // Every stretch but the first may touch a group of 16 that another one touches too.
    scoreStride = roundUp16(longest) + 16 * CpuCache::kMaxSegments;
}

CpuState::CpuState(const ModelSpec& spec, SplitRows split, int threads, int maxContext,
                   int maxBatch, int ropes)
    : shape(spec, split, threads, maxContext, maxBatch),
      arena_(bytes(spec, split, threads, maxContext, maxBatch, ropes)) {
    place(spec, ropes, &arena_);
}

std::uint64_t CpuState::bytes(const ModelSpec& spec, SplitRows split, int threads, int maxContext,
                              int maxBatch, int ropes) {
    CpuState counter(StateShape(spec, split, threads, maxContext, maxBatch));
    return counter.place(spec, ropes, nullptr);
}

std::uint64_t CpuState::place(const ModelSpec& spec, int ropes, Arena* arena) {
    Placer put(arena);
    const std::int64_t n = shape.maxBatch;
    const std::int64_t queryWidth = std::int64_t{spec.nHead} * spec.headDim;
    const std::int64_t kvWidth = std::int64_t{spec.nKvHead} * spec.headDim;
    put(hidden, product(n, spec.dModel));
    put(branch, product(shape.slots, spec.dModel));
    put(normed, spec.dModel, shape.split.normed, n);
    put(queries, product(n, queryWidth) + 16);
    put(keys, product(n, kvWidth));
    put(values, product(n, kvWidth));
    put(attended, static_cast<int>(queryWidth), shape.split.attended, n);
    put(inner, shape.maxFfn, shape.split.inner, shape.slots);
    put(routerLogits, product(n, spec.nExpert));
    put(experts, product(n, spec.topK));
    put(gateWeights, product(n, spec.topK));
    cosines.resize(static_cast<std::size_t>(ropes));
    sines.resize(cosines.size());
    for (float*& table : cosines) put(table, product(n, spec.headDim / 2));
    for (float*& table : sines) put(table, product(n, spec.headDim / 2));
    scratch.resize(static_cast<std::size_t>(shape.threads));
    for (ThreadScratch& s : scratch) {
        put(s.panel, kPanelBytes);
        for (float*& tile : s.tile) put(tile, product(kCallTokens, kTileRows));
        put(s.rows, kCallTokens);
        put(s.scores, product(kQueryBlock, shape.scoreStride));
        put(s.attended, product(kQueryBlock, shape.headWidth));
    }
    return put.total();
}

}  // namespace moescope::cpu
