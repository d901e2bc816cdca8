// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cpu/cpu_cache.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "engine/backend/kv_layout.h"

namespace moescope::cpu {
namespace {

/// A mapping of its own, in pages of 2 MiB, from here on. Smaller blocks come from the heap, where
/// what lives longer settles between those of this size: with 8 MiB here the heap grew by 2 MB with
/// each of 1,200 replies, and they took a quarter longer.
constexpr std::uint64_t kOwnMapping = std::uint64_t{1} << 20;

int baseOf(const CacheShape& shape) {
    return shape.prefix ? shape.prefixTokens / 16 * 16 : 0;
}

int ringRows(int window, int maxContext, int maxRun) {
    const int rows = kvRows(window, maxContext, maxRun);
    return rows == maxContext ? rows : std::min(maxContext, roundUp16(rows));
}

/// Floats of the keys, or of the values, of one layer.
std::uint64_t floatsOf(const ModelSpec& spec, int paddedRows) {
    return static_cast<std::uint64_t>(spec.nKvHead) * static_cast<std::uint64_t>(paddedRows) *
           static_cast<std::uint64_t>(roundUp16(spec.headDim));
}

}  // namespace

void CpuCache::Free::operator()(float* p) const noexcept {
    operator delete[](p, std::align_val_t{Arena::kAlignment});
}

std::uint64_t CpuCache::bytes(const ModelSpec& spec, const CacheShape& shape) {
    std::uint64_t floats = 0;
    for (const LayerSpec& layer : spec.layers) {
        const int rows = ringRows(layer.window, shape.maxContext - baseOf(shape), shape.maxRun);
        floats += 2 * floatsOf(spec, roundUp16(rows));
    }
    return floats * sizeof(float);  // each part is a multiple of 16 floats: aligned
}

CpuCache::CpuCache(const ModelSpec& spec, const CacheShape& shape)
    : headWidth_(roundUp16(spec.headDim)),
      first_(shape.prefix ? shape.prefixTokens : 0),
      base_(baseOf(shape)),
      prefix_(std::static_pointer_cast<const CpuCache>(shape.prefix)) {
    assert(shape.maxContext > first_ && shape.maxRun > 0);
    if (prefix_) lineage_ = prefix_->lineage_ + 1;
    assert(lineage_ <= kMaxLineage);
    const std::uint64_t total = bytes(spec, shape);
    float* at = nullptr;
    if (total >= kOwnMapping) {
        arena_ = Arena(total);
        at = reinterpret_cast<float*>(arena_.take(total));
    } else {
        memory_.reset(
            static_cast<float*>(operator new[](total, std::align_val_t{Arena::kAlignment})));
        at = memory_.get();
    }
    for (const LayerSpec& l : spec.layers) {
        Layer& layer = layers_.emplace_back();
        layer.rows = ringRows(l.window, shape.maxContext - base_, shape.maxRun);
        layer.paddedRows = roundUp16(layer.rows);
        for (float** part : {&layer.keys, &layer.values}) {
            *part = at;
            at += floatsOf(spec, layer.paddedRows);
        }
    }
}

}  // namespace moescope::cpu
