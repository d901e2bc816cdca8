// SPDX-License-Identifier: Apache-2.0
// Names the engine's work for other tools: Nsight Systems, Nsight Compute and whatever else listens
// to NVTX see the ranges step > layer > operation of the domain "moescope", in every command,
// traced by us or not. A range is two calls, of which each is one branch when no tool listens; in a
// build without NVTX3 (the headers of the CUDA toolkit) both are empty.
#pragma once

#include "engine/trace.h"

namespace moescope {

/// A range of the calling thread, from construction to destruction. Its name was registered with
/// the tool once: a range allocates nothing. Ranges of one thread must nest.
class NvtxRange {
public:
    /// "prefill" or "decode"; the payload is the position of its first token.
    explicit NvtxRange(const StepInfo& step) noexcept;
    /// "warmup", around steps that are evaluated once before others are measured; payload 0.
    struct WarmUp {};
    explicit NvtxRange(WarmUp) noexcept;
    /// "layer 3"; the payload is the same number.
    explicit NvtxRange(int layer) noexcept;
    /// The name of the operation; the payload is its layer, -1 outside the layers.
    NvtxRange(Op op, int layer) noexcept;
    ~NvtxRange();
    NvtxRange(const NvtxRange&) = delete;
    NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace moescope
