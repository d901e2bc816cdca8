// SPDX-License-Identifier: Apache-2.0
// A CUPTI without a GPU, with faults on request. It behaves as the real one does as far as its
// documentation goes: scopes on a stack of each thread, buffers asked for and completed on the
// thread that fills or flushes them, records of the kinds that are switched on and no others.
#pragma once

#include <cstring>
#include <ctime>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "profiler/cupti/cupti_api.h"
#include "tests/profiler/cupti_buffers.h"

namespace moescope::test {

inline std::atomic<std::int64_t> clockShift{0};  ///< how far somebody set the system's clock

inline std::uint64_t realtime() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::uint64_t(now.tv_sec) * 1'000'000'000 + std::uint64_t(now.tv_nsec) +
           std::uint64_t(clockShift);
}

/// One at a time: CUPTI's functions carry no object.
class FakeCupti {
public:
    FakeCupti() { current() = this; }
    ~FakeCupti() { current() = nullptr; }
    FakeCupti(const FakeCupti&) = delete;
    FakeCupti& operator=(const FakeCupti&) = delete;

    /// Results to give instead of success, by function ("enable:10" for one kind).
    std::map<std::string, std::uint32_t> fail;
    std::string holder;                   ///< name of the tool that holds CUPTI
    std::atomic<std::size_t> dropped{0};  ///< what the next reading of the drops gives
    std::size_t bufferRecords = 1000;     ///< records after which a buffer is complete
    std::uint64_t skew = 0;               ///< added to the device's stamps
    bool stampless = false;               ///< kernels get no stamps
    bool loseKernels = false;             ///< kernels get no record

    std::set<std::uint32_t> enabled;
    bool subscribed = false, finalized = false;
    int flushes = 0;
    std::vector<std::string> calls;  ///< names, in order

    moescope::cupti::CuptiApi api();

    // What a program that uses CUDA would do.
    std::uint32_t launch(const char* name = "_Z3moePf") {
        const std::uint32_t correlation = apiCall();
        kernel(correlation, name, 0, 0);
        return correlation;
    }
    std::uint32_t copy(std::uint64_t bytes) {
        const std::uint32_t correlation = apiCall();
        abi::MemcpyRecord record{};
        record.kind = abi::kMemcpy;
        record.copyKind = 2;
        record.bytes = bytes;
        record.start = realtime();
        record.end = record.start + 1000;
        record.correlationId = correlation;
        append(record);
        return correlation;
    }
    /// The record of a kernel that was launched earlier.
    void lateKernel(std::uint32_t correlation, std::uint64_t node = 0) {
        kernel(correlation, "_Z4latePf", node, node != 0 ? 1 : 0);
    }
    /// Adds a node while a graph is captured. Node addresses are their ids.
    std::uint64_t createNode(std::uint32_t type = abi::kNodeKernel) {
        const std::uint64_t node = nextNode_++;
        graphEvent(abi::kGraphNodeCreated, node, 0, type);
        return node;
    }
    /// Copies of the nodes, in order; created anew and announced as clones, as CUDA does.
    std::vector<std::uint64_t> instantiate(const std::vector<std::uint64_t>& nodes) {
        graphEvent(abi::kGraphExecCreateStarting, 0, 0, 0);
        std::vector<std::uint64_t> copies;
        for (const std::uint64_t node : nodes) {
            copies.push_back(nextNode_++);
            graphEvent(abi::kGraphNodeCreated, copies.back(), 0, abi::kNodeKernel);
            graphEvent(abi::kGraphNodeCloned, copies.back(), node, abi::kNodeKernel);
        }
        graphEvent(abi::kGraphExecCreated, 0, 0, 0);
        return copies;
    }
    void destroy(const std::vector<std::uint64_t>& nodes) {
        for (const std::uint64_t node : nodes)
            graphEvent(abi::kGraphNodeDestroyStarting, node, 0, abi::kNodeKernel);
    }
    std::uint32_t replay(const std::vector<std::uint64_t>& nodes, std::uint32_t graph = 1) {
        const std::uint32_t correlation = apiCall();
        if (enabled.count(abi::kGraphTrace) > 0) {
            abi::GraphTraceRecord record{};
            record.kind = abi::kGraphTrace;
            record.correlationId = correlation;
            record.graphId = graph;
            record.start = realtime();
            record.end = record.start + 5000;
            append(record);
            return correlation;
        }
        for (const std::uint64_t node : nodes) kernel(correlation, "_Z6gatherPf", node, graph);
        return correlation;
    }
    /// What CUPTI samples on a thread of its own: 1 speed, 2 temperature, 3 power; some time ago.
    void sample(std::uint32_t what, std::uint32_t first, std::uint32_t second = 0,
                std::uint32_t throttle = 0, std::uint64_t agoNs = 0) {
        abi::EnvironmentRecord record{};
        record.kind = abi::kEnvironment;
        record.timestamp = realtime() - agoNs;
        record.environmentKind = what;
        record.data[0] = first;
        record.data[1] = second;
        record.data[4] = throttle;
        append(record);
    }
    /// CUPTI's or CUDA's own work that begins `agoNs` ago.
    void overhead(std::uint32_t what, std::uint64_t agoNs, std::uint64_t lengthNs) {
        abi::OverheadRecord record{};
        record.kind = abi::kOverhead;
        record.overheadKind = what;
        record.start = realtime() - agoNs;
        record.end = record.start + lengthNs;
        append(record);
    }
    void announceError(const char* message) {
        const abi::StateData data{abi::kUnknown, message};
        if (callback_ != nullptr) callback_(user_, abi::kDomainState, abi::kStateError, &data);
    }

private:
    static FakeCupti*& current() {
        static FakeCupti* fake = nullptr;
        return fake;
    }
    static std::vector<std::uint64_t>& stack() {
        thread_local std::vector<std::uint64_t> scopes;
        return scopes;
    }
    std::uint32_t result(const std::string& name) {
        const std::lock_guard guard(mutex_);
        calls.push_back(name);
        const auto found = fail.find(name);
        return found == fail.end() ? std::uint32_t(abi::kSuccess) : found->second;
    }
    std::uint32_t apiCall() {
        const std::uint32_t correlation = nextCorrelation_++;
        if (!stack().empty()) append(externalOf(correlation, stack().back()));
        abi::ApiRecord record{};
        record.kind = abi::kRuntime;
        record.correlationId = correlation;
        record.start = realtime();
        record.end = record.start + 100;
        append(record);
        return correlation;
    }
    static abi::ExternalRecord externalOf(std::uint32_t correlation, std::uint64_t scope) {
        abi::ExternalRecord record{};
        record.kind = abi::kExternalCorrelation;
        record.externalKind = abi::kExternalKindCustom0;
        record.externalId = scope;
        record.correlationId = correlation;
        return record;
    }
    void kernel(std::uint32_t correlation, const char* name, std::uint64_t node,
                std::uint32_t graph) {
        if (loseKernels) return;
        const std::uint64_t start = stampless ? 0 : realtime() + skew;
        append(BufferBuilder::kernelRecord(correlation, start, stampless ? 0 : start + 2000, name,
                                           node, graph));
    }
    template <typename T>
    void append(const T& record) {
        std::unique_lock guard(mutex_);
        if (enabled.count(record.kind) == 0) return;
        // Again, should another thread complete the buffer while this one held no lock.
        while (buffer_ == nullptr) {
            std::size_t most = 0;
            guard.unlock();  // CUPTI holds no lock of ours either
            std::uint8_t* fresh = nullptr;
            std::size_t bytes = 0;
            requested_(&fresh, &bytes, &most);
            guard.lock();
            if (buffer_ == nullptr) {
                buffer_ = fresh;
                size_ = bytes;
                used_ = count_ = 0;
            } else {  // another thread was first
                guard.unlock();
                completed_(nullptr, 0, fresh, bytes, 0);
                guard.lock();
            }
        }
        std::memcpy(buffer_ + used_, &record, sizeof record);
        used_ += sizeof record;
        if (++count_ >= bufferRecords) complete(guard);
    }
    void complete(std::unique_lock<std::mutex>& guard) {
        std::uint8_t* buffer = std::exchange(buffer_, nullptr);
        const std::size_t size = size_, used = used_;
        guard.unlock();
        if (buffer != nullptr) completed_(nullptr, 0, buffer, size, used);
        guard.lock();
    }
    void graphEvent(std::uint32_t id, std::uint64_t node, std::uint64_t original,
                    std::uint32_t type) {
        abi::GraphData data{};
        data.node = reinterpret_cast<void*>(node);
        data.originalNode = reinterpret_cast<void*>(original);
        data.nodeType = type;
        abi::ResourceData resource{nullptr, nullptr, &data};
        if (callback_ != nullptr && callbacks_.count(id) > 0)
            callback_(user_, abi::kDomainResource, id, &resource);
    }

    std::mutex mutex_;
    abi::Callback callback_ = nullptr;
    void* user_ = nullptr;
    std::set<std::uint32_t> callbacks_;
    abi::BufferRequested requested_ = nullptr;
    abi::BufferCompleted completed_ = nullptr;
    std::uint8_t* buffer_ = nullptr;
    std::size_t size_ = 0, used_ = 0, count_ = 0;
    std::atomic<std::uint32_t> nextCorrelation_{1};
    std::uint64_t nextNode_ = 100;
};

inline moescope::cupti::CuptiApi FakeCupti::api() {
    moescope::cupti::CuptiApi api;
    api.getVersion = [](std::uint32_t* version) -> std::uint32_t {
        *version = abi::kAbiVersion;
        return current()->result("getVersion");
    };
    api.getTimestamp = [](std::uint64_t* ns) -> std::uint32_t {
        *ns = realtime();
        return abi::kSuccess;
    };
    api.getResultString = [](std::uint32_t, const char** text) -> std::uint32_t {
        *text = "FAKE_ERROR";
        return abi::kSuccess;
    };
    api.subscribe = [](void** subscriber, abi::Callback callback, void* user,
                       abi::SubscriberParams* params) -> std::uint32_t {
        FakeCupti& fake = *current();
        const std::uint32_t code = fake.result("subscribe");
        if (code == abi::kMultipleSubscribers && params != nullptr)
            std::strncpy(params->oldSubscriberName, fake.holder.c_str(),
                         params->oldSubscriberSize - 1);
        if (code != abi::kSuccess) return code;
        fake.callback_ = callback;
        fake.user_ = user;
        fake.subscribed = true;
        *subscriber = &fake;
        return code;
    };
    api.unsubscribe = [](void*) -> std::uint32_t {
        current()->callback_ = nullptr;
        current()->subscribed = false;
        return current()->result("unsubscribe");
    };
    api.enableCallback = [](std::uint32_t on, void*, std::uint32_t domain,
                            std::uint32_t id) -> std::uint32_t {
        if (domain == abi::kDomainResource && on != 0) current()->callbacks_.insert(id);
        return current()->result("enableCallback");
    };
    api.registerCallbacks = [](abi::BufferRequested requested,
                               abi::BufferCompleted completed) -> std::uint32_t {
        current()->requested_ = requested;
        current()->completed_ = completed;
        return current()->result("registerCallbacks");
    };
    api.setAttribute = [](std::uint32_t, std::size_t*, void*) -> std::uint32_t {
        return current()->result("setAttribute");
    };
    api.enable = [](std::uint32_t kind) -> std::uint32_t {
        const std::uint32_t code = current()->result("enable:" + std::to_string(kind));
        const std::lock_guard guard(current()->mutex_);
        if (code == abi::kSuccess) current()->enabled.insert(kind);
        return code;
    };
    api.disable = [](std::uint32_t kind) -> std::uint32_t {
        const std::uint32_t code = current()->result("disable:" + std::to_string(kind));
        const std::lock_guard guard(current()->mutex_);
        current()->enabled.erase(kind);
        return code;
    };
    api.flushAll = [](std::uint32_t) -> std::uint32_t {
        FakeCupti& fake = *current();
        const std::uint32_t code = fake.result("flushAll");
        std::unique_lock guard(fake.mutex_);
        ++fake.flushes;
        fake.complete(guard);
        return code;
    };
    api.droppedRecords = [](void*, std::uint32_t, std::size_t* count) -> std::uint32_t {
        *count = current()->dropped.exchange(0);
        return abi::kSuccess;
    };
    api.pushExternalId = [](std::uint32_t, std::uint64_t id) -> std::uint32_t {
        stack().push_back(id);
        return abi::kSuccess;
    };
    api.popExternalId = [](std::uint32_t, std::uint64_t* last) -> std::uint32_t {
        if (stack().empty()) return abi::kInvalidParameter;
        *last = stack().back();
        stack().pop_back();
        return abi::kSuccess;
    };
    api.getGraphNodeId = [](void* node, std::uint64_t* id) -> std::uint32_t {
        *id = reinterpret_cast<std::uint64_t>(node);
        return abi::kSuccess;
    };
    api.finalize = []() -> std::uint32_t {
        current()->finalized = true;
        return current()->result("finalize");
    };
    api.nextRecord = nullptr;  // the decoder's own walk
    return api;
}

}  // namespace moescope::test
