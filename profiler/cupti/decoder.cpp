// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/decoder.h"

#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace moescope::cupti {
namespace {

/// Buffers are 8-byte aligned as CUPTI wants, but nothing is assumed of bytes from a file.
template <typename T>
T load(const void* record) noexcept {
    T value;
    std::memcpy(&value, record, sizeof value);
    return value;
}

void convertKernel(const KernelRecord& in, Record& out) {
    out.kind = RecordKind::Kernel;
    out.correlation = in.correlationId;
    out.device = in.deviceId;
    out.context = in.contextId;
    out.stream = in.streamId;
    out.graph = in.graphId;
    out.node = in.graphNodeId;
    out.startNs = std::int64_t(in.start);
    out.endNs = std::int64_t(in.end);
    out.shape = {{in.gridX, in.gridY, in.gridZ},
                 {in.blockX, in.blockY, in.blockZ},
                 {std::int32_t(in.clusterX), std::int32_t(in.clusterY), std::int32_t(in.clusterZ)},
                 in.registersPerThread,
                 in.staticSharedMemory,
                 in.dynamicSharedMemory};
}

/// Copies and sets have these members under the same names.
template <typename T>
void convertTransfer(const T& in, RecordKind kind, Record& out) {
    out.kind = kind;
    out.correlation = in.correlationId;
    out.device = in.deviceId;
    out.context = in.contextId;
    out.stream = in.streamId;
    out.graph = in.graphId;
    out.node = in.graphNodeId;
    out.value = in.bytes;
    out.startNs = std::int64_t(in.start);
    out.endNs = std::int64_t(in.end);
}

}  // namespace

RecordSizes defaultRecordSizes() noexcept {
    RecordSizes sizes{};
    sizes[kMemcpy] = sizeof(MemcpyRecord);
    sizes[kMemset] = sizeof(MemsetRecord);
    sizes[kDriver] = sizes[kRuntime] = sizeof(ApiRecord);
    sizes[kConcurrentKernel] = sizeof(KernelRecord);
    sizes[kOverhead] = sizeof(OverheadRecord);
    sizes[kEnvironment] = sizeof(EnvironmentRecord);
    sizes[kMemcpyPeer] = sizeof(MemcpyPeerRecord);
    sizes[kSynchronization] = sizeof(SynchronizationRecord);
    sizes[kExternalCorrelation] = sizeof(ExternalRecord);
    sizes[kGraphTrace] = sizeof(GraphTraceRecord);
    return sizes;
}

std::uint32_t Decoder::step(std::span<std::uint8_t> buffer, void** record) const {
    if (next_ != nullptr) return next_(buffer.data(), buffer.size(), record);
    const auto sizeAt = [&](std::size_t at) -> std::size_t {
        const auto kind = load<std::uint32_t>(buffer.data() + at);
        return kind < kKinds ? sizes_[kind] : 0;
    };
    std::size_t at = 0;
    if (*record != nullptr) {
        at = std::size_t(static_cast<std::uint8_t*>(*record) - buffer.data());
        at += sizeAt(at);
    }
    if (at + sizeof(std::uint32_t) > buffer.size()) return kMaxLimitReached;
    const std::size_t size = sizeAt(at);
    if (size == 0) return kInvalidKind;
    if (at + size > buffer.size()) return kMaxLimitReached;
    *record = buffer.data() + at;
    return kSuccess;
}

void Decoder::learnSize(const void* record, const void* following) {
    const auto kind = load<std::uint32_t>(record);
    const auto bytes =
        static_cast<const std::uint8_t*>(following) - static_cast<const std::uint8_t*>(record);
    if (kind < kKinds && bytes > 0 && bytes < 4096) sizes_[kind] = std::uint16_t(bytes);
}

void Decoder::decode(std::span<std::uint8_t> buffer, RecordSink& sink) {
    void* record = nullptr;
    const void* previous = nullptr;
    std::uint32_t result = kSuccess;
    const auto* end = buffer.data() + buffer.size();
    const auto* undecoded = buffer.data();  // the first byte behind what made sense
    while ((result = step(buffer, &record)) == kSuccess) {
        if (next_ != nullptr && previous != nullptr) learnSize(previous, record);
        previous = record;
        // A record cut off at the end of a damaged capture is not read beyond it.
        const auto kind = load<std::uint32_t>(record);
        const auto* begin = static_cast<const std::uint8_t*>(record);
        const auto left = std::size_t(end - begin);
        static const RecordSizes kLeast = defaultRecordSizes();
        undecoded = begin;
        if (kind < kKinds && left < kLeast[kind]) break;
        // Where the library walks, the size of a buffer's last record is not known.
        undecoded = next_ != nullptr ? end : begin + sizes_[kind];
        ++statistics_.records;
        Record out;
        if (convert(record, out)) {
            sink.onRecord(out);
        } else {
            ++statistics_.unknownKinds;
        }
    }
    // What the library stopped at is no record.
    if (next_ != nullptr && result != kMaxLimitReached && result != kSuccess)
        undecoded =
            previous != nullptr ? static_cast<const std::uint8_t*>(previous) : buffer.data();
    statistics_.undecodedBytes += std::uint64_t(end - undecoded);
}

bool Decoder::convert(const void* record, Record& out) {
    switch (load<std::uint32_t>(record)) {
        case kConcurrentKernel: {
            const auto in = load<KernelRecord>(record);
            convertKernel(in, out);
            out.name = intern(in.name);
            return true;
        }
        case kMemcpy: {
            const auto in = load<MemcpyRecord>(record);
            convertTransfer(in, RecordKind::Memcpy, out);
            out.detail = in.copyKind;
            return true;
        }
        case kMemcpyPeer: {
            const auto in = load<MemcpyPeerRecord>(record);
            convertTransfer(in, RecordKind::Memcpy, out);
            out.detail = in.copyKind;
            return true;
        }
        case kMemset:
            convertTransfer(load<MemsetRecord>(record), RecordKind::Memset, out);
            return true;
        case kDriver:
        case kRuntime: {
            const auto in = load<ApiRecord>(record);
            out.kind = RecordKind::Api;
            out.driverApi = in.kind == kDriver;
            out.correlation = in.correlationId;
            out.api = in.callbackId;
            out.thread = in.threadId;
            out.startNs = std::int64_t(in.start);
            out.endNs = std::int64_t(in.end);
            return true;
        }
        case kExternalCorrelation: {
            const auto in = load<ExternalRecord>(record);
            out.kind = RecordKind::External;
            out.detail = std::uint8_t(in.externalKind);
            out.correlation = in.correlationId;
            out.value = in.externalId;
            return true;
        }
        case kGraphTrace: {
            const auto in = load<GraphTraceRecord>(record);
            out.kind = RecordKind::GraphLaunch;
            out.correlation = in.correlationId;
            out.device = in.deviceId;
            out.context = in.contextId;
            out.stream = in.streamId;
            out.graph = in.graphId;
            out.startNs = std::int64_t(in.start);
            out.endNs = std::int64_t(in.end);
            return true;
        }
        case kOverhead: {
            const auto in = load<OverheadRecord>(record);
            out.kind = RecordKind::Overhead;
            out.detail = overheadDetail(in.overheadKind);
            out.correlation = in.correlationId;
            out.startNs = std::int64_t(in.start);
            out.endNs = std::int64_t(in.end);
            return true;
        }
        case kEnvironment: {
            const auto in = load<EnvironmentRecord>(record);
            out.kind = RecordKind::Environment;
            out.detail = std::uint8_t(in.environmentKind);
            out.device = in.deviceId;
            out.startNs = out.endNs = std::int64_t(in.timestamp);
            std::memcpy(out.environment.data(), in.data, sizeof in.data);
            return true;
        }
        case kSynchronization: {
            const auto in = load<SynchronizationRecord>(record);
            out.kind = RecordKind::Synchronization;
            out.detail = std::uint8_t(in.type);
            out.correlation = in.correlationId;
            out.context = in.contextId;
            out.stream = in.streamId;
            out.startNs = std::int64_t(in.start);
            out.endNs = std::int64_t(in.end);
            return true;
        }
        default:
            return false;
    }
}

std::uint32_t Decoder::internText(std::string_view text) {
    const auto [entry, added] =
        byText_.try_emplace(std::string(text), std::uint32_t(names_.size()));
    if (added) names_.emplace_back(text);
    return entry->second;
}

std::uint32_t Decoder::intern(const char* address) {
    const auto found = byAddress_.find(address);
    if (found != byAddress_.end()) return found->second;
    std::uint32_t id = 0;
    if (table_ != nullptr) {
        const auto index = reinterpret_cast<std::uintptr_t>(address);
        id = internText(index < table_->size() ? (*table_)[index] : "(name not in the capture)");
    } else {
        id = internText(address != nullptr ? address : "(no name)");
    }
    byAddress_.emplace(address, id);
    return id;
}

std::string demangled(const std::string& name) {
    if (name.rfind("_Z", 0) != 0) return name;
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
    return status == 0 && text ? std::string(text.get()) : name;
}

}  // namespace moescope::cupti
