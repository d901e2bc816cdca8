// SPDX-License-Identifier: Apache-2.0
// Keys and values of one sequence, float32. A prefix stays where it is and is read there, so that
// any number of sequences go on from one beginning at no cost.
//
// Keys of 16 rows are interleaved, (kv_head, rows / 16, head_width, 16), so that scores need no
// horizontal sums; values are (kv_head, rows, head_width). head_width is head_dim rounded up to 16,
// rows likewise.
//
// Sums over positions have one order whatever the batch (docs/cpu.md): a position has the vector
// lane `position % 16` in every cache, so the first row stands for a multiple of 16, and a ring
// that wraps does so at one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/arena.h"

namespace moescope::cpu {

constexpr int roundUp16(int n) noexcept {
    return (n + 15) / 16 * 16;
}

class CpuCache final : public KvCache {
public:
    struct Layer {
        std::int32_t rows = 0;        ///< ring size, see kv_layout.h
        std::int32_t paddedRows = 0;  ///< rows rounded up to 16
        float* keys = nullptr;
        float* values = nullptr;
    };
    /// Caches that begin with each other, the last included; bounds the pieces of a query's keys.
    static constexpr int kMaxLineage = 8;
    /// Stretches of rows without wrap that a query's keys may lie in.
    static constexpr int kMaxSegments = 2 * kMaxLineage;

    CpuCache(const ModelSpec& spec, const CacheShape& shape);
    static std::uint64_t bytes(const ModelSpec& spec, const CacheShape& shape);

    int firstPosition() const noexcept { return first_; }  ///< those before are in prefix()
    const CpuCache* prefix() const noexcept { return prefix_.get(); }
    const Layer& layer(int i) const noexcept { return layers_[static_cast<std::size_t>(i)]; }

    /// Row of `position`, which is not before firstPosition().
    int row(const Layer& layer, int position) const noexcept {
        return (position - base_) % layer.rows;
    }
    /// Addresses of one row of one head; element d of a key is at [16 * d].
    float* key(const Layer& layer, std::int64_t kvHead, std::int64_t row) const noexcept {
        return layer.keys + ((kvHead * layer.paddedRows + row) / 16 * headWidth_) * 16 + row % 16;
    }
    float* value(const Layer& layer, std::int64_t kvHead, std::int64_t row) const noexcept {
        return layer.values + (kvHead * layer.paddedRows + row) * headWidth_;
    }

private:
    struct Free {
        void operator()(float* p) const noexcept;
    };

    int headWidth_;
    int first_;
    int base_;  ///< position of row 0 of a ring that has not wrapped: first_ rounded down to 16
    int lineage_ = 1;
    std::vector<Layer> layers_;  // (n_layer)
    std::shared_ptr<const CpuCache> prefix_;
    Arena arena_;                            ///< large ones, in huge pages
    std::unique_ptr<float[], Free> memory_;  ///< small ones, which come and go by the thousand
};

}  // namespace moescope::cpu
