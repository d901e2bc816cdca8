// SPDX-License-Identifier: Apache-2.0
// All weights of a model in the layout the kernels read, in one huge-page arena.
#pragma once

#include <vector>

#include "engine/backend/cpu/pack.h"
#include "engine/core/arena.h"
#include "engine/core/interrupt.h"
#include "engine/core/thread_pool.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "engine/model/spec.h"

namespace moescope::cpu {

/// Empty stacks and vectors mean "this model has none".
struct PackedLayer {
    std::vector<float> attnNorm, attnNormBias;  // (d_model)
    PackedStack q, k, v, o;
    std::vector<float> qBias, kBias, vBias, oBias;  // (rows of the matrix)
    std::vector<float> qNorm, kNorm, sinks;
    std::vector<float> postAttnNorm;          // (d_model)
    std::vector<float> ffnNorm, ffnNormBias;  // (d_model)
    PackedStack router;
    std::vector<float> routerBias;                  // (n_expert)
    PackedStack gate, up, down;                     // one matrix, or n_expert
    std::vector<float> gateBias, upBias, downBias;  // (stack, rows)
    std::vector<float> postFfnNorm;                 // (d_model)
};

class PackedModel {
public:
    /// Packs with all threads of `pool`, releasing the pages of `checkpoint` behind it; the
    /// embedding and learned positions stay where they are. Throws Error for weights that are not
    /// finite, those two included; Interrupted between slices when `stop` (may be null) is set.
    PackedModel(const BoundModel& model, const Checkpoint& checkpoint, ThreadPool& pool,
                const StopFlag* stop);
    /// Size of the arena that the constructor reserves.
    static std::uint64_t arenaBytes(const ModelWeights& weights) noexcept;
    /// Of it, handed out: the same number, or the sum above is wrong.
    std::uint64_t usedBytes() const noexcept { return arena_.used(); }
    const Mxfp4Edges& mxfp4Edges() const noexcept { return edges_; }

    std::vector<PackedLayer> layers;
    PackedStack head;
    std::vector<float> outputNorm, outputNormBias;  // (d_model)

private:
    Arena arena_;
    Mxfp4Edges edges_;
};

}  // namespace moescope::cpu
