// SPDX-License-Identifier: Apache-2.0
// How many kernels, copies and sets the engine says it gave to the device: eager ones, and for each
// replay the nodes of its graph. What CUPTI delivers must be exactly as many.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "engine/launch_sink.h"

namespace moescope::cupti {

struct LaunchTotals {
    std::int64_t kernels = 0, copies = 0, sets = 0;

    void add(const LaunchCounts& counts) noexcept {
        kernels += counts.kernels;
        copies += counts.copies;
        sets += counts.sets;
    }
    void add(const LaunchTotals& other) noexcept {
        kernels += other.kernels;
        copies += other.copies;
        sets += other.sets;
    }
    std::int64_t all() const noexcept { return kernels + copies + sets; }
    bool operator==(const LaunchTotals&) const = default;
};

/// Driven by the engine's thread alone; read when it has stopped.
class LaunchLedger {
public:
    void launched(const LaunchCounts& counts) {
        (capturing_ ? graphs_[graph_] : eager_).add(counts);
    }
    bool capturing() const noexcept { return capturing_; }
    void captureBegin(std::uint64_t graph) {
        capturing_ = true;
        graph_ = graph;
        graphs_[graph] = {};
    }
    void captureEnd() noexcept { capturing_ = false; }
    /// What the replay brings; nothing is known of a graph that was captured before.
    LaunchTotals replay(std::uint64_t graph) {
        ++replays_;
        const auto found = graphs_.find(graph);
        if (found == graphs_.end()) {
            ++unknownReplays_;
            return {};
        }
        replayed_.add(found->second);
        return found->second;
    }

    const LaunchTotals& eager() const noexcept { return eager_; }
    const LaunchTotals& replayed() const noexcept { return replayed_; }
    LaunchTotals expected() const noexcept {
        LaunchTotals sum = eager_;
        sum.add(replayed_);
        return sum;
    }
    std::int64_t replays() const noexcept { return replays_; }
    std::int64_t unknownReplays() const noexcept { return unknownReplays_; }
    /// By the engine's number of the graph.
    const std::unordered_map<std::uint64_t, LaunchTotals>& graphs() const noexcept {
        return graphs_;
    }

private:
    LaunchTotals eager_, replayed_;
    std::unordered_map<std::uint64_t, LaunchTotals> graphs_;
    std::uint64_t graph_ = 0;
    std::int64_t replays_ = 0, unknownReplays_ = 0;
    bool capturing_ = false;
};

}  // namespace moescope::cupti
