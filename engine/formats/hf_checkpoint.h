// SPDX-License-Identifier: Apache-2.0
// Safetensors checkpoints: one file, or a folder as Hugging Face lays it out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/formats/checkpoint.h"
#include "engine/formats/safetensors.h"

namespace moescope {

/// A folder holds config.json and either model.safetensors or model.safetensors.index.json, whose
/// weight_map alone says which files belong to the model (shard numbers start at 0 or 1 and other
/// copies may lie beside them). A single .safetensors file takes config.json from its folder where
/// there is one; else config() is an empty object.
class HfCheckpoint final : public Checkpoint {
public:
    /// Throws Error; see openCheckpoint.
    explicit HfCheckpoint(std::filesystem::path path);

    CheckpointLayout layout() const noexcept override { return CheckpointLayout::HuggingFace; }
    const std::filesystem::path& path() const noexcept override { return path_; }
    const nlohmann::json& config() const noexcept override { return config_; }
    std::vector<std::string_view> stringArray(std::string_view) const override { return {}; }
    std::vector<double> numberArray(std::string_view) const override { return {}; }
    const std::vector<TensorView>& tensors() const noexcept override { return tensors_; }
    const TensorView* find(std::string_view name) const noexcept override;
    std::vector<std::filesystem::path> files() const override;
    std::uint64_t fileBytes() const noexcept override;
    std::string identity() const override;
    void release(const TensorView& t) const noexcept override;

private:
    void openFolder();
    void openIndex(const std::filesystem::path& index);
    void buildIndex();
    nlohmann::json readObject(const std::filesystem::path& path, std::uint64_t maxBytes);

    std::filesystem::path path_;
    nlohmann::json config_ = nlohmann::json::object();
    std::vector<std::filesystem::path> described_;  ///< config.json and index, where read
    std::vector<SafetensorsFile> files_;
    std::vector<TensorView> tensors_;
    std::unordered_map<std::string_view, std::size_t> byName_;  ///< keys point into tensors_
};

}  // namespace moescope
