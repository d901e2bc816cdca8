// SPDX-License-Identifier: Apache-2.0
// What running a model on the cpu back end takes: shown by inspect, and the reason to refuse.
#pragma once

#include <cstdint>
#include <string>

#include "engine/model/spec.h"

namespace moescope {

/// All in bytes but `context`. What the cpu back end itself says it will allocate (weights packed,
/// which makes K quants 2.4 to 3.6 times as large as in the file), for prefill steps of
/// `Session::kDefaultBatch` tokens.
struct MemoryPlan {
    std::uint64_t weights = 0;  ///< packed, with what binding copied and the mapped embedding
    std::uint64_t kvCache = 0;  ///< float32; sliding-window layers hold a ring only
    std::uint64_t activations = 0;
    std::uint64_t available = 0;  ///< machine or control group, whichever is less; what binding
                                  ///< has taken for `weights` already counts as available
    std::int32_t context = 0;     ///< tokens planned for

    std::uint64_t total() const noexcept { return weights + kvCache + activations; }
};

/// Keys and values of one sequence of `context` tokens that gets at most `batch` of them in a step:
/// sliding-window layers hold a ring only. elementBytes: of one key or value element, 4 on cpu, 2
/// on cuda.
std::uint64_t keyValueBytes(const ModelSpec& spec, int context, int batch, int elementBytes);

/// context: tokens, cut to [1, spec.contextLength]. threads as in CpuOptions: 0 is all available.
MemoryPlan planMemory(const BoundModel& model, std::int32_t context, int threads = 0);

/// Bytes of one routed expert as the checkpoint stores it, biases included (13.2 MB for gpt-oss in
/// MXFP4); where layers differ, of the largest. 0 for a model without experts.
std::uint64_t expertBytes(const ModelSpec& spec, const ModelWeights& weights);

/// Throws Error "<what> needs 13.0 GiB (weights 11.3 GiB + KV cache ... for 4096 tokens + ...), 8.0
/// GiB are available" when the plan does not fit.
void refuseIfTooLarge(const MemoryPlan& plan, const std::string& what);

}  // namespace moescope
