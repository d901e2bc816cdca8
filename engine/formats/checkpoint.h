// SPDX-License-Identifier: Apache-2.0
// A checkpoint on disk, whatever its layout: metadata plus named tensors, memory-mapped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/formats/tensor.h"

namespace moescope {

enum class CheckpointLayout : std::uint8_t { Gguf, HuggingFace };

/// Thread-compatible: const after opening. Owns the mappings; every TensorView points into them.
class Checkpoint {
public:
    virtual ~Checkpoint() = default;

    virtual CheckpointLayout layout() const noexcept = 0;
    virtual const std::filesystem::path& path() const noexcept = 0;

    /// GGUF: the key-value table as a flat JSON object ("gpt-oss.block_count": 24; arrays of more
    /// than 1,024 entries are left out, see `bigArray`). Hugging Face: config.json as it stands.
    virtual const nlohmann::json& config() const noexcept = 0;

    /// GGUF string arrays too long for JSON (tokenizer.ggml.tokens, .merges). Empty when absent.
    virtual std::vector<std::string_view> stringArray(std::string_view key) const = 0;
    /// GGUF integer or float arrays (tokenizer.ggml.token_type, .scores). Empty when absent.
    virtual std::vector<double> numberArray(std::string_view key) const = 0;

    virtual const std::vector<TensorView>& tensors() const noexcept = 0;
    virtual const TensorView* find(std::string_view name) const noexcept = 0;  ///< null when absent

    /// The files that were read to open it: weights, and config.json and index of a folder. Empty
    /// when it was made in memory.
    virtual std::vector<std::filesystem::path> files() const { return {}; }
    /// Bytes of all files with weights together.
    virtual std::uint64_t fileBytes() const noexcept = 0;

    /// SHA-256 over config and tensor table (names, types, shapes, offsets), hex: the identity of
    /// the model in a run file. Does not read the weights.
    virtual std::string identity() const = 0;

    /// Tells the kernel the byte range of `t` will not be read again (madvise), so that repacking a
    /// 12 GB file never holds two copies.
    virtual void release(const TensorView& t) const noexcept = 0;

    /// True when general.moescope.synthetic (GGUF) or "moescope_synthetic" (config.json) is set.
    bool synthetic() const;
};

/// Opens a .gguf file (of a split one, any part), a .safetensors file, or a folder that holds
/// config.json and safetensors. Throws Error (file and cause in one sentence) for anything
/// malformed: every offset and length is checked against the file before use, nothing is allocated
/// by an unchecked field.
std::unique_ptr<Checkpoint> openCheckpoint(const std::filesystem::path& path);

}  // namespace moescope
