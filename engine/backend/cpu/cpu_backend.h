// SPDX-License-Identifier: Apache-2.0
// The fast CPU back end: packed weights, one kernel table, few large phases per layer.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/cpu_state.h"
#include "engine/backend/cpu/packed_model.h"
#include "engine/backend/work.h"
#include "engine/core/thread_pool.h"

namespace moescope::cpu {

/// Of one target: [format][matrix times vector]. Traces keep views of them, so they live for ever.
using KernelNames = std::array<std::array<std::string, 2>, kPackedFormats>;

class CpuBackend final : public Backend {
public:
    CpuBackend(const BoundModel& model, const Checkpoint& checkpoint, const CpuOptions& options,
               const StopFlag* stop);

    std::string_view name() const noexcept override { return "cpu"; }
    std::string description() const override;
    Mxfp4Edges mxfp4Edges() const noexcept override { return packed_.mxfp4Edges(); }
    int threads() const noexcept override { return pool_.size(); }
    const ModelSpec& spec() const noexcept override { return spec_; }
    int maxRuns() const noexcept override { return std::numeric_limits<int>::max(); }
    int maxLineage() const noexcept override { return CpuCache::kMaxLineage; }
    std::uint64_t stateBytes(int maxContext, int maxBatch) const override;
    std::uint64_t cacheBytes(const CacheShape& shape) const override;
    std::unique_ptr<BackendState> newState(int maxContext, int maxBatch) const override;
    std::shared_ptr<KvCache> newCache(const CacheShape& shape) const override;

    OpWork embed(BackendState& s, std::span<const TokenId> tokens,
                 std::span<const StepRun> runs) const override;
    OpWork attentionInput(BackendState& s, int layer) const override;
    OpWork attention(BackendState& s, int layer) const override;
    OpWork attentionOutput(BackendState& s, int layer) const override;
    OpWork route(BackendState& s, int layer) const override;
    RoutingView routing(const BackendState& s) const override;
    OpWork feedForward(BackendState& s, int layer) const override;
    OpWork head(BackendState& s, std::span<const std::int32_t> rows,
                std::span<float> logits) const override;
    std::span<const float> hidden(const BackendState& s) const override;
    void parallelFor(int n, const std::function<void(int)>& f) const override;

private:
    struct Product;

    /// "mxfp4_gemv_avx512_bf16", static storage.
    std::string_view kernelName(PackedFormat format, bool vector) const noexcept {
        return names_[static_cast<std::size_t>(format)][vector ? 1 : 0];
    }
    OpWork finish(OpWork work, std::string_view kernel) const noexcept;
    StepShape stepShape(const CpuState& s) const noexcept;
    /// f(token, thread) for every token of [0, n): in parallel where that pays.
    template <typename F>
    void forTokens(int n, const F& f) const;
    /// Epilogue(product, first row, rows, token, values): values (rows) f32 of one token.
    template <typename Epilogue>
    void multiply(CpuState& s, std::span<const Product> products, const ActivationRows& in, int n,
                  const Epilogue& epilogue) const;
    void normalize(std::span<const float> weight, std::span<const float> bias, const float* in,
                   float* out, int width) const;
    void prepareNormed(CpuState& s, std::span<const float> weight,
                       std::span<const float> bias) const;
    /// hidden += change(token), a row of d_model that may be overwritten, for every token.
    template <typename F>
    void addResidual(CpuState& s, std::span<const float> postNorm, const F& change) const;
    void rotateAndStore(CpuState& s, int layer, int token) const;
    void planAttention(CpuState& s) const;
    void attendBlock(CpuState& s, int layer, int thread, const QueryBlock& block) const;
    std::span<const FeedForwardJob> jobsOf(CpuState& s, int layer) const;
    /// f(job, tile, thread) for every tile of every job, in parallel.
    template <typename F>
    void forJobTiles(std::span<const FeedForwardJob> jobs, std::int64_t tiles, const F& f) const;
    void expandTile(CpuState& s, int layer, const FeedForwardJob& job, std::int64_t tile,
                    int thread) const;
    void contractTile(CpuState& s, int layer, const FeedForwardJob& job, std::int64_t tile,
                      int thread) const;
    float* sumOfExperts(CpuState& s, std::int64_t token) const;
    /// Tile times the given rows into out (n, 32) f32; picks matVec or matMul.
    void tileProduct(const PackedMatrix& w, std::int64_t tile, const ActivationLayout& layout,
                     const std::byte* const* rows, int n, std::byte* panel, float* out) const;

    ModelSpec spec_;
    ModelWeights weights_;  // shapes for work counts; only the embedding's data is still read
    Numerics numerics_;
    const Kernels& kernels_;
    const KernelNames& names_;
    mutable ThreadPool pool_;
    PackedModel packed_;
    std::vector<RopeTable> ropes_;     // distinct
    std::vector<std::size_t> ropeOf_;  // (n_layer) index into ropes_
};

}  // namespace moescope::cpu
