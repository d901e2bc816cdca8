// SPDX-License-Identifier: Apache-2.0
// Mutable data on the device: caches of sequences, activations of a step, recorded graphs.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/decode.h"
#include "engine/backend/cuda/device_memory.h"
#include "engine/backend/cuda/device_model.h"
#include "engine/backend/cuda/prefill.h"

namespace moescope::cuda {

/// Blocks that share out a long context, of each head group and token.
inline constexpr int kAttentionSplits = 16;
/// Tokens that decodeGreedy chooses between two looks of the host.
inline constexpr int kGreedyBurst = 256;

struct LayerCache {
    std::int32_t rows = 0;
    std::uint16_t* keys = nullptr;  // (rows, n_kv_head * head_dim) half, position p in row p % rows
    std::uint16_t* values = nullptr;  // the same
};

/// A prefix is copied: at 49 KB a token of gpt-oss-20b that takes microseconds, where a second
/// source of keys would cost every attention kernel.
class CudaCache final : public KvCache {
public:
    /// Throws Error when the device has not the memory.
    CudaCache(const ModelSpec& spec, const CacheShape& shape);

    std::vector<LayerCache> layers;  // (n_layer)
    const std::uint64_t serial;      ///< no two caches of the process share one

private:
    DeviceArena arena_;
};

/// Where everything lies that a session has on the device and in page-locked host memory.
struct StateBuffers {
    std::int32_t* ids = nullptr;       // (max_batch)
    StepPlace* place = nullptr;        // (1)
    float2* angles = nullptr;          // (n_ropes, max_batch, head_dim / 2)
    float* hidden = nullptr;           // (max_batch, d_model)
    float* branch = nullptr;           // (max_batch, d_model)
    float* qkv = nullptr;              // (max_batch, (n_head + 2 n_kv_head) * head_dim)
    float* routerLogits = nullptr;     // (max_batch, n_expert)
    std::int32_t* experts = nullptr;   // (n_layer, max_batch, top_k)
    float* gateWeights = nullptr;      // (n_layer, max_batch, top_k)
    std::int32_t* distinct = nullptr;  // see RouterChoice
    RouterChoice everyToken;           ///< of a dense MLP: expert 0 with weight 1, max_batch times
    float* logits = nullptr;           // (logit_rows, vocab)
    std::int32_t logitRows = 0;

    // Few tokens
    PairRows normed, attended, inner;
    float* attentionParts = nullptr;
    unsigned* counters = nullptr;  // (n_counters): attention's and the sampler's
    std::uint64_t nCounters = 0;
    float2* sampleParts = nullptr;      // (kSampleBlocks)
    std::int32_t* generated = nullptr;  // (kGreedyBurst)

    // Many tokens
    std::uint16_t* rowsHigh = nullptr;  // (max_batch, row_stride): what is multiplied next
    std::uint16_t* rowsLow = nullptr;
    std::int32_t rowStride = 0;
    std::uint16_t* innerHigh = nullptr;  // (max_batch * top_k, inner.stride)
    std::uint16_t* innerLow = nullptr;
    float* products = nullptr;  // (max_batch * top_k, d_model)
    ExpertGroups groups;

    // Host
    std::int32_t* hostIds = nullptr;        // (max_batch)
    StepPlace* hostPlace = nullptr;         // (1)
    std::int32_t* hostExperts = nullptr;    // (n_layer, max_batch, top_k)
    float* hostWeights = nullptr;           // the same
    float* hostLogits = nullptr;            // (logit_rows, vocab)
    std::int32_t* hostGenerated = nullptr;  // (kGreedyBurst)
};

/// What decides the sizes of a session's buffers.
struct StateShape {
    const ModelSpec& spec;
    const DeviceModel& model;
    int ropes, maxContext, maxBatch;

    std::uint64_t deviceBytes() const;
    std::uint64_t hostBytes() const;
};

class CudaState final : public BackendState, public StateBuffers {
public:
    /// Throws Error when the device has not the memory.
    explicit CudaState(const StateShape& shape);

    int maxContext = 0;
    int maxBatch = 0;
    int tokens = 0;      ///< of the current step
    StepRun run;         ///< the same
    int lastRouted = 0;  ///< layer of the latest route()
    bool timed = false;
    LaunchSink* launches = nullptr;  ///< null: nobody counts launches
    mutable std::vector<float> hostHidden;

    Stream stream;
    Event sent;                    ///< ids and place have left the host's buffer
    Graph step;                    ///< one token: embedding to logits
    Graph greedy;                  ///< the same, and the choice of the next
    std::uint64_t graphsOf = 0;    ///< serial of the cache that both were recorded with
    std::uint64_t stepNumber = 0;  ///< of `step`, for the LaunchSink

    const CudaCache& cache() const noexcept { return static_cast<const CudaCache&>(*run.cache); }

private:
    DeviceArena arena_;
    PinnedBuffer host_;
};

}  // namespace moescope::cuda
