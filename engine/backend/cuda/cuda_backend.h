// SPDX-License-Identifier: Apache-2.0
// The CUDA back end. A step of up to kDecodeTokens tokens, of however many sequences, goes through
// the kernels of decode.h, a longer one through those of prefill.h; attention is by run, as
// planAttention says. Operations only enqueue; what the host asks for waits.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/cuda_state.h"
#include "engine/backend/work.h"
#include "engine/core/thread_pool.h"

namespace moescope::cuda {

class CudaBackend final : public Backend {
public:
    CudaBackend(const BoundModel& model, const Checkpoint& checkpoint, const CudaOptions& options,
                const StopFlag* stop);

    std::string_view name() const noexcept override { return "cuda"; }
    std::string description() const override;
    int threads() const noexcept override { return 1; }
    const ModelSpec& spec() const noexcept override { return spec_; }
    Mxfp4Edges mxfp4Edges() const noexcept override { return model_->mxfp4Edges(); }
    /// A step of 2,048 gives each of 32 experts 256 tokens.
    int preferredBatch() const noexcept override { return 2048; }
    std::uint64_t stateBytes(int maxContext, int maxBatch) const override;
    std::uint64_t cacheBytes(const CacheShape&) const override { return 0; }
    std::uint64_t deviceCacheBytes(const CacheShape& shape) const override;
    int maxRuns() const noexcept override { return kMaxRuns; }
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
    int keptRows(const BackendState& s) const noexcept override;
    OpWork keepLogits(BackendState& s, std::span<const std::int32_t> rows) const override;
    OpWork choose(BackendState& s, std::span<const TokenRule> rules,
                  std::span<TokenChoice> chosen) const override;
    OpWork examine(BackendState& s, std::span<const TokenQuestion> questions,
                   std::span<TokenAnswer> answers) const override;
    std::span<const float> hidden(const BackendState& s) const override;

    void setTimed(BackendState& s, bool timed) const override;
    void setLaunches(BackendState& s, LaunchSink* sink) const noexcept override;
    bool wholeSteps() const noexcept override { return true; }
    OpWork sendToken(BackendState& s, KvCache& cache, TokenId token, int position,
                     const TokenRule* rule) const override;
    void runToken(BackendState& s) const override;
    OpWork fetchLogits(BackendState& s, std::span<float> logits) const override;
    OpWork fetchChoice(BackendState& s, TokenChoice& chosen) const override;
    void waitForLayers(BackendState& s) const override;
    RoutingView stepRouting(const BackendState& s, int layer) const override;
    int decodeGreedy(BackendState& s, KvCache& cache, TokenId first, int position,
                     std::span<TokenId> out) const override;
    DeviceMemory deviceMemory() const override;
    double readBandwidth() const override;
    void parallelFor(int n, const std::function<void(int)>& f) const override;

private:
    OpWork finish(CudaState& s, OpWork work, std::string_view kernel) const;
    void fetchRouting(const CudaState& s, std::size_t first, std::size_t count) const;
    void fetchRoutingOfStep(const CudaState& s) const;
    void fetchExpertChoice(const CudaState& s, int layer) const;
    void report(CudaState& s) const noexcept;
    void captureToken(CudaState& s, RecordedToken& token, bool choosing) const;
    void sendRules(CudaState& s, std::span<const TokenRule> rules) const;
    OpWork finishToken(CudaState& s) const;
    void reportReplay(const CudaState& s) const noexcept;
    StepShape stepShape(const CudaState& s) const noexcept;
    std::string_view headKernel(int rows) const noexcept {
        return rows <= fewTokens_ ? "decode_project" : "prefill_project";
    }
    bool few(const CudaState& s) const noexcept { return s.tokens() <= fewTokens_; }
    /// Whether activations are pairs of bf16.
    bool keepsPairs(const CudaState& s) const noexcept {
        return options_.numerics == Numerics::Exact || few(s);
    }
    bool expertsGrouped(const CudaState& s, int layer) const;
    NormWeights norm(const float* weight, const float* bias, bool before = true) const noexcept;
    RouterChoice choiceOf(const CudaState& s, int layer) const noexcept;
    OperandRows rowsFor(const CudaState& s, WeightFormat format) const noexcept;
    bool rotatesInAttention(const CudaState& s) const noexcept;
    RotateAndStore rotation(const CudaState& s, int layer) const noexcept;
    float* blockOutput(CudaState& s) const noexcept;
    void addBranch(CudaState& s, const float* postNorm) const;

    void sendStep(CudaState& s, std::span<const TokenId> tokens,
                  std::span<const StepRun> runs) const;
    void beginToken(CudaState& s, KvCache& cache, TokenId token, int position) const;
    void planAttention(CudaState& s) const;
    void planCopies(CudaState& s) const;
    void enqueueCopies(CudaState& s, int layer) const;
    StepCaches cachesOf(const CudaState& s, int layer) const noexcept;
    void enqueueEmbed(CudaState& s) const;
    void enqueueAttentionInput(CudaState& s, int layer) const;
    void enqueueAttention(CudaState& s, int layer) const;
    void attendShort(CudaState& s, int layer, int tokens) const;
    void attendLong(CudaState& s, int layer, int firstRun) const;
    void enqueueAttentionOutput(CudaState& s, int layer) const;
    void enqueueRoute(CudaState& s, int layer) const;
    void enqueueExpertChoice(const CudaState& s, int layer) const;
    void enqueueFeedForward(CudaState& s, int layer) const;
    void decodeFeedForward(CudaState& s, int layer) const;
    void prefillFeedForward(CudaState& s, int layer) const;
    void prefillPlainMlp(CudaState& s, int layer) const;
    void enqueueHead(CudaState& s, const float* hidden, int count) const;
    void enqueueHeadOf(CudaState& s, std::span<const std::int32_t> rows) const;
    void enqueueNextTokens(CudaState& s, int rows, bool fed) const;
    void enqueueToken(CudaState& s, bool choosing) const;

    ModelSpec spec_;
    ModelWeights weights_;  ///< for counting work only: views into the checkpoint
    CudaOptions options_;
    std::string device_;
    int multiprocessors_ = 1;
    mutable ThreadPool pool_;  ///< for packing, and for whoever examines many logits
    std::unique_ptr<DeviceModel> model_;
    DeviceArena ropeArena_;
    double* ropes_ = nullptr;          // (n_ropes, head_dim / 2 + 1)
    std::vector<std::size_t> ropeOf_;  // (n_layer)
    std::shared_ptr<ArenaPool> caches_ = std::make_shared<ArenaPool>();
    int nRopes_ = 0;
    int fewTokens_ = 1;  ///< steps of up to so many go through the kernels of decode.h
};

}  // namespace moescope::cuda
