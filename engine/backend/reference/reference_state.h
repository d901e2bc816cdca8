// SPDX-License-Identifier: Apache-2.0
// Mutable data of the reference back end.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend/step_places.h"

namespace moescope {

/// Keys and values of one sequence. Those of a prefix are copied, layer by layer, when the first
/// tokens behind it are written: the prefix may have got its own only in the same step.
struct ReferenceCache final : KvCache {
    /// (rows, n_kv_head * head_dim) f32 each, position p in row p % rows.
    struct Layer {
        int rows = 0;
        bool hasPrefix = false;
        std::vector<float> keys;
        std::vector<float> values;
    };
    std::vector<Layer> layers;  // (n_layer)
    std::shared_ptr<const KvCache> prefix;
    int prefixTokens = 0;
};

struct ReferenceState final : BackendState {
    int maxBatch = 0;
    StepPlaces places;  ///< of the current step

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

}  // namespace moescope
