// SPDX-License-Identifier: Apache-2.0
// The oracle: every switch of ModelSpec, one obvious loop each, no fusion, one thread.
#pragma once

#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/work.h"

namespace moescope {

struct ReferenceCache;
struct ReferenceState;

class ReferenceBackend final : public Backend {
public:
    ReferenceBackend(const BoundModel& model, const StopFlag* stop);

    std::string_view name() const noexcept override { return "reference"; }
    std::string description() const override { return "reference, 1 thread, exact"; }
    int threads() const noexcept override { return 1; }
    const ModelSpec& spec() const noexcept override { return spec_; }
    Mxfp4Edges mxfp4Edges() const noexcept override { return edges_; }

    int maxRuns() const noexcept override { return std::numeric_limits<int>::max(); }
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

private:
    StepShape shape(const ReferenceState& s) const noexcept;
    /// normed = norm(hidden), or a copy where the architecture has no norm before the block.
    void normBefore(ReferenceState& s, const TensorView& weight, const TensorView& bias) const;
    /// hidden += update, normalised first where the architecture has a norm after the block.
    void addResidual(ReferenceState& s, const TensorView& postNorm) const;
    void normAndRotate(ReferenceState& s, int layer) const;
    void copyPrefix(ReferenceCache& cache, int layer) const;
    void writeCache(ReferenceState& s, int layer) const;
    void denseMlp(ReferenceState& s, int layer) const;
    void experts(ReferenceState& s, int layer) const;
    /// out = down(activation(gate in, up in)) of matrix `stackIndex`. in, out: (tokens, d_model)
    /// f32.
    void feedForwardMany(int layer, std::int64_t stackIndex, std::span<const float> in,
                         std::span<float> out, int tokens) const;

    ModelSpec spec_;
    ModelWeights weights_;
    Mxfp4Edges edges_;
    std::vector<RopeTable> rope_;  // (n_layer)
};

}  // namespace moescope
