// SPDX-License-Identifier: Apache-2.0
// What a back end that launches work on a device tells its observer, beside the operations that
// TraceSink hears of. Null by default; a back end without a device never calls it.
//
// The profiler sees kernels arrive from the driver, later and unnamed. From these calls it knows
// how many must arrive (so that a lost record is noticed), and which layer and operation a node of
// a replayed graph belongs to (a replay is one launch, whatever number of kernels it holds).
#pragma once

#include <cstdint>

#include "engine/trace.h"

namespace moescope {

/// Work given to the device by the back end's own code or by a library it called.
struct LaunchCounts {
    std::int32_t kernels = 0;
    std::int32_t copies = 0;  ///< asynchronous and synchronous memcpy, both ways
    std::int32_t sets = 0;    ///< memset
};

/// Calls arrive on the thread that drives the session. They must not throw, allocate little, and
/// make no call of the CUDA API. A graph is named by a number of the back end's choice that it
/// never uses for two graphs.
///
/// Eager:    opBegin; the launches; launched(counts); opEnd.
/// Capture:  captureBegin(g); {captureOp(op, layer); the launches; launched(counts)}...;
///           captureEnd(). Between the two, `launched` counts nodes of g and not executions.
///           cudaGraphInstantiate is called after captureEnd, any number of times.
/// Replay:   replay(g), then the cudaGraphLaunch, inside the step it belongs to; replayed(op,
///           layer, work) for each operation of the graph, most when the router's choice is known.
class LaunchSink {
public:
    virtual ~LaunchSink() = default;

    /// Work handed to the device since the latest call, by the operation that is open.
    virtual void launched(const LaunchCounts& counts) noexcept = 0;

    virtual void captureBegin(std::uint64_t graph) noexcept = 0;
    /// What is recorded into the graph from now on belongs to this operation. layer: -1 outside.
    virtual void captureOp(Op op, int layer) noexcept = 0;
    virtual void captureEnd() noexcept = 0;

    /// The next cudaGraphLaunch replays this graph: all its nodes run once more, for the open step.
    virtual void replay(std::uint64_t graph) noexcept = 0;
    /// In the step of a replay: what one of its operations read and did. Of an operation that
    /// TraceSink hears of too (the step's ends, whose copies run outside the graph) it is told
    /// while that is open, and its opEnd gives the same work again.
    virtual void replayed(Op op, int layer, const OpWork& work) noexcept = 0;
};

}  // namespace moescope
