// SPDX-License-Identifier: Apache-2.0
// Reader of GGUF files, versions 2 and 3, little-endian, in one file or split into several.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/gguf_format.h"

namespace moescope {

class GgufCheckpoint final : public Checkpoint {
public:
    /// Throws Error for anything malformed: see openCheckpoint. Reads header and tables only. Any
    /// part of a split file (split.count > 1, NAME-00001-of-00003.gguf) opens all of them, which
    /// must lie in its folder; the keys are those of the first, the identity is that of the parts.
    explicit GgufCheckpoint(const std::filesystem::path& path);

    CheckpointLayout layout() const noexcept override { return CheckpointLayout::Gguf; }
    const std::filesystem::path& path() const noexcept override { return path_; }
    const nlohmann::json& config() const noexcept override { return parts_[0].config; }
    std::vector<std::string_view> stringArray(std::string_view key) const override;
    std::vector<double> numberArray(std::string_view key) const override;
    const std::vector<TensorView>& tensors() const noexcept override { return tensors_; }
    const TensorView* find(std::string_view name) const noexcept override;
    std::vector<std::filesystem::path> files() const override;
    std::uint64_t fileBytes() const noexcept override;
    std::string identity() const override;
    void release(const TensorView& t) const noexcept override;

    /// A key-value pair as the file holds it: key, type and value, to be copied unread.
    struct KeyRecord {
        std::string key;
        std::span<const std::byte> bytes;  ///< inside the mapped file
    };
    const std::vector<KeyRecord>& keyRecords() const noexcept { return parts_[0].keyRecords; }

private:
    /// Where the elements of an array value lie; they have been checked to be inside the file.
    struct ArrayPlace {
        gguf::ValueType type = gguf::ValueType::U8;
        std::uint64_t count = 0;
        std::uint64_t offset = 0;  ///< bytes from the start of the file
    };
    struct Part {
        explicit Part(const std::filesystem::path& path) : file(path) {}

        MappedFile file;
        nlohmann::json config = nlohmann::json::object();
        std::map<std::string, ArrayPlace, std::less<>> arrays;
        std::vector<KeyRecord> keyRecords;  ///< in file order
        std::vector<TensorView> tensors;    ///< empty once they are in tensors_
        std::uint64_t tableEnd = 0;         ///< bytes of header, key-value table and tensor table
    };
    class Parser;

    void openSiblings();
    void indexTensors();

    std::filesystem::path path_;
    std::vector<Part> parts_;  ///< at least one, in order
    std::vector<TensorView> tensors_;
    std::unordered_map<std::string_view, std::size_t> byName_;  ///< keys point into tensors_
};

}  // namespace moescope
