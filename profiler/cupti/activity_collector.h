// SPDX-License-Identifier: Apache-2.0
// Starts CUPTI, gathers its activity buffers on a thread of its own, and ends it without losing a
// record. It knows nothing of what the records mean.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "profiler/cupti/cupti_api.h"
#include "profiler/cupti/graph_node_map.h"

namespace moescope::cupti {

enum class TraceLevel : std::uint8_t {
    Graph,  ///< one record a graph launch: least overhead, no attribution inside graphs
    Node,   ///< one record a graph node
};

struct CollectorOptions {
    TraceLevel level = TraceLevel::Node;
    bool sampleEnvironment = false;  ///< clocks, temperature, power
    /// Detach CUPTI at the end. CUDA 13.0 may crash at exit without it, and now and then with it.
    bool finalize = true;
};

/// Called on the decoding thread.
class BufferSink {
public:
    virtual ~BufferSink() = default;
    virtual void onBuffer(std::span<std::uint8_t> records) = 0;
    virtual void onModuleUnload() {}  ///< before the next buffer: names' addresses may be reused
};

/// CUPTI refused to start; code() is its result.
class CollectorError : public Error {
public:
    CollectorError(const std::string& what, std::uint32_t code) : Error(what), code_(code) {}
    std::uint32_t code() const noexcept { return code_; }

private:
    std::uint32_t code_;
};

struct CollectorStatistics {
    std::int64_t dropped = 0;  ///< records that CUPTI says it lost
    std::int64_t buffers = 0, bytes = 0;
    std::int64_t buffersOverPool = 0;     ///< handed out beyond the 512 MiB
    std::int64_t buffersOutstanding = 0;  ///< never given back by CUPTI
    std::int64_t buffersDiscarded = 0;    ///< with records, given back after the end
    std::int64_t scopeFailures = 0;       ///< external ids that could not be pushed or popped
    std::int64_t stateErrors = 0;         ///< errors that CUPTI announced by itself
    std::string lastStateError;
};

/// One at a time in a process. Off -> start -> recording -> stop -> closed, and no way back: with
/// CUPTI 13.0 a process gets one session.
class ActivityCollector {
public:
    /// All references must outlive the collector.
    ActivityCollector(const CuptiApi& api, BufferSink& sink, GraphNodeMap& nodes,
                      CollectorOptions options = {});
    /// Stops without synchronising, if still recording; what the sink throws is lost then.
    ~ActivityCollector();
    ActivityCollector(const ActivityCollector&) = delete;
    ActivityCollector& operator=(const ActivityCollector&) = delete;

    /// Before the process makes a CUDA context and before any graph is captured. Throws
    /// CollectorError; then everything that had been switched on is off again.
    void start();
    bool recording() const noexcept { return recording_; }

    // On the thread that launches; one scope on top of the other.
    void pushScope(std::uint64_t scope) noexcept;
    void popScope() noexcept;

    /// Asks for the buffers whose records are all complete.
    void flush();
    /// synchronize: waits for the device (an empty function when it is known to be idle). Then all
    /// buffers are fetched, decoded and CUPTI is detached. Throws what the sink threw.
    void stop(const std::function<void()>& synchronize);

    CollectorStatistics statistics() const;

private:
    static void callback(void* user, std::uint32_t domain, std::uint32_t id, const void* data);
    void onGraph(std::uint32_t id, const GraphData& data);
    void onState(std::uint32_t id, const StateData& data);
    void subscribe();
    void enableAll();
    void startDecoder();
    void unwind() noexcept;
    void decodeLoop();
    void countDropped();

    const CuptiApi& api_;
    BufferSink& sink_;
    GraphNodeMap& nodes_;
    CollectorOptions options_;
    void* subscriber_ = nullptr;
    std::vector<std::uint32_t> enabled_;
    std::thread decoder_;
    std::exception_ptr failure_;  ///< of the decoding thread; read after it was joined
    std::atomic<std::int64_t> dropped_{0}, buffers_{0}, bytes_{0}, scopeFailures_{0};
    std::atomic<std::uint64_t> moduleUnloads_{0};
    mutable std::mutex stateMutex_;
    std::int64_t stateErrors_ = 0;
    std::string lastStateError_;
    bool recording_ = false;
    bool closed_ = false;
};

}  // namespace moescope::cupti
