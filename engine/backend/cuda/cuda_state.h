// SPDX-License-Identifier: Apache-2.0
// Mutable data on the device: caches of sequences, activations of a step, recorded graphs.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/decode.h"
#include "engine/backend/cuda/device_memory.h"
#include "engine/backend/cuda/device_model.h"
#include "engine/backend/cuda/prefill.h"
#include "engine/backend/step_places.h"

namespace moescope::cuda {

/// Sequences that one step can serve: each takes its part of a table that is sent with every step.
inline constexpr int kMaxRuns = 256;
/// Tokens that decodeGreedy chooses between two looks of the host.
inline constexpr int kGreedyBurst = 256;
/// Questions about logits that go to the device together.
inline constexpr int kQuestions = 1024;

/// A prefix is copied, layer by layer, in the first step of the sequence that begins with it, when
/// the keys of that step are stored: the prefix may be in the same step. Of gpt-oss-20b, of whose
/// layers half have windows, 1,000 tokens are 25 MB to read and to write, 16 us of an H100's memory
/// bandwidth, once; and 49 MB of its room. Reading them where they are would save both, and have
/// every attention kernel look up every key's source in every step.
class CudaCache final : public KvCache {
public:
    /// Has its memory from `pool` and gives it back. Throws Error when the device has not as much.
    CudaCache(const ModelSpec& spec, const CacheShape& shape, std::shared_ptr<ArenaPool> pool);
    ~CudaCache() override { pool_->give(std::move(arena_)); }
    CudaCache(const CudaCache&) = delete;
    CudaCache& operator=(const CudaCache&) = delete;
    static std::uint64_t bytes(const ModelSpec& spec, const CacheShape& shape);

    std::vector<LayerCache> layers;           // (n_layer)
    const std::uint64_t serial;               ///< no two caches of the process share one
    std::shared_ptr<const CudaCache> prefix;  ///< null: there is none, or all of it is here
    int prefixTokens = 0;

private:
    std::shared_ptr<ArenaPool> pool_;
    DeviceArena arena_;
};

/// Positions [first, end) that `to` has in common with `from`; end is where its own tokens begin or
/// those of a cache between the two.
struct PrefixCopy {
    const CudaCache* from = nullptr;
    CudaCache* to = nullptr;
    int first = 0, end = 0;
};

/// Where everything lies that a session has on the device and in page-locked host memory.
struct StateBuffers {
    std::int32_t* ids = nullptr;         // (max_batch)
    TokenPlace* devicePlaces = nullptr;  // (max_batch)
    LayerCache* caches = nullptr;        // (n_layer, n_runs) of the step, unless there is one run
    float2* angles = nullptr;            // (n_ropes, max_batch, head_dim / 2)
    float* hidden = nullptr;             // (max_batch, d_model)
    float* branch = nullptr;             // (max_batch, d_model)
    float* qkv = nullptr;                // (max_batch, (n_head + 2 n_kv_head) * head_dim)
    float* routerLogits = nullptr;       // (max_batch, n_expert)
    std::int32_t* experts = nullptr;     // (n_layer, max_batch, top_k)
    float* gateWeights = nullptr;        // (n_layer, max_batch, top_k)
    RouterChoice everyToken;  ///< of a dense MLP: expert 0 with weight 1, max_batch times
    float* logits = nullptr;  // (logit_rows, vocab)
    std::int32_t logitRows = 0;
    std::int32_t hostLogitRows = 0;      ///< at most logitRows
    std::int32_t* rows = nullptr;        // (max_batch): those whose logits are asked for
    TokenRule* rules = nullptr;          // (logit_rows): how their next tokens are chosen
    TokenChoice* chosen = nullptr;       // (max(logit_rows, kGreedyBurst))
    uint4* choiceParts = nullptr;        // (choiceParts(logit_rows))
    unsigned* choiceCounters = nullptr;  // (logit_rows)
    TokenQuestion* questions = nullptr;  // (kQuestions)
    TokenAnswer* answers = nullptr;      // (kQuestions)

    // Few tokens
    PairRows normed, attended, inner;
    float* attentionParts = nullptr;
    unsigned* counters = nullptr;  // (n_counters)
    std::uint64_t nCounters = 0;

    // Many tokens
    std::uint16_t* rowsHigh = nullptr;  // (max_batch, row_stride): what is multiplied next
    std::uint16_t* rowsLow = nullptr;
    std::int32_t rowStride = 0;
    std::uint16_t* innerHigh = nullptr;  // (max_batch * top_k, inner.stride)
    std::uint16_t* innerLow = nullptr;
    float* products = nullptr;  // (max_batch * top_k, d_model)
    ExpertGroups groups;

    // Host
    std::int32_t* hostIds = nullptr;         // (max_batch)
    std::int32_t* hostRows = nullptr;        // (max_batch)
    TokenPlace* hostPlaces = nullptr;        // (max_batch)
    LayerCache* hostCaches = nullptr;        // (n_layer, n_runs)
    std::int32_t* hostExperts = nullptr;     // (n_layer, max_batch, top_k)
    float* hostWeights = nullptr;            // the same
    float* hostLogits = nullptr;             // (host_logit_rows, vocab)
    TokenQuestion* hostQuestions = nullptr;  // (kQuestions)
    TokenAnswer* hostAnswers = nullptr;      // (kQuestions)
    TokenRule* hostRules = nullptr;          // (logit_rows)
    TokenChoice* hostChosen = nullptr;       // (max(logit_rows, kGreedyBurst))
};

/// What decides the sizes of a session's buffers.
struct StateShape {
    const ModelSpec& spec;
    const DeviceModel& model;
    int ropes, maxContext, maxBatch;

    std::uint64_t deviceBytes() const;
    std::uint64_t hostBytes() const;
};

/// The step of one token as a graph.
struct RecordedToken {
    Graph graph;
    std::uint64_t number = 0;  ///< for the LaunchSink
};

class CudaState final : public BackendState, public StateBuffers {
public:
    /// Throws Error when the device has not the memory.
    explicit CudaState(const StateShape& shape);
    /// Waits: an exception may have left a step whose copies are still under way.
    ~CudaState() override { stream.settle(); }
    CudaState(const CudaState&) = delete;
    CudaState& operator=(const CudaState&) = delete;

    int maxContext = 0;
    int maxBatch = 0;
    StepPlaces places;               ///< of the current step
    int shortRuns = 0;               ///< runs of few tokens that it begins with
    std::vector<PrefixCopy> copies;  ///< that its layers have to make
    bool copied = false;             ///< the latest layer had any of them
    bool chooses = false;            ///< a token that is run as a whole chooses the next one
    int lastRouted = 0;              ///< layer of the latest route()
    bool timed = false;
    LaunchSink* launches = nullptr;  ///< null: nobody counts launches
    mutable std::vector<float> hostHidden;

    Stream stream;
    Event sent;                  ///< ids, places and caches have left the host's buffers
    RecordedToken step;          ///< embedding to logits
    RecordedToken choosing;      ///< the same, and the choice of the next, which it goes on with
    std::uint64_t graphsOf = 0;  ///< serial of the cache that both were recorded with

    int tokens() const noexcept { return places.tokens(); }
    int runs() const noexcept { return static_cast<int>(places.runs.size()); }
    CudaCache& cache(int run) const noexcept {
        return static_cast<CudaCache&>(*places.runs[static_cast<std::size_t>(run)].cache);
    }

private:
    DeviceArena arena_;
    PinnedBuffer host_;
};

}  // namespace moescope::cuda
