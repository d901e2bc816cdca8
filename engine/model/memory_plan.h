// SPDX-License-Identifier: Apache-2.0
// What running a model takes, from its shape alone: shown by inspect, and the reason to refuse.
#pragma once

#include <cstdint>
#include <string>

#include "engine/formats/checkpoint.h"
#include "engine/model/spec.h"

namespace moescope {

/// All in bytes but `context`. An estimate for the cpu back end: weights as stored (packing keeps
/// their size), keys and values in float32, prefill steps of `Session::kDefaultBatch` tokens.
struct MemoryPlan {
    std::uint64_t weights = 0;
    std::uint64_t kvCache = 0;  ///< sliding-window layers hold a ring only
    std::uint64_t activations = 0;
    std::uint64_t available = 0;  ///< machine or control group, whichever is less
    std::int32_t context = 0;     ///< tokens planned for

    std::uint64_t total() const noexcept { return weights + kvCache + activations; }
};

/// context: tokens, cut to [1, spec.contextLength].
MemoryPlan planMemory(const ModelSpec& spec, const Checkpoint& checkpoint, std::int32_t context);

/// Throws Error "<what> needs 13.0 GiB (weights 11.3 GiB + KV cache ... for 4096 tokens + ...), 8.0
/// GiB are available" when the plan does not fit.
void refuseIfTooLarge(const MemoryPlan& plan, const std::string& what);

}  // namespace moescope
