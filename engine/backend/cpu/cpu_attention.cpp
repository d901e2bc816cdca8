// SPDX-License-Identifier: Apache-2.0
// Rotation and cache writes, blocked attention over the ring cache, marks.
#include <algorithm>
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
const CpuState& own(const BackendState& s) {
    return static_cast<const CpuState&>(s);
}

/// Addresses of one row of one head in the interleaved key cache: element d is at [16 * d].
float* keyAt(const LayerCache& cache, int headWidth, std::int64_t kvHead, std::int64_t row) {
    return cache.keys + ((kvHead * cache.paddedRows + row) / 16 * headWidth) * 16 + row % 16;
}

float* valueAt(const LayerCache& cache, int headWidth, std::int64_t kvHead, std::int64_t row) {
    return cache.values + (kvHead * cache.paddedRows + row) * headWidth;
}

/// A stretch of cache rows without wrap, and where its scores lie.
struct Segment {
    std::int64_t firstRow = 0;
    std::int64_t endRow = 0;
    int firstPosition = 0;
    std::int64_t buffer = 0;  ///< offset of the scores of row 16 * firstGroup()

    std::int64_t firstGroup() const { return firstRow / 16; }
    std::int64_t groups() const { return (endRow + 15) / 16 - firstGroup(); }
    /// Offset of `position`'s score.
    std::int64_t at(std::int64_t position) const {
        return buffer + firstRow % 16 + position - firstPosition;
    }
};

/// Cache rows of positions [first, last]: one stretch, or two when the ring wraps.
int segmentsOf(const LayerCache& cache, int first, int last, Segment (&out)[2]) {
    const int row = kvRow(first, cache.rows);
    const int count = last - first + 1;
    const int head = std::min(count, cache.rows - row);
    out[0] = {row, row + head, first, 0};
    if (head == count) return 1;
    out[1] = {0, count - head, first + head, 16 * out[0].groups()};
    return 2;
}

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

    const LayerCache& cache = s.caches[static_cast<std::size_t>(layer)];
    const int row = kvRow(s.position + token, cache.rows);
    for (int h = 0; h < spec_.nKvHead; ++h) {
        const std::size_t at = t * kvWidth + static_cast<std::size_t>(h) * headDim;
        float* key = keyAt(cache, s.shape.headWidth, h, row);
        for (std::size_t d = 0; d < headDim; ++d) key[16 * d] = s.keys[at + d];
        std::copy_n(s.values + at, headDim, valueAt(cache, s.shape.headWidth, h, row));
    }
}

/// Queries of one block: either nTokens tokens of one head, or nHeads heads (of one key head) of
/// one token. All share one pass over the union of their keys.
void CpuBackend::attendBlock(CpuState& s, int layer, int thread, int token, int nTokens, int head,
                             int nHeads) const {
    const LayerCache& cache = s.caches[static_cast<std::size_t>(layer)];
    const int window = spec_.layers[static_cast<std::size_t>(layer)].window;
    const std::vector<float>& sinks = packed_.layers[static_cast<std::size_t>(layer)].sinks;
    ThreadScratch& scratch = s.scratch[static_cast<std::size_t>(thread)];
    const std::int64_t stride = s.shape.scoreStride;
    const int headDim = spec_.headDim;
    const int headWidth = s.shape.headWidth;
    const std::int64_t kvHead = head / (spec_.nHead / spec_.nKvHead);
    const int nq = nTokens * nHeads;
    const std::int64_t queryWidth = std::int64_t{spec_.nHead} * headDim;
    const float* q = s.queries + token * queryWidth + head * headDim;
    const int begin = s.position + token;
    Segment segments[2];
    const int count = segmentsOf(cache, firstVisible(begin, window), begin + nTokens - 1, segments);
    std::int64_t length = 0;
    for (int i = 0; i < count; ++i) {
        const Segment& seg = segments[i];
        kernels_.scores(q, nq, nTokens > 1 ? queryWidth : headDim,
                        keyAt(cache, headWidth, kvHead, 16 * seg.firstGroup()), seg.groups(),
                        headDim, headWidth, spec_.scale(), scratch.scores + seg.buffer, stride);
        length += 16 * seg.groups();
    }
    float inverse[kQueryBlock];
    for (int i = 0; i < nq; ++i) {
        float* p = scratch.scores + i * stride;
        const int position = begin + (nTokens > 1 ? i : 0);
        const std::int64_t from = firstVisible(position, window);
        // Outside of what this query sees: minus infinity before the softmax, zero after it.
        const auto fillHidden = [&](float value) {
            std::int64_t filled = 0;
            for (int j = 0; j < count; ++j) {
                const Segment& seg = segments[j];
                const std::int64_t end = seg.firstPosition + seg.endRow - seg.firstRow;
                const std::int64_t a = std::clamp<std::int64_t>(from, seg.firstPosition, end);
                const std::int64_t b = std::clamp<std::int64_t>(position + 1, a, end);
                std::fill(p + filled, p + seg.at(a), value);
                std::fill(p + seg.at(b), p + seg.buffer + 16 * seg.groups(), value);
                filled = seg.buffer + 16 * seg.groups();
            }
        };
        fillHidden(-std::numeric_limits<float>::infinity());
        const float sink = spec_.sinks
                               ? sinks[static_cast<std::size_t>(head + (nTokens > 1 ? 0 : i))]
                               : -std::numeric_limits<float>::infinity();
        const float largest = std::max(sink, kernels_.maxOf(p, length));
        const float sum = kernels_.expSum(p, length, largest);
        fillHidden(0.0F);
        inverse[i] = 1.0F / (sum + (spec_.sinks ? std::exp(sink - largest) : 0.0F));
    }
    std::fill_n(scratch.attended, nq * headWidth, 0.0F);
    for (int i = 0; i < count; ++i) {
        const Segment& seg = segments[i];
        kernels_.weightedSum(scratch.scores + seg.at(seg.firstPosition), nq, stride,
                             valueAt(cache, headWidth, kvHead, seg.firstRow),
                             seg.endRow - seg.firstRow, headWidth, scratch.attended, headWidth);
    }
    for (int i = 0; i < nq; ++i) {
        float* to = s.attended.values(token + (nTokens > 1 ? i : 0)) +
                    (head + (nTokens > 1 ? 0 : i)) * headDim;
        for (int d = 0; d < headDim; ++d) to[d] = scratch.attended[i * headWidth + d] * inverse[i];
    }
}

OpWork CpuBackend::attention(BackendState& state, int layer) const {
    CpuState& s = own(state);
    if (s.tokens > kVectorTokens) {
        const int blocks = (s.tokens + kQueryBlock - 1) / kQueryBlock;
        // Late blocks see most keys: they go first, so that none is left over at the end.
        pool_.parallelFor(std::int64_t{blocks} * spec_.nHead, [&](std::int64_t i, int thread) {
            const auto token = static_cast<int>(blocks - 1 - i / spec_.nHead) * kQueryBlock;
            attendBlock(s, layer, thread, token, std::min(kQueryBlock, s.tokens - token),
                        static_cast<int>(i % spec_.nHead), 1);
        });
    } else {
        const int group = spec_.nHead / spec_.nKvHead;
        const int parts = (group + kQueryBlock - 1) / kQueryBlock;
        pool_.parallelFor(
            std::int64_t{s.tokens} * spec_.nKvHead * parts, [&](std::int64_t i, int thread) {
                const auto part = static_cast<int>(i % parts);
                const auto kvHead = static_cast<int>(i / parts % spec_.nKvHead);
                attendBlock(s, layer, thread, static_cast<int>(i / parts / spec_.nKvHead), 1,
                            kvHead * group + part * kQueryBlock,
                            std::min(kQueryBlock, group - part * kQueryBlock));
            });
    }
    return finish(attentionWork(spec_, spec_.layers[static_cast<std::size_t>(layer)], stepShape(s)),
                  "attention_f32");
}

/// Keys and values of the ring layers, position by position from `first`.
class CpuBackend::RingMark final : public KvMark {
public:
    struct Saved {
        int first = 0;
        std::vector<float> keys, values;  // (positions, n_kv_head, head_dim)
    };
    int position = 0;
    std::vector<Saved> layers;
};

std::unique_ptr<KvMark> CpuBackend::mark(const BackendState& state, int position) const {
    const CpuState& s = own(state);
    auto mark = std::make_unique<RingMark>();
    mark->position = position;
    mark->layers.resize(s.caches.size());
    for (std::size_t i = 0; i < s.caches.size(); ++i) {
        if (spec_.layers[i].window == 0) continue;
        RingMark::Saved& saved = mark->layers[i];
        saved.first = firstVisible(position, spec_.layers[i].window);
        for (int p = saved.first; p < position; ++p) {
            const int row = kvRow(p, s.caches[i].rows);
            for (int h = 0; h < spec_.nKvHead; ++h) {
                const float* key = keyAt(s.caches[i], s.shape.headWidth, h, row);
                const float* value = valueAt(s.caches[i], s.shape.headWidth, h, row);
                for (int d = 0; d < spec_.headDim; ++d) saved.keys.push_back(key[16 * d]);
                saved.values.insert(saved.values.end(), value, value + spec_.headDim);
            }
        }
    }
    return mark;
}

void CpuBackend::rewind(BackendState& state, const KvMark& kept) const {
    CpuState& s = own(state);
    const auto& mark = static_cast<const RingMark&>(kept);
    for (std::size_t i = 0; i < s.caches.size(); ++i) {
        if (spec_.layers[i].window == 0) continue;
        const RingMark::Saved& saved = mark.layers[i];
        const float* key = saved.keys.data();
        const float* value = saved.values.data();
        for (int p = saved.first; p < mark.position; ++p) {
            const int row = kvRow(p, s.caches[i].rows);
            for (int h = 0; h < spec_.nKvHead; ++h, key += spec_.headDim, value += spec_.headDim) {
                float* to = keyAt(s.caches[i], s.shape.headWidth, h, row);
                for (int d = 0; d < spec_.headDim; ++d) to[16 * d] = key[d];
                std::copy_n(value, spec_.headDim, valueAt(s.caches[i], s.shape.headWidth, h, row));
            }
        }
    }
}

}  // namespace moescope::cpu
