// SPDX-License-Identifier: Apache-2.0
// Writes a GGUF v3 file front to back: metadata, tensor table, then tensor bytes as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/gguf_format.h"
#include "engine/formats/tensor.h"

namespace moescope {

/// Order of calls: metadata and tensors in any mix, `begin`, the bytes of every tensor in the order
/// of `addTensor`, `finish`. The file appears under its name only then; an unfinished writer
/// removes what it wrote. Memory: metadata only.
class GgufWriter {
public:
    /// Nothing is written before `begin`.
    explicit GgufWriter(std::filesystem::path path);
    ~GgufWriter();
    GgufWriter(const GgufWriter&) = delete;
    GgufWriter& operator=(const GgufWriter&) = delete;

    void add(std::string_view key, std::uint32_t value);
    void add(std::string_view key, float value);
    void add(std::string_view key, bool value);
    void add(std::string_view key, std::string_view value);
    void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
    void add(std::string_view key, std::span<const std::string> values);
    void add(std::string_view key, std::span<const std::int32_t> values);
    void add(std::string_view key, std::span<const float> values);

    /// A whole key-value pair as GgufCheckpoint::keyRecords has it.
    void addRecord(std::span<const std::byte> record);

    /// shape: outermost dimension first, 1 to 4 extents; cols must be whole blocks of `type`, which
    /// must be a format GGUF can hold (asserted).
    void addTensor(std::string name, DType type, std::span<const std::int64_t> shape);

    /// Bytes of the whole file; valid once all tensors are added.
    std::uint64_t fileBytes() const;
    /// Everything that comes before the first tensor's bytes, padded: for writers of their own.
    std::string tables() const;

    /// Creates the file (missing parent folders too) and writes the tables. Error: unwritable
    /// folder, or less space than fileBytes().
    void begin();
    /// The next bytes; a call must not span two tensors. Padding is added between tensors.
    void write(std::span<const std::byte> bytes);
    /// Syncs and renames into place. Asserts that all bytes of all tensors were written.
    void finish();

private:
    struct Pending {
        std::string name;
        DType type;
        std::vector<std::int64_t> shape;
        std::uint64_t bytes;
    };
    template <typename T>
    void put(T value);
    void putString(std::string_view text);
    void beginKey(std::string_view key, gguf::ValueType type);
    void checkSpace() const;
    void writeAll(const void* data, std::size_t bytes);
    void pad();
    [[noreturn]] void fail(const std::string& cause) const;

    std::filesystem::path path_;
    std::string temporary_;
    int file_ = -1;
    std::string metadata_;  ///< encoded key-value pairs
    std::uint64_t keys_ = 0;
    std::vector<Pending> tensors_;
    std::uint64_t written_ = 0;   ///< bytes of the file
    std::size_t current_ = 0;     ///< tensor being written
    std::uint64_t inTensor_ = 0;  ///< its bytes so far
};

}  // namespace moescope
