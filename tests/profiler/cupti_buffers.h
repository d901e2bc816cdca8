// SPDX-License-Identifier: Apache-2.0
// Activity buffers made by hand: SYNTHETIC records in CUPTI's layout, for the tests of the decoder
// and what follows it.
#pragma once

#include <array>
#include <bit>
#include <span>
#include <string>
#include <vector>

#include "profiler/cupti/correlator.h"
#include "profiler/cupti/cupti_abi.h"

namespace moescope::test {

namespace abi = moescope::cupti;

class BufferBuilder {
public:
    template <typename T>
    BufferBuilder& add(const T& record) {
        const auto words = std::bit_cast<std::array<std::uint64_t, sizeof(T) / 8>>(record);
        words_.insert(words_.end(), words.begin(), words.end());
        return *this;
    }
    BufferBuilder& kernel(std::uint32_t correlation, std::uint64_t start, std::uint64_t end,
                          const char* name = "_Z3moePf", std::uint64_t node = 0,
                          std::uint32_t graph = 0) {
        return add(kernelRecord(correlation, start, end, name, node, graph));
    }
    BufferBuilder& api(std::uint32_t correlation, std::uint64_t start = 10,
                       std::uint64_t end = 20) {
        abi::ApiRecord record{};
        record.kind = abi::kRuntime;
        record.callbackId = 211;
        record.correlationId = correlation;
        record.start = start;
        record.end = end;
        return add(record);
    }
    BufferBuilder& external(std::uint32_t correlation, std::uint64_t id) {
        abi::ExternalRecord record{};
        record.kind = abi::kExternalCorrelation;
        record.externalKind = abi::kExternalKindCustom0;
        record.externalId = id;
        record.correlationId = correlation;
        return add(record);
    }
    static abi::KernelRecord kernelRecord(std::uint32_t correlation, std::uint64_t start,
                                          std::uint64_t end, const char* name, std::uint64_t node,
                                          std::uint32_t graph) {
        abi::KernelRecord record{};
        record.kind = abi::kConcurrentKernel;
        record.start = start;
        record.end = end;
        record.correlationId = correlation;
        record.name = name;
        record.graphNodeId = node;
        record.graphId = graph;
        record.gridX = 7;
        record.gridY = record.gridZ = 1;
        record.blockX = 128;
        record.blockY = record.blockZ = 1;
        record.registersPerThread = 40;
        record.streamId = 13;
        return record;
    }

    std::span<std::uint8_t> bytes() {
        return {reinterpret_cast<std::uint8_t*>(words_.data()), words_.size() * 8};
    }
    void clear() { words_.clear(); }

private:
    std::vector<std::uint64_t> words_;  // 8-byte aligned, as CUPTI's are
};

struct Collected final : abi::RecordSink {
    std::vector<abi::Record> records;
    void onRecord(const abi::Record& record) override { records.push_back(record); }
};

struct CollectedEvents final : abi::DeviceEventSink {
    std::vector<abi::DeviceEvent> events;
    void onEvent(const abi::DeviceEvent& event) override { events.push_back(event); }
};

}  // namespace moescope::test
