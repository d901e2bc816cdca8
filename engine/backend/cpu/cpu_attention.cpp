// SPDX-License-Identifier: Apache-2.0
// Rotation and cache writes, blocked attention over the caches.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "engine/backend/cpu/products.h"
#include "engine/backend/kv_layout.h"
#include "engine/backend/rope_rotation.h"

namespace moescope::cpu {
namespace {

CpuState& own(BackendState& s) {
    return static_cast<CpuState&>(s);
}

/// A stretch of cache rows without wrap, and where its scores lie.
struct Segment {
    const CpuCache* cache = nullptr;
    std::int64_t firstRow = 0;
    std::int64_t endRow = 0;
    int firstPosition = 0;
    std::int64_t buffer = 0;  ///< offset of the scores of row 16 * firstGroup()

    std::int64_t firstGroup() const { return firstRow / 16; }
    std::int64_t groups() const { return (endRow + 15) / 16 - firstGroup(); }
    std::int64_t bufferEnd() const { return buffer + 16 * groups(); }
    /// Offset of `position`'s score.
    std::int64_t at(std::int64_t position) const {
        return buffer + firstRow % 16 + position - firstPosition;
    }
};

/// Where positions [first, last] of one layer lie, in order: in the caches that this one begins
/// with, and in one stretch of each or two where a ring wraps.
class Segments {
public:
    Segments(const CpuCache& cache, int layer, int first, int last) {
        add(cache, layer, first, last);
    }
    const Segment* begin() const { return list_; }
    const Segment* end() const { return list_ + count_; }
    std::int64_t scores() const { return list_[count_ - 1].bufferEnd(); }

private:
    void add(const CpuCache& cache, int layer, int first, int last) {
        const int own = cache.firstPosition();
        if (first < own) add(*cache.prefix(), layer, first, std::min(last, own - 1));
        first = std::max(first, own);
        if (first > last) return;
        const int rows = cache.layer(layer).rows;
        const int row = cache.row(cache.layer(layer), first);
        const int count = last - first + 1;
        const int head = std::min(count, rows - row);
        push({&cache, row, row + head, first});
        if (head < count) push({&cache, 0, count - head, first + head});
    }
    void push(Segment segment) {
        assert(count_ < CpuCache::kMaxSegments);
        segment.buffer = count_ == 0 ? 0 : scores();
        list_[count_++] = segment;
    }
    Segment list_[CpuCache::kMaxSegments];
    int count_ = 0;
};

}  // namespace

void CpuBackend::rotateAndStore(CpuState& s, int layer, int token) const {
    const PackedLayer& w = packed_.layers[static_cast<std::size_t>(layer)];
    const LayerSpec& l = spec_.layers[static_cast<std::size_t>(layer)];
    const auto headDim = static_cast<std::size_t>(spec_.headDim);
    const std::size_t half = headDim / 2;
    const std::size_t rope = ropeOf_[static_cast<std::size_t>(layer)];
    const auto t = static_cast<std::size_t>(token);
    const auto prepare = [&](float* vector, int heads, std::span<const float> norm) {
        if (spec_.qkNorm == QkNorm::FullWidth)
            normalize(norm, {}, vector, vector, heads * spec_.headDim);
        for (int h = 0; h < heads; ++h, vector += headDim) {
            if (spec_.qkNorm == QkNorm::PerHead) normalize(norm, {}, vector, vector, spec_.headDim);
            if (spec_.position != PositionKind::Rope) continue;
            rotateHead(l.rope.pairing, {vector, headDim}, {s.cosines[rope] + t * half, half},
                       {s.sines[rope] + t * half, half});
        }
    };
    const std::size_t kvWidth = static_cast<std::size_t>(spec_.nKvHead) * headDim;
    prepare(s.queries + t * static_cast<std::size_t>(spec_.nHead) * headDim, spec_.nHead, w.qNorm);
    prepare(s.keys + t * kvWidth, spec_.nKvHead, w.kNorm);

    const auto& cache = static_cast<const CpuCache&>(s.places.cacheOf(token));
    const CpuCache::Layer& kept = cache.layer(layer);
    const int row = cache.row(kept, s.places.positions[t]);
    for (int h = 0; h < spec_.nKvHead; ++h) {
        const std::size_t at = t * kvWidth + static_cast<std::size_t>(h) * headDim;
        float* key = cache.key(kept, h, row);
        for (std::size_t d = 0; d < headDim; ++d) key[16 * d] = s.keys[at + d];
        std::copy_n(s.values + at, headDim, cache.value(kept, h, row));
    }
}

/// Which queries are attended together: decided once for all layers of the step.
void CpuBackend::planAttention(CpuState& s) const {
    const int group = spec_.nHead / spec_.nKvHead;
    s.queryBlocks.clear();
    // Late tokens see most keys: they go first, so that none is left over at the end.
    for (std::size_t r = s.places.runs.size(); r-- > 0;) {
        const int first = s.places.firsts[r];
        const int tokens = s.places.runs[r].tokens;
        if (tokens > kVectorTokens) {
            for (int t = (tokens - 1) / kQueryBlock * kQueryBlock; t >= 0; t -= kQueryBlock)
                for (int h = 0; h < spec_.nHead; ++h)
                    s.queryBlocks.push_back({first + t, std::min(kQueryBlock, tokens - t), h, 1});
            continue;
        }
        for (int t = tokens - 1; t >= 0; --t)
            for (int h = 0; h < spec_.nHead; h += group)
                for (int part = 0; part < group; part += kQueryBlock)
                    s.queryBlocks.push_back(
                        {first + t, 1, h + part, std::min(kQueryBlock, group - part)});
    }
}

void CpuBackend::attendBlock(CpuState& s, int layer, int thread, const QueryBlock& block) const {
    const int window = spec_.layers[static_cast<std::size_t>(layer)].window;
    const std::vector<float>& sinks = packed_.layers[static_cast<std::size_t>(layer)].sinks;
    ThreadScratch& scratch = s.scratch[static_cast<std::size_t>(thread)];
    const std::int64_t stride = s.shape.scoreStride;
    const int headDim = spec_.headDim;
    const int headWidth = s.shape.headWidth;
    const std::int64_t kvHead = block.head / (spec_.nHead / spec_.nKvHead);
    const bool manyTokens = block.tokens > 1;
    const int nq = block.tokens * block.heads;
    const std::int64_t queryWidth = std::int64_t{spec_.nHead} * headDim;
    const float* q = s.queries + block.token * queryWidth + std::int64_t{block.head} * headDim;
    const int begin = s.places.positions[static_cast<std::size_t>(block.token)];
    const Segments segments(static_cast<const CpuCache&>(s.places.cacheOf(block.token)), layer,
                            firstVisible(begin, window), begin + block.tokens - 1);
    for (const Segment& seg : segments) {
        const CpuCache::Layer& kept = seg.cache->layer(layer);
        kernels_.scores(q, nq, manyTokens ? queryWidth : headDim,
                        seg.cache->key(kept, kvHead, 16 * seg.firstGroup()), seg.groups(), headDim,
                        headWidth, spec_.scale(), scratch.scores + seg.buffer, stride);
    }
    const std::int64_t length = segments.scores();
    float inverse[kQueryBlock];
    for (int i = 0; i < nq; ++i) {
        float* p = scratch.scores + i * stride;
        const int position = begin + (manyTokens ? i : 0);
        const std::int64_t from = firstVisible(position, window);
        // Outside of what this query sees: minus infinity before the softmax, zero after it.
        const auto fillHidden = [&](float value) {
            for (const Segment& seg : segments) {
                const std::int64_t end = seg.firstPosition + seg.endRow - seg.firstRow;
                const std::int64_t a = std::clamp<std::int64_t>(from, seg.firstPosition, end);
                const std::int64_t b = std::clamp<std::int64_t>(position + 1, a, end);
                std::fill(p + seg.buffer, p + seg.at(a), value);
                std::fill(p + seg.at(b), p + seg.bufferEnd(), value);
            }
        };
        fillHidden(-std::numeric_limits<float>::infinity());
        const float sink = spec_.sinks
                               ? sinks[static_cast<std::size_t>(block.head + (manyTokens ? 0 : i))]
                               : -std::numeric_limits<float>::infinity();
        const float largest = std::max(sink, kernels_.maxOf(p, length));
        const float sum = kernels_.expSum(p, length, largest);
        fillHidden(0.0F);
        inverse[i] = 1.0F / (sum + (spec_.sinks ? std::exp(sink - largest) : 0.0F));
    }
    std::fill_n(scratch.attended, nq * headWidth, 0.0F);
    for (const Segment& seg : segments) {
        kernels_.weightedSum(scratch.scores + seg.at(seg.firstPosition), nq, stride,
                             seg.cache->value(seg.cache->layer(layer), kvHead, seg.firstRow),
                             seg.endRow - seg.firstRow, headWidth, scratch.attended, headWidth);
    }
    for (int i = 0; i < nq; ++i) {
        float* to = s.attended.values(block.token + (manyTokens ? i : 0)) +
                    (block.head + (manyTokens ? 0 : i)) * headDim;
        for (int d = 0; d < headDim; ++d) to[d] = scratch.attended[i * headWidth + d] * inverse[i];
    }
}

OpWork CpuBackend::attention(BackendState& state, int layer) const {
    CpuState& s = own(state);
    const auto total = static_cast<std::int64_t>(s.queryBlocks.size());
    // Several to an item, but few enough that the short ones at the end even out what is left.
    const std::int64_t run =
        std::max<std::int64_t>(1, total / (16 * kItemsPerThread * pool_.size()));
    pool_.parallelFor((total + run - 1) / run, [&](std::int64_t item, int thread) {
        for (std::int64_t i = item * run; i < std::min(total, (item + 1) * run); ++i)
            attendBlock(s, layer, thread, s.queryBlocks[static_cast<std::size_t>(i)]);
    });
    return finish(attentionWork(spec_, spec_.layers[static_cast<std::size_t>(layer)], stepShape(s)),
                  "attention_f32");
}

}  // namespace moescope::cpu
