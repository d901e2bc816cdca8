// SPDX-License-Identifier: Apache-2.0
// Which layer and operation each node of a CUDA graph belongs to. Filled while the engine captures
// a graph, from CUPTI's resource callbacks; read when the records of a replay arrive.
//
// A graph's nodes are created on the capturing thread, then cloned by every instantiation and every
// copy of the graph; a record names the node of the instance that ran. Creation, cloning and
// destruction come in any order, and records of a destroyed instance still arrive afterwards: an
// entry is copied on cloning, never moved, and outlives its node for a while.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/trace.h"

namespace moescope::cupti {

struct GraphNode {
    std::uint64_t graph = 0;  ///< the engine's number of the graph
    std::int32_t layer = -1;
    Op op = Op::Embed;
    std::uint32_t type = 0;    ///< GraphNodeType
    std::int32_t ordinal = 0;  ///< counts the operations of the graph, in order of capture
};

/// Nodes that CUPTI saw created during the capture of one graph.
struct CapturedNodes {
    std::int64_t kernels = 0, copies = 0, sets = 0;
};

/// Thread-safe. Never calls CUPTI, so that its lock may be taken inside a callback.
class GraphNodeMap {
public:
    /// Nodes whose destruction was announced are kept until this many more were destroyed.
    explicit GraphNodeMap(std::size_t keepDestroyed = 65536) : keepDestroyed_(keepDestroyed) {}

    // The engine's side, on the capturing thread.
    void beginCapture(std::uint64_t graph);
    void setOperation(std::int32_t layer, Op op);
    void endCapture();

    // CUPTI's side, on the thread that called the CUDA API.
    void nodeCreated(std::uint64_t node, std::uint32_t type);
    void nodeCloned(std::uint64_t original, std::uint64_t clone, std::uint32_t type);
    void nodeDestroyed(std::uint64_t node);
    /// Nodes created by an instantiation are copies, announced as such beside.
    void instantiateBegins();
    void instantiateEnds();

    /// Nothing for a node that was created outside of a capture.
    std::optional<GraphNode> find(std::uint64_t node) const;
    CapturedNodes captured(std::uint64_t graph) const;
    /// Entries added since the latest call, for captures.
    std::vector<std::pair<std::uint64_t, GraphNode>> takeAdded();
    void insert(std::uint64_t node, const GraphNode& entry);  ///< from a capture

    std::size_t size() const;
    /// Nodes cloned from a node that was not known: captured before the profiler started.
    std::int64_t unknownOriginals() const;

private:
    struct Entry {
        GraphNode node;
        std::uint64_t generation = 0;  ///< a reused id is not erased by its predecessor's end
    };
    struct Capture {
        std::thread::id thread;
        GraphNode next;  ///< what a node created now belongs to
        bool hasOperation = false;
    };
    void put(std::uint64_t node, const GraphNode& entry);

    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, Entry> nodes_;
    std::unordered_map<std::uint64_t, CapturedNodes> captured_;
    std::deque<std::pair<std::uint64_t, std::uint64_t>> destroyed_;  ///< node, generation
    std::vector<std::pair<std::uint64_t, GraphNode>> added_;
    std::optional<Capture> capture_;
    std::vector<std::thread::id> instantiating_;
    std::uint64_t generation_ = 0;
    std::int64_t unknownOriginals_ = 0;
    std::size_t keepDestroyed_;
};

}  // namespace moescope::cupti
