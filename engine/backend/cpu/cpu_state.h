// SPDX-License-Identifier: Apache-2.0
// Activations of the current step and scratch of each thread, in one arena whose size is known
// beforehand (stateBytes).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/cpu/cpu_cache.h"
#include "engine/backend/cpu/kernel_table.h"
#include "engine/backend/step_places.h"
#include "engine/core/arena.h"

namespace moescope::cpu {

/// Tokens one matMul call takes; bounds the per-thread output tile.
inline constexpr int kCallTokens = 256;
/// Queries that share one pass over keys and values.
inline constexpr int kQueryBlock = 8;

/// Rows of prepared activations, `layout.bytes` apart.
struct ActivationRows {
    ActivationLayout layout;
    std::byte* base = nullptr;

    std::byte* row(std::int64_t i) const noexcept {
        return base + i * static_cast<std::int64_t>(layout.bytes);
    }
    float* values(std::int64_t i) const noexcept {
        return reinterpret_cast<float*>(row(i));
    }  ///< (cols) f32
};

/// Which rows matrices of BF16 multiply, in any layer: those are kept as two bf16 too.
struct SplitRows {
    explicit SplitRows(const ModelWeights& weights) noexcept;
    bool normed = false, attended = false, inner = false;
};

struct ThreadScratch {
    std::byte* panel = nullptr;           ///< kPanelBytes
    float* tile[2] = {nullptr, nullptr};  ///< (kCallTokens, 32) each
    const std::byte** rows = nullptr;     ///< (kCallTokens)
    float* scores = nullptr;              ///< (kQueryBlock, scoreStride)
    float* attended = nullptr;            ///< (kQueryBlock, head_width)
};

/// Tokens that share one set of weights in the feed-forward: those routed to one expert, or all.
struct FeedForwardJob {
    std::int32_t expert = 0;
    std::vector<std::int32_t> tokens;  ///< index within the step
    std::vector<std::int32_t> slots;   ///< row of CpuState::inner and branch
};

/// Jobs of one layer, kept between steps so that decoding allocates nothing.
class FeedForwardJobs {
public:
    void clear() noexcept { count_ = 0; }
    FeedForwardJob& add(std::int32_t expert) {
        if (count_ == jobs_.size()) jobs_.emplace_back();
        FeedForwardJob& job = jobs_[count_++];
        job.expert = expert;
        job.tokens.clear();
        job.slots.clear();
        return job;
    }
    std::span<FeedForwardJob> all() noexcept { return std::span(jobs_).first(count_); }
    std::vector<std::int32_t> jobOfExpert;  ///< (n_expert) index into all(), or -1

private:
    std::vector<FeedForwardJob> jobs_;
    std::size_t count_ = 0;
};

/// Queries that are attended together: `tokens` tokens of one head, or `heads` heads (of one key
/// head) of one token. All are of one run and share one pass over the union of their keys.
struct QueryBlock {
    std::int32_t token = 0;
    std::int32_t tokens = 1;
    std::int32_t head = 0;
    std::int32_t heads = 1;
};

/// Sizes that do not depend on the step. Everything else follows from them.
struct StateShape {
    StateShape(const ModelSpec& spec, SplitRows split, int threads, int maxContext, int maxBatch);

    SplitRows split;
    int maxContext, maxBatch, threads;
    int headWidth;  ///< head_dim rounded up to 16
    int maxFfn = 0;
    std::int64_t slots;  ///< maxBatch * max(1, top_k)
    std::int64_t scoreStride = 0;
};

class CpuState final : public BackendState {
public:
    /// `ropes`: distinct rope tables of the model.
    CpuState(const ModelSpec& spec, SplitRows split, int threads, int maxContext, int maxBatch,
             int ropes);
    static std::uint64_t bytes(const ModelSpec& spec, SplitRows split, int threads, int maxContext,
                               int maxBatch, int ropes);

    StateShape shape;
    int tokens = 0;  ///< of the current step
    StepPlaces places;
    std::vector<QueryBlock> queryBlocks;  ///< the attention of every layer, longest first
    float* hidden = nullptr;              ///< (max_batch, d_model)
    /// (slots, d_model): output of attention or of an expert, before it is added to the residual
    float* branch = nullptr;
    ActivationRows normed;               ///< (max_batch) rows of d_model
    float* queries = nullptr;            ///< (max_batch, n_head * head_dim), then 16 spare
    float* keys = nullptr;               ///< (max_batch, n_kv_head * head_dim)
    float* values = nullptr;             ///< (max_batch, n_kv_head * head_dim)
    ActivationRows attended;             ///< (max_batch) rows of n_head * head_dim
    ActivationRows inner;                ///< (slots) rows of the widest intermediate
    float* routerLogits = nullptr;       ///< (max_batch, n_expert)
    std::int32_t* experts = nullptr;     ///< (max_batch, top_k)
    float* gateWeights = nullptr;        ///< (max_batch, top_k)
    std::vector<float*> cosines, sines;  ///< per rope table: (max_batch, head_dim / 2)
    std::vector<ThreadScratch> scratch;
    FeedForwardJobs jobs;

private:
    explicit CpuState(const StateShape& s) : shape(s) {}  ///< without memory, for counting
    /// Runs over every buffer: counts when the arena is empty, hands out memory otherwise.
    std::uint64_t place(const ModelSpec& spec, int ropes, Arena* arena);
    Arena arena_;
};

}  // namespace moescope::cpu
