// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/capture.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cupti {
namespace {

constexpr char kMagic[8] = {'M', 'O', 'E', 'C', 'U', 'P', 'T', 'I'};

constexpr std::uint32_t tag(const char (&text)[5]) {
    return std::uint32_t(std::uint8_t(text[0])) | std::uint32_t(std::uint8_t(text[1])) << 8 |
           std::uint32_t(std::uint8_t(text[2])) << 16 | std::uint32_t(std::uint8_t(text[3])) << 24;
}
constexpr std::uint32_t kHead = tag("HEAD"), kSize = tag("SIZE"), kName = tag("NAME"),
                        kNode = tag("NODE"), kStep = tag("STEP"), kBuffer = tag("BUFF"),
                        kTail = tag("TAIL");
/// A damaged length must not make us ask for all memory.
constexpr std::uint64_t kMostBytes = std::uint64_t(64) << 20;

struct FileHeader {
    char magic[8];
    std::uint32_t version, reserved;
};
struct ChunkHeader {
    std::uint32_t type, reserved;
    std::uint64_t bytes;
};
struct NodeEntry {
    std::uint64_t node, graph;
    std::int32_t layer, op, type, ordinal;
};
struct StepEntry {
    std::int32_t index, layer, op;
};

template <typename T>
T load(const std::uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

bool isOp(std::int32_t op) {
    return op >= 0 && op < kOpCount;
}

}  // namespace

CaptureWriter::CaptureWriter(std::filesystem::path path, const nlohmann::json& head)
    : path_(std::move(path)), out_(path_, std::ios::binary | std::ios::trunc) {
    FileHeader header{{}, kCaptureVersion, 0};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    out_.write(reinterpret_cast<const char*>(&header), sizeof header);
    const std::string text = dumpJson(head);
    chunk(kHead, text.data(), text.size());
}

void CaptureWriter::chunk(std::uint32_t type, const void* data, std::size_t bytes) {
    const ChunkHeader header{type, 0, bytes};
    out_.write(reinterpret_cast<const char*>(&header), sizeof header);
    out_.write(static_cast<const char*>(data), std::streamsize(bytes));
    if (!out_) throw Error(path_.string() + ": cannot be written");
}

void CaptureWriter::writeNodes(std::span<const std::pair<std::uint64_t, GraphNode>> nodes) {
    if (nodes.empty()) return;
    std::vector<NodeEntry> entries;
    entries.reserve(nodes.size());
    for (const auto& [id, node] : nodes)
        entries.push_back({id, node.graph, node.layer, std::int32_t(node.op),
                           std::int32_t(node.type), node.ordinal});
    chunk(kNode, entries.data(), entries.size() * sizeof(NodeEntry));
}

void CaptureWriter::writeStep(std::int64_t step, std::span<const ScopeTable::Entry> entries) {
    std::vector<std::uint8_t> bytes(sizeof step + entries.size() * sizeof(StepEntry));
    std::memcpy(bytes.data(), &step, sizeof step);
    std::uint8_t* at = bytes.data() + sizeof step;
    for (const ScopeTable::Entry& entry : entries) {
        const StepEntry stored{entry.index, entry.layer, std::int32_t(entry.op)};
        std::memcpy(at, &stored, sizeof stored);
        at += sizeof stored;
    }
    chunk(kStep, bytes.data(), bytes.size());
}

std::uint64_t CaptureWriter::nameIndex(const char* name) {
    const auto [entry, added] = names_.try_emplace(name != nullptr ? name : "", names_.size());
    if (added) newNames_.append(entry->first).push_back('\0');
    return entry->second;
}

void CaptureWriter::writeBuffer(std::span<const std::uint8_t> buffer, const RecordSizes& sizes) {
    copy_.assign(buffer.begin(), buffer.end());
    newNames_.clear();
    for (std::size_t at = 0; at + sizeof(std::uint32_t) <= copy_.size();) {
        const auto kind = load<std::uint32_t>(copy_.data() + at);
        const std::size_t size = kind < kKinds ? sizes[kind] : 0;
        if (size == 0 || at + size > copy_.size()) break;
        if (kind == kConcurrentKernel) {
            std::uint8_t* name = copy_.data() + at + offsetof(KernelRecord, name);
            const std::uint64_t index = nameIndex(load<const char*>(name));
            std::memcpy(name, &index, sizeof index);
        }
        at += size;
    }
    if (sizes != sizes_) chunk(kSize, sizes.data(), sizeof sizes);
    sizes_ = sizes;
    if (!newNames_.empty()) chunk(kName, newNames_.data(), newNames_.size());
    chunk(kBuffer, copy_.data(), copy_.size());
}

void CaptureWriter::finish(const nlohmann::json& tail) {
    const std::string text = dumpJson(tail);
    chunk(kTail, text.data(), text.size());
    out_.close();
    if (!out_) throw Error(path_.string() + ": cannot be written");
}

namespace {

class CaptureReader {
public:
    CaptureReader(const std::filesystem::path& path, CaptureVisitor& visitor)
        : path_(path.string()), visitor_(visitor), in_(path, std::ios::binary) {}

    bool run() {
        if (!in_) throw Error(path_ + ": cannot be read");
        FileHeader header{};
        in_.read(reinterpret_cast<char*>(&header), sizeof header);
        if (!in_ || std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
            throw Error(path_ + ": is not a CUPTI capture of this program");
        if (header.version > kCaptureVersion)
            throw Error(path_ + ": capture version " + std::to_string(header.version) +
                        ", this program reads up to " + std::to_string(kCaptureVersion));
        ChunkHeader chunk{};
        while (in_.read(reinterpret_cast<char*>(&chunk), sizeof chunk)) {
            if (chunk.bytes > kMostBytes)
                throw Error(path_ + ": is damaged (a chunk of " + std::to_string(chunk.bytes) +
                            " bytes)");
            bytes_.resize(std::size_t(chunk.bytes));
            if (!in_.read(reinterpret_cast<char*>(bytes_.data()), std::streamsize(bytes_.size())))
                return false;
            deliver(chunk.type);
        }
        return in_.gcount() == 0;
    }

private:
    void deliver(std::uint32_t type) {
        if (type == kHead) visitor_.onHead(json());
        if (type == kTail) visitor_.onTail(json());
        if (type == kSize) sizes();
        if (type == kName) names();
        if (type == kNode) nodes();
        if (type == kStep) step();
        if (type == kBuffer) visitor_.onBuffer(bytes_);
        // Unknown chunks are of a later program of the same version: skipped.
    }

    nlohmann::json json() const {
        return parseJson({reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}, path_);
    }

    void sizes() {
        RecordSizes out{};
        if (bytes_.size() != sizeof out) throw Error(path_ + ": is damaged (record sizes)");
        std::memcpy(out.data(), bytes_.data(), sizeof out);
        // A later CUPTI appends members: a record that is shorter than ours is none.
        const RecordSizes least = defaultRecordSizes();
        for (std::size_t kind = 0; kind < kKinds; ++kind)
            if (out[kind] < least[kind]) throw Error(path_ + ": is damaged (record sizes)");
        visitor_.onSizes(out);
    }

    void names() {
        const char* at = reinterpret_cast<const char*>(bytes_.data());
        const char* end = at + bytes_.size();
        while (at < end) {
            const char* stop = std::find(at, end, '\0');
            names_.emplace_back(at, stop);
            at = stop != end ? stop + 1 : end;  // a damaged table may lack the last 0
        }
        visitor_.onNames(names_);
    }

    void nodes() {
        for (std::size_t at = 0; at + sizeof(NodeEntry) <= bytes_.size(); at += sizeof(NodeEntry)) {
            const auto entry = load<NodeEntry>(bytes_.data() + at);
            if (!isOp(entry.op)) throw Error(path_ + ": is damaged (a graph node's operation)");
            visitor_.onNode(entry.node, {entry.graph, entry.layer, Op(entry.op),
                                         std::uint32_t(entry.type), entry.ordinal});
        }
    }

    void step() {
        if (bytes_.size() < sizeof(std::int64_t)) throw Error(path_ + ": is damaged (a step)");
        std::vector<ScopeTable::Entry> entries;
        for (std::size_t at = sizeof(std::int64_t); at + sizeof(StepEntry) <= bytes_.size();
             at += sizeof(StepEntry)) {
            const auto entry = load<StepEntry>(bytes_.data() + at);
            if (!isOp(entry.op)) throw Error(path_ + ": is damaged (a step's operation)");
            entries.push_back({entry.index, std::int16_t(entry.layer), Op(entry.op)});
        }
        visitor_.onStep(load<std::int64_t>(bytes_.data()), entries);
    }

    std::string path_;
    CaptureVisitor& visitor_;
    std::ifstream in_;
    std::vector<std::uint8_t> bytes_;
    std::vector<std::string> names_;
};

}  // namespace

bool readCapture(const std::filesystem::path& path, CaptureVisitor& visitor) {
    return CaptureReader(path, visitor).run();
}

}  // namespace moescope::cupti
