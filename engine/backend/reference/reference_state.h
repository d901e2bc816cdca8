// SPDX-License-Identifier: Apache-2.0
// Mutable data of one session on the reference back end.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend/backend.h"

namespace moescope {

/// Keys and values of one layer: (rows, n_kv_head * head_dim) f32 each, position p in row p % rows.
struct ReferenceCache {
    int rows = 0;
    std::vector<float> keys;
    std::vector<float> values;
};

struct ReferenceState final : BackendState {
    int maxContext = 0;
    int maxBatch = 0;
    int tokens = 0;                      ///< of the current step
    int position = 0;                    ///< of its first token
    std::vector<ReferenceCache> caches;  // (n_layer)

    std::vector<float> hidden;          // (max_batch, d_model)
    std::vector<float> normed;          // (max_batch, d_model), input of the current projection
    std::vector<float> queries;         // (max_batch, n_head * head_dim)
    std::vector<float> keys;            // (max_batch, n_kv_head * head_dim)
    std::vector<float> values;          // (max_batch, n_kv_head * head_dim)
    std::vector<float> attended;        // (max_batch, n_head * head_dim)
    std::vector<float> update;          // (max_batch, d_model), what the residual will gain
    std::vector<float> routerLogits;    // (max_batch, n_expert)
    std::vector<std::int32_t> experts;  // (max_batch, top_k)
    std::vector<float> weights;         // (max_batch, top_k)
};

/// Rows of the ring caches that later steps overwrite.
struct ReferenceMark final : KvMark {
    struct Saved {
        int firstPosition = 0;
        std::vector<float> keys;    // (position - first_position, n_kv_head * head_dim)
        std::vector<float> values;  // the same
    };
    int position = 0;
    std::vector<Saved> rings;  // (n_layer), empty for full layers
};

}  // namespace moescope
