// SPDX-License-Identifier: Apache-2.0
// Reader of one .safetensors file: 8 bytes header length, JSON header, tensor bytes.
// Source: the format description in huggingface/safetensors' README.
#pragma once

#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/core/mapped_file.h"
#include "engine/formats/tensor.h"

namespace moescope {

class SafetensorsFile {
public:
    /// Throws Error for anything malformed. Scalars become tensors of shape (1), extents may be 0;
    /// every tensor's bytes must match its shape, lie inside the file and overlap no other's. Types
    /// that are no weights (BOOL masks of GPT-2's files) are kept: binding one is refused.
    explicit SafetensorsFile(const std::filesystem::path& path);

    const MappedFile& file() const noexcept { return file_; }
    const std::vector<TensorView>& tensors() const noexcept { return tensors_; }  ///< by offset
    const nlohmann::json& metadata() const noexcept { return metadata_; }  ///< "__metadata__"

private:
    void refuseGaps(std::uint64_t dataStart) const;

    MappedFile file_;
    std::vector<TensorView> tensors_;
    nlohmann::json metadata_ = nlohmann::json::object();
};

}  // namespace moescope
