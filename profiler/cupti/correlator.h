// SPDX-License-Identifier: Apache-2.0
// Joins records of device work with the launch they came from and the scope it was made in:
// kernel -> correlation id -> API call and external id -> step, layer, operation; inside graphs
// also kernel -> node -> layer, operation.
//
// Records come in no order, and a kernel may come several buffers before its launch. Memory is
// bounded: launches sit in a ring indexed by their 32-bit correlation id (which counts up and
// wraps), and records that wait for one are let go after a number of buffers, unattributed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "profiler/cupti/graph_node_map.h"
#include "profiler/cupti/record.h"
#include "profiler/cupti/scope.h"
#include "profiler/cupti/scope_table.h"

namespace moescope::cupti {

struct DeviceEvent {
    Record record;
    Scope scope;                         ///< what is known of it
    bool attributed = false;             ///< to an operation; launches of whole graphs: to a step
    std::optional<std::uint64_t> graph;  ///< the engine's number, of nodes that are known
    bool launchKnown = false;
    std::int64_t launchStartNs = 0, launchEndNs = 0;  ///< the API call, CLOCK_REALTIME
    StampFault fault = StampFault::None;
};

class DeviceEventSink {
public:
    virtual ~DeviceEventSink() = default;
    virtual void onEvent(const DeviceEvent& event) = 0;
    /// Overhead, Environment and Synchronization records pass through.
    virtual void onOther(const Record&) {}
    /// Around the records of a buffer, whatever of them waits for their launch.
    virtual void onBufferBegins() {}
    virtual void onBufferEnds() {}
};

struct CorrelatorOptions {
    std::size_t launches = std::size_t(1) << 18;  ///< power of two; latest calls remembered
    std::size_t waiting = std::size_t(1) << 17;   ///< records that wait for their launch
    int patience = 64;                            ///< buffers that a record waits
};

struct CorrelatorStatistics {
    std::int64_t waitedMost = 0;    ///< records waiting at once
    std::int64_t givenUp = 0;       ///< let go without a launch
    std::int64_t lateLaunches = 0;  ///< API or external records older than the ring
};

/// Not thread-safe: the decoding thread's.
class Correlator final : public RecordSink {
public:
    Correlator(DeviceEventSink& sink, const ScopeTable& scopes, const GraphNodeMap& nodes,
               CorrelatorOptions options = {});

    void onRecord(const Record& record) override;
    /// After each buffer: lets go what has been completed since.
    void bufferEnds();
    /// After the last buffer: lets go everything.
    void finish();

    const CorrelatorStatistics& statistics() const noexcept { return statistics_; }
    std::size_t waiting() const noexcept { return waiting_.size(); }

private:
    struct Launch {
        std::uint32_t correlation = 0;
        bool used = false, hasApi = false;
        std::uint64_t scope = 0;
        std::int64_t startNs = 0, endNs = 0;
    };
    struct Waiting {
        Record record;
        int buffers = 0;
    };
    Launch* slotFor(std::uint32_t correlation);
    const Launch* find(std::uint32_t correlation) const;
    void emit(const Record& record, const Launch* launch);
    void attributeNode(DeviceEvent& event) const;

    DeviceEventSink& sink_;
    const ScopeTable& scopes_;
    const GraphNodeMap& nodes_;
    CorrelatorOptions options_;
    std::vector<Launch> launches_;
    std::vector<Waiting> waiting_;
    CorrelatorStatistics statistics_;
};

}  // namespace moescope::cupti
