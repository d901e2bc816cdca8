// SPDX-License-Identifier: Apache-2.0
// Raw captures (.cupticap): CUPTI's buffers byte for byte as they came, with all that is needed to
// decode them on a machine without CUPTI or a GPU. A recording made once serves as a test for ever.
//
// File: 8 bytes "MOECUPTI", uint32 version, uint32 0, then chunks: uint32 type, uint32 0, uint64
// bytes, payload. Little-endian. In the order in which they are needed, so that a file cut off at
// any chunk replays as far as it goes. Chunk types:
//   HEAD  JSON: who recorded it, with which device, driver and CUPTI, when, `synthetic`
//   SIZE  uint16[64]: bytes of a record by kind, as this CUPTI lays them out
//   NAME  zero-terminated kernel names that follow those of earlier chunks
//   NODE  graph nodes: {uint64 node, uint64 graph, int32 layer, int32 op, int32 type, int32
//   ordinal} STEP  int64 step, then {int32 index, int32 layer, int32 op}: operations announced in a
//   step BUFF  one buffer; the name pointers of kernels are indices into the names TAIL  JSON:
//   launches counted by the engine, drops, clock pairs; last, absent after a crash
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "profiler/cupti/decoder.h"
#include "profiler/cupti/graph_node_map.h"
#include "profiler/cupti/scope_table.h"

namespace moescope::cupti {

inline constexpr std::uint32_t kCaptureVersion = 1;

/// Not thread-safe. Throws Error naming the file (disk full and the like).
class CaptureWriter {
public:
    CaptureWriter(std::filesystem::path path, const nlohmann::json& head);

    void writeNodes(std::span<const std::pair<std::uint64_t, GraphNode>> nodes);
    void writeStep(std::int64_t step, std::span<const ScopeTable::Entry> entries);
    /// Call after the decoder saw the buffer: it knows the sizes then. The buffer is not changed.
    void writeBuffer(std::span<const std::uint8_t> buffer, const RecordSizes& sizes);
    void finish(const nlohmann::json& tail);

private:
    void chunk(std::uint32_t type, const void* data, std::size_t bytes);
    std::uint64_t nameIndex(const char* name);

    std::filesystem::path path_;
    std::ofstream out_;
    RecordSizes sizes_{};
    std::unordered_map<std::string, std::uint64_t> names_;
    std::string newNames_;
    std::vector<std::uint8_t> copy_;
};

/// Where the chunks of a capture go.
class CaptureVisitor {
public:
    virtual ~CaptureVisitor() = default;
    virtual void onHead(const nlohmann::json&) {}
    virtual void onSizes(const RecordSizes& sizes) = 0;
    /// The same table each time, grown.
    virtual void onNames(const std::vector<std::string>& names) = 0;
    virtual void onNode(std::uint64_t node, const GraphNode& entry) = 0;
    virtual void onStep(std::int64_t step, std::span<const ScopeTable::Entry> entries) = 0;
    virtual void onBuffer(std::span<std::uint8_t> buffer) = 0;
    virtual void onTail(const nlohmann::json&) {}
};

/// Throws Error naming the file: absent, not a capture, newer version, damaged. Returns false when
/// the file is cut off: what came before was delivered.
bool readCapture(const std::filesystem::path& path, CaptureVisitor& visitor);

}  // namespace moescope::cupti
