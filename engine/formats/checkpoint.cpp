// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/checkpoint.h"

#include "engine/core/error.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_checkpoint.h"

namespace moescope {

bool Checkpoint::synthetic() const {
    const char* key =
        layout() == CheckpointLayout::Gguf ? "general.moescope.synthetic" : "moescope_synthetic";
    const auto found = config().find(key);
    return found != config().end() && found->is_boolean() && found->get<bool>();
}

std::unique_ptr<Checkpoint> openCheckpoint(const std::filesystem::path& path) {
    std::error_code code;
    const auto status = std::filesystem::status(path, code);
    if (status.type() == std::filesystem::file_type::not_found) {
        throw Error(path.string() + ": no such file or folder");
    }
    if (std::filesystem::is_directory(status) || path.extension() == ".safetensors") {
        return std::make_unique<HfCheckpoint>(path);
    }
    // Whatever the name: downloads are often called by their checksum (Ollama's blobs).
    return std::make_unique<GgufCheckpoint>(path);
}

}  // namespace moescope
