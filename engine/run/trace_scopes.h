// SPDX-License-Identifier: Apache-2.0
// The scopes of the forward pass as objects: what they tell the trace sink, and other tools through
// NVTX, stays balanced also when something inside throws.
#pragma once

#include <exception>
#include <utility>

#include "engine/nvtx_ranges.h"
#include "engine/trace.h"

namespace moescope {

/// Ends the step also when something inside it throws, so that the sink's scopes stay nested.
class StepScope {
public:
    StepScope(TraceSink* sink, const StepInfo& info) : range_(info), sink_(sink) {
        if (sink_ != nullptr) sink_->stepBegin(info);
    }
    ~StepScope() {
        try {
            end();
        } catch (const std::exception&) {
            // Another exception is on its way already and says more than this one would.
        }
    }
    StepScope(const StepScope&) = delete;
    StepScope& operator=(const StepScope&) = delete;

    /// The normal end: a sink that cannot write what it measured may throw here.
    void end() {
        if (TraceSink* sink = std::exchange(sink_, nullptr)) sink->stepEnd();
    }

private:
    NvtxRange range_;  // around the sink, so that its cost is in no time that the sink takes
    TraceSink* sink_;
};

/// One operation; its work is known only when it is done.
class OpScope {
public:
    OpScope(TraceSink* sink, Op op, int layer) : range_(op, layer), sink_(sink) {
        if (sink_ != nullptr) sink_->opBegin(op, layer);
    }
    ~OpScope() {
        if (sink_ != nullptr) sink_->opEnd(work);
    }
    OpScope(const OpScope&) = delete;
    OpScope& operator=(const OpScope&) = delete;

    OpWork work;

private:
    NvtxRange range_;  // around the sink, so that its cost is in no time that the sink takes
    TraceSink* sink_;
};

}  // namespace moescope
