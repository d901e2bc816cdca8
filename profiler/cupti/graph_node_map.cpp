// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/graph_node_map.h"

#include <algorithm>
#include <utility>

#include "profiler/cupti/cupti_abi.h"

namespace moescope::cupti {

void GraphNodeMap::beginCapture(std::uint64_t graph) {
    const std::lock_guard guard(mutex_);
    capture_ = Capture{std::this_thread::get_id(), {graph, -1, Op::Embed, 0, -1}, false};
    captured_[graph] = {};
}

void GraphNodeMap::setOperation(std::int32_t layer, Op op) {
    const std::lock_guard guard(mutex_);
    if (!capture_) return;
    GraphNode& next = capture_->next;
    if (!capture_->hasOperation || next.layer != layer || next.op != op) ++next.ordinal;
    next.layer = layer;
    next.op = op;
    capture_->hasOperation = true;
}

void GraphNodeMap::endCapture() {
    const std::lock_guard guard(mutex_);
    capture_.reset();
}

void GraphNodeMap::put(std::uint64_t node, const GraphNode& entry) {
    nodes_[node] = {entry, ++generation_};
    added_.emplace_back(node, entry);
}

void GraphNodeMap::nodeCreated(std::uint64_t node, std::uint32_t type) {
    const std::lock_guard guard(mutex_);
    const auto self = std::this_thread::get_id();
    if (!capture_ || capture_->thread != self) return;
    if (std::find(instantiating_.begin(), instantiating_.end(), self) != instantiating_.end())
        return;
    CapturedNodes& counts = captured_[capture_->next.graph];
    if (type == kNodeKernel) ++counts.kernels;
    if (type == kNodeMemcpy) ++counts.copies;
    if (type == kNodeMemset) ++counts.sets;
    if (!capture_->hasOperation) return;  // counted, but nobody said what it is: unattributed
    GraphNode entry = capture_->next;
    entry.type = type;
    put(node, entry);
}

void GraphNodeMap::nodeCloned(std::uint64_t original, std::uint64_t clone, std::uint32_t type) {
    const std::lock_guard guard(mutex_);
    const auto found = nodes_.find(original);
    if (found == nodes_.end()) {
        if (type == kNodeKernel) ++unknownOriginals_;
        return;
    }
    const GraphNode entry = found->second.node;
    put(clone, entry);
}

void GraphNodeMap::nodeDestroyed(std::uint64_t node) {
    const std::lock_guard guard(mutex_);
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return;
    destroyed_.emplace_back(node, found->second.generation);
    while (destroyed_.size() > keepDestroyed_) {
        const auto [oldest, generation] = destroyed_.front();
        destroyed_.pop_front();
        const auto entry = nodes_.find(oldest);
        if (entry != nodes_.end() && entry->second.generation == generation) nodes_.erase(entry);
    }
}

void GraphNodeMap::instantiateBegins() {
    const std::lock_guard guard(mutex_);
    instantiating_.push_back(std::this_thread::get_id());
}

void GraphNodeMap::instantiateEnds() {
    const std::lock_guard guard(mutex_);
    const auto found =
        std::find(instantiating_.begin(), instantiating_.end(), std::this_thread::get_id());
    if (found != instantiating_.end()) instantiating_.erase(found);
}

std::optional<GraphNode> GraphNodeMap::find(std::uint64_t node) const {
    const std::lock_guard guard(mutex_);
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return std::nullopt;
    return found->second.node;
}

CapturedNodes GraphNodeMap::captured(std::uint64_t graph) const {
    const std::lock_guard guard(mutex_);
    const auto found = captured_.find(graph);
    return found == captured_.end() ? CapturedNodes{} : found->second;
}

std::vector<std::pair<std::uint64_t, GraphNode>> GraphNodeMap::takeAdded() {
    const std::lock_guard guard(mutex_);
    return std::exchange(added_, {});
}

void GraphNodeMap::insert(std::uint64_t node, const GraphNode& entry) {
    const std::lock_guard guard(mutex_);
    nodes_[node] = {entry, ++generation_};
}

std::size_t GraphNodeMap::size() const {
    const std::lock_guard guard(mutex_);
    return nodes_.size();
}

std::int64_t GraphNodeMap::unknownOriginals() const {
    const std::lock_guard guard(mutex_);
    return unknownOriginals_;
}

}  // namespace moescope::cupti
