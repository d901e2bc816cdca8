// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/activity_collector.h"

#include <array>
#include <system_error>

#include "profiler/cupti/buffer_exchange.h"

namespace moescope::cupti {
namespace {

std::atomic<bool> usedInThisProcess{false};

void bufferRequested(std::uint8_t** buffer, std::size_t* size, std::size_t* maxRecords) {
    *buffer = BufferExchange::instance().takeEmpty();
    *size = *buffer != nullptr ? BufferExchange::kBufferBytes : 0;
    *maxRecords = 0;  // as many as fit
}

void bufferCompleted(void*, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
    BufferExchange::instance().giveFull(buffer, valid);
}

/// What attribution needs. The two API kinds are needed for external ids at all: libraries launch
/// through the driver API, our own code through the runtime.
constexpr std::array<std::uint32_t, 6> kNeeded{kExternalCorrelation, kRuntime, kDriver,
                                               kConcurrentKernel,    kMemcpy,  kMemset};

constexpr std::array<std::uint32_t, 6> kGraphCallbacks{kGraphNodeCreated, kGraphNodeDestroyStarting,
                                                       kGraphNodeCloned,  kGraphExecCreateStarting,
                                                       kGraphExecCreated, kModuleUnloadStarting};

}  // namespace

ActivityCollector::ActivityCollector(const CuptiApi& api, BufferSink& sink, GraphNodeMap& nodes,
                                     CollectorOptions options)
    : api_(api), sink_(sink), nodes_(nodes), options_(options) {}

ActivityCollector::~ActivityCollector() {
    try {
        stop([] {});
    } catch (...) {
        // Whoever wanted to know has called stop.
    }
}

void ActivityCollector::start() {
    if (recording_ || closed_ || (api_.oneSessionPerProcess && usedInThisProcess.exchange(true)))
        throw CollectorError(
            "a process can be profiled once: CUPTI 13.0 mixes up graph launches in a second "
            "session",
            kSuccess);
    try {
        subscribe();
        enableAll();
        BufferExchange::instance().open();
        startDecoder();
    } catch (...) {
        // CUPTI's callbacks point at this object: none may be left, whatever failed.
        unwind();
        BufferExchange::instance().close();
        closed_ = true;
        throw;
    }
    recording_ = true;
}

void ActivityCollector::subscribe() {
    // First of all: when another tool holds CUPTI, nothing of it may be touched.
    std::array<char, 64> holder{};
    SubscriberParams params{sizeof(SubscriberParams), "MoEScope", holder.data(), holder.size()};
    const std::uint32_t result = api_.subscribe(&subscriber_, &callback, this, &params);
    if (result == kSuccess) return;
    subscriber_ = nullptr;
    std::string reason = resultReason(api_, result);
    if (result == kMultipleSubscribers && holder[0] != '\0')
        reason += std::string(" (\"") + holder.data() + "\")";
    throw CollectorError(reason, result);
}

void ActivityCollector::enableAll() {
    const auto check = [&](std::uint32_t result, const char* what) {
        if (result != kSuccess)
            throw CollectorError(std::string(what) + ": " + resultReason(api_, result), result);
    };
    std::uint8_t zeroed = 1;
    std::size_t bytes = sizeof zeroed;
    check(api_.setAttribute(kAttributeZeroedOutBuffer, &bytes, &zeroed),
          "CUPTI's buffers cannot be set up");
    check(api_.registerCallbacks(&bufferRequested, &bufferCompleted),
          "CUPTI's buffers cannot be set up");
    for (const std::uint32_t id : kGraphCallbacks)
        check(api_.enableCallback(1, subscriber_, kDomainResource, id),
              "graphs cannot be followed");
    // Errors that CUPTI meets by itself are worth knowing, and no reason to give up.
    for (const std::uint32_t id : {kStateFatal, kStateError})
        api_.enableCallback(1, subscriber_, kDomainState, id);
    const auto enable = [&](std::uint32_t kind) {
        const std::uint32_t result = api_.enable(kind);
        if (result == kSuccess) enabled_.push_back(kind);
        return result;
    };
    for (const std::uint32_t kind : kNeeded)
        check(enable(kind), "activity records cannot be switched on");
    if (options_.level == TraceLevel::Graph)
        check(enable(kGraphTrace), "records of graphs cannot be switched on");
    enable(kOverhead);
    if (options_.sampleEnvironment) enable(kEnvironment);
}

void ActivityCollector::startDecoder() {
    try {
        decoder_ = std::thread([this] { decodeLoop(); });
    } catch (const std::system_error& error) {
        throw CollectorError(
            std::string("no thread can be started for CUPTI's buffers: ") + error.what(), kSuccess);
    }
}

/// Switches off whatever is on, in any state.
void ActivityCollector::unwind() noexcept {
    for (auto kind = enabled_.rbegin(); kind != enabled_.rend(); ++kind) api_.disable(*kind);
    enabled_.clear();
    if (subscriber_ != nullptr) api_.unsubscribe(subscriber_);
    subscriber_ = nullptr;
}

void ActivityCollector::callback(void* user, std::uint32_t domain, std::uint32_t id,
                                 const void* data) {
    auto& self = *static_cast<ActivityCollector*>(user);
    if (domain == kDomainState) {
        self.onState(id, *static_cast<const StateData*>(data));
    } else if (domain == kDomainResource) {
        if (id == kModuleUnloadStarting) {
            ++self.moduleUnloads_;
            return;
        }
        const void* descriptor = static_cast<const ResourceData*>(data)->descriptor;
        if (descriptor != nullptr) self.onGraph(id, *static_cast<const GraphData*>(descriptor));
    }
}

void ActivityCollector::onGraph(std::uint32_t id, const GraphData& data) {
    const auto idOf = [this](void* node) {
        std::uint64_t value = 0;
        return api_.getGraphNodeId(node, &value) == kSuccess ? value : 0;
    };
    switch (id) {
        case kGraphExecCreateStarting:
            nodes_.instantiateBegins();
            return;
        case kGraphExecCreated:
            nodes_.instantiateEnds();
            return;
        case kGraphNodeCreated:
            if (const std::uint64_t node = idOf(data.node); node != 0)
                nodes_.nodeCreated(node, data.nodeType);
            return;
        case kGraphNodeDestroyStarting:
            if (const std::uint64_t node = idOf(data.node); node != 0) nodes_.nodeDestroyed(node);
            return;
        case kGraphNodeCloned: {
            const std::uint64_t original = idOf(data.originalNode), clone = idOf(data.node);
            if (original != 0 && clone != 0) nodes_.nodeCloned(original, clone, data.nodeType);
            return;
        }
        default:
            return;
    }
}

void ActivityCollector::onState(std::uint32_t, const StateData& data) {
    const std::lock_guard guard(stateMutex_);
    ++stateErrors_;
    lastStateError_ = data.message != nullptr ? data.message : "";
}

void ActivityCollector::pushScope(std::uint64_t scope) noexcept {
    if (recording_ && api_.pushExternalId(kExternalKindCustom0, scope) != kSuccess)
        ++scopeFailures_;
}

void ActivityCollector::popScope() noexcept {
    std::uint64_t last = 0;
    if (recording_ && api_.popExternalId(kExternalKindCustom0, &last) != kSuccess) ++scopeFailures_;
}

void ActivityCollector::countDropped() {
    // The count starts again with each reading. Once a buffer and once at the end; never under a
    // lock, since CUPTI may wait for a buffer callback inside.
    std::size_t dropped = 0;
    if (api_.droppedRecords(nullptr, 0, &dropped) == kSuccess) dropped_ += std::int64_t(dropped);
}

void ActivityCollector::decodeLoop() {
    BufferExchange& exchange = BufferExchange::instance();
    BufferExchange::Full full;
    std::uint64_t unloads = 0;
    while (exchange.takeFull(full)) {
        try {
            // After a failure the rest is fetched all the same, so that CUPTI can end.
            if (!failure_) {
                if (const std::uint64_t now = moduleUnloads_.load(); now != unloads) {
                    unloads = now;
                    sink_.onModuleUnload();
                }
                ++buffers_;
                bytes_ += std::int64_t(full.validBytes);
                sink_.onBuffer({full.data, full.validBytes});
            }
        } catch (...) {
            failure_ = std::current_exception();
        }
        countDropped();
        exchange.decoded(full.data);
    }
}

void ActivityCollector::flush() {
    if (recording_) api_.flushAll(0);
}

void ActivityCollector::stop(const std::function<void()>& synchronize) {
    if (!recording_) return;
    BufferExchange& exchange = BufferExchange::instance();
    std::exception_ptr failure;
    try {
        synchronize();
    } catch (...) {
        failure = std::current_exception();  // CUPTI must be ended all the same
    }
    api_.flushAll(0);
    exchange.waitUntilDrained();
    // A forced flush also brings the records that will never be complete, once.
    api_.flushAll(kFlushForced);
    exchange.waitUntilDrained();
    recording_ = false;
    closed_ = true;
    unwind();
    countDropped();
    exchange.close();
    decoder_.join();
    if (options_.finalize) api_.finalize();
    if (failure) std::rethrow_exception(failure);
    if (failure_) std::rethrow_exception(failure_);
}

CollectorStatistics ActivityCollector::statistics() const {
    const BufferExchange::Counts counts = BufferExchange::instance().counts();
    CollectorStatistics out;
    out.dropped = dropped_;
    out.buffers = buffers_;
    out.bytes = bytes_;
    out.buffersOverPool = counts.overPool;
    out.buffersOutstanding = counts.outstanding;
    out.buffersDiscarded = counts.discarded;
    out.scopeFailures = scopeFailures_;
    const std::lock_guard guard(stateMutex_);
    out.stateErrors = stateErrors_;
    out.lastStateError = lastStateError_;
    return out;
}

}  // namespace moescope::cupti
