// SPDX-License-Identifier: Apache-2.0
// All weights of a model in device memory, in one arena that is planned before it is taken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/backend/cuda/device_memory.h"
#include "engine/backend/cuda/pack.h"
#include "engine/core/interrupt.h"
#include "engine/core/thread_pool.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "engine/model/spec.h"

namespace moescope::cuda {

/// Null pointers and empty matrices mean "this model has none". Vectors are float32.
struct DeviceLayer {
    const float* attnNorm = nullptr;      // (d_model)
    const float* attnNormBias = nullptr;  // (d_model)
    DeviceMatrix qkv;                     // ((n_head + 2 n_kv_head) * head_dim, d_model)
    const float* qkvBias = nullptr;       // (rows of qkv)
    const float* qNorm = nullptr;         // (head_dim), or (n_head * head_dim)
    const float* kNorm = nullptr;
    const float* sinks = nullptr;  // (n_head)
    DeviceMatrix o;                // (d_model, n_head * head_dim)
    const float* oBias = nullptr;
    const float* postAttnNorm = nullptr;
    const float* ffnNorm = nullptr;
    const float* ffnNormBias = nullptr;
    DeviceMatrix router;  // (n_expert, d_model)
    const float* routerBias = nullptr;
    /// A dense MLP is a stack of one expert that every token chooses with weight 1.
    DeviceMatrix gateUp;  // stack of (2 ffn, d_model), rows taking turns; plain MLP: up
    const float* gateUpBias = nullptr;  // (stack, rows of gateUp)
    DeviceMatrix down;                  // stack of (d_model, ffn)
    const float* downBias = nullptr;    // (stack, d_model)
    const float* postFfnNorm = nullptr;
};

/// A part of the plan, for the table that a refusal shows.
struct MemoryPart {
    std::string name;
    std::uint64_t bytes = 0;
};

class DeviceModel {
public:
    /// Packs with `pool` into page-locked buffers and copies from there, while the next part is
    /// packed. Releases the checkpoint's pages behind it. Throws Error for weights that are not
    /// finite, and when the device has not the memory. The experts of the first `expertsOnHost`
    /// layers stay in page-locked host memory, from where the kernels read them through the bus.
    /// Interrupted between parts when `stop` (null: never) is set.
    DeviceModel(const BoundModel& model, const Checkpoint& checkpoint, ThreadPool& pool,
                int expertsOnHost = 0, const StopFlag* stop = nullptr);

    /// Embedding, attention, experts (or MLP), head, vectors: in all what the constructor allocates
    /// on the device. The last part, "experts on the host", is not on the device.
    static std::vector<MemoryPart> plan(const BoundModel& model, int expertsOnHost = 0);

    std::uint64_t bytes() const noexcept { return arena_.size(); }
    const Mxfp4Edges& mxfp4Edges() const noexcept { return edges_; }
    const uint4* base() const noexcept { return static_cast<const uint4*>(arena_.base()); }

    DeviceMatrix embedding;  // (vocab, d_model); the head when tied
    DeviceMatrix positions;  // (context, d_model), PositionKind::Learned
    DeviceMatrix head;       // (vocab, d_model)
    const float* outputNorm = nullptr;
    const float* outputNormBias = nullptr;
    std::vector<DeviceLayer> layers;

private:
    DeviceModel() = default;
    DeviceArena arena_;
    DeviceArena hostArena_;
    Mxfp4Edges edges_;
};

}  // namespace moescope::cuda
