// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/hf_checkpoint.h"

#include <set>
#include <string_view>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/formats/tensor_table.h"

namespace moescope {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 16ULL << 20;
constexpr std::uint64_t kMaxIndexBytes = 256ULL << 20;

/// The part of the file system that an index may name: files of its own folder.
bool isPlainFileName(const std::string& name) {
    return !name.empty() && name.find('/') == std::string::npos &&
           name.find('\0') == std::string::npos && name != "." && name != "..";
}

}  // namespace

HfCheckpoint::HfCheckpoint(std::filesystem::path path) : path_(std::move(path)) {
    if (std::filesystem::is_directory(path_)) {
        openFolder();
    } else {
        files_.emplace_back(path_);
        const std::filesystem::path config = path_.parent_path() / "config.json";
        if (std::filesystem::exists(config)) config_ = readObject(config, kMaxConfigBytes);
    }
    buildIndex();
}

nlohmann::json HfCheckpoint::readObject(const std::filesystem::path& path, std::uint64_t maxBytes) {
    nlohmann::json value = parseJson(readFile(path, maxBytes), path.string());
    if (!value.is_object()) throw Error(path.string() + ": not a JSON object");
    described_.push_back(path);
    return value;
}

void HfCheckpoint::openFolder() {
    const std::filesystem::path config = path_ / "config.json";
    if (!std::filesystem::exists(config)) {
        throw Error(path_.string() + ": the folder has no config.json",
                    "Give the folder of a Hugging Face model, or a .gguf file.");
    }
    config_ = readObject(config, kMaxConfigBytes);
    const std::filesystem::path index = path_ / "model.safetensors.index.json";
    if (std::filesystem::exists(index)) {
        openIndex(index);
    } else if (std::filesystem::exists(path_ / "model.safetensors")) {
        files_.emplace_back(path_ / "model.safetensors");
    } else {
        throw Error(path_.string() +
                    ": the folder has neither model.safetensors nor model.safetensors.index.json");
    }
}

void HfCheckpoint::openIndex(const std::filesystem::path& index) {
    const nlohmann::json root = readObject(index, kMaxIndexBytes);
    const auto map = root.find("weight_map");
    if (map == root.end() || !map->is_object() || map->empty()) {
        throw Error(index.string() + ": no weight_map");
    }
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : map->items()) {
        if (!shard.is_string() || !isPlainFileName(shard.get<std::string>())) {
            throw Error(index.string() + ": tensor '" + tensor + "' is mapped to " +
                        dumpJson(shard) + ", not to a file name");
        }
        shards.insert(shard.get<std::string>());
    }
    files_.reserve(shards.size());
    for (const std::string& shard : shards) {
        if (!std::filesystem::exists(path_ / shard)) {
            throw Error((path_ / shard).string() +
                        ": missing (model.safetensors.index.json names it)");
        }
        files_.emplace_back(path_ / shard);
    }
    std::set<std::pair<std::string_view, std::string_view>> present;  // shard, tensor
    auto file = files_.begin();
    for (const std::string& shard : shards) {
        for (const TensorView& t : (file++)->tensors()) present.emplace(shard, t.name);
    }
    for (const auto& [tensor, shard] : map->items()) {
        const auto& name = shard.get_ref<const std::string&>();
        if (!present.contains({name, tensor})) {
            throw Error((path_ / name).string() + ": tensor '" + tensor +
                        "' is missing (model.safetensors.index.json names it)");
        }
    }
}

void HfCheckpoint::buildIndex() {
    for (const SafetensorsFile& file : files_) {
        tensors_.insert(tensors_.end(), file.tensors().begin(), file.tensors().end());
    }
    byName_.reserve(tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
        if (!byName_.emplace(tensors_[i].name, i).second) {
            throw Error(path_.string() + ": tensor '" + tensors_[i].name + "' is in two files");
        }
    }
}

const TensorView* HfCheckpoint::find(std::string_view name) const noexcept {
    const auto found = byName_.find(name);
    return found == byName_.end() ? nullptr : &tensors_[found->second];
}

std::vector<std::filesystem::path> HfCheckpoint::files() const {
    std::vector<std::filesystem::path> out = described_;
    for (const SafetensorsFile& file : files_) out.push_back(file.file().path());
    return out;
}

std::uint64_t HfCheckpoint::fileBytes() const noexcept {
    std::uint64_t sum = 0;
    for (const SafetensorsFile& file : files_) sum += file.file().size();
    return sum;
}

std::string HfCheckpoint::identity() const {
    Sha256 hash;
    hash.update(dumpJson(config_));
    for (const SafetensorsFile& file : files_) {
        for (const TensorView& t : file.tensors()) {
            hash.update("\n" + t.name + " " + std::string(dtypeInfo(t.type).name) + shapeText(t) +
                        " " + std::to_string(t.data - file.file().data()));
        }
    }
    return hash.hex();
}

void HfCheckpoint::release(const TensorView& t) const noexcept {
    for (const SafetensorsFile& file : files_) {
        const auto drop = [&](const std::byte* data, std::int64_t bytes) {
            if (data == nullptr || !file.file().contains(data)) return;
            file.file().release(static_cast<std::uint64_t>(data - file.file().data()),
                                static_cast<std::uint64_t>(bytes));
        };
        drop(t.data, t.stackStride * (t.stack() - 1) + t.rowStride * t.rows());
        drop(t.scales, t.scaleStackStride * (t.stack() - 1) + t.scaleStride * t.rows());
    }
}

}  // namespace moescope
