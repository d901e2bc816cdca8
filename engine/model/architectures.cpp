// SPDX-License-Identifier: Apache-2.0
#include "engine/model/architectures.h"

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr Architecture kArchitectures[] = {
    {"gpt-oss", "gpt-oss", "gpt_oss", bindGptOss},
    {"gpt-oss", "", "", bindGptOssOriginal, "block.0.attn.qkv.weight"},
    {"llama", "llama", "llama", bindLlama},
    {"qwen3", "qwen3", "qwen3", bindQwen3},
    {"qwen3-moe", "qwen3moe", "qwen3_moe", bindQwen3Moe},
    {"olmoe", "olmoe", "olmoe", bindOlmoe},
    {"olmo2", "olmo2", "olmo2", bindOlmo2},
    {"olmo3", "", "olmo3", bindOlmo3},  // in GGUF an olmo2 with a window
    {"gpt2", "gpt2", "gpt2", bindGpt2},
    {"gemma3", "gemma3", "gemma3_text", bindGemma3},
};

std::string supported(bool gguf) {
    std::string names;
    for (const Architecture& a : kArchitectures) {
        const std::string_view name = gguf ? a.ggufName : a.huggingFaceName;
        if (name.empty()) continue;
        if (!names.empty()) names += ", ";
        names += name;
    }
    return names;
}

}  // namespace

std::span<const Architecture> architectures() noexcept {
    return kArchitectures;
}

BoundModel bindModel(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const char* key = gguf ? "general.architecture" : "model_type";
    const auto& config = checkpoint.config();
    const auto found = config.find(key);
    const bool named = found != config.end() && found->is_string();
    const auto wanted = named ? found->get<std::string>() : std::string();
    for (const Architecture& a : kArchitectures) {
        const std::string_view name = gguf ? a.ggufName : a.huggingFaceName;
        const bool fits = named ? !name.empty() && name == wanted
                                : !a.tensor.empty() && checkpoint.find(a.tensor) != nullptr;
        if (!fits) continue;
        BoundModel model = a.bind(checkpoint, options);
        if (model.spec.architecture.empty()) model.spec.architecture = a.name;
        return model;
    }
    if (!named) {
        throw Error(checkpoint.path().string() + ": configuration key '" + key + "' is missing");
    }
    throw Error(checkpoint.path().string() + ": architecture '" + wanted + "' (key '" + key +
                    "') is not supported",
                "supported: " + supported(gguf));
}

}  // namespace moescope
