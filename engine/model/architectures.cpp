// SPDX-License-Identifier: Apache-2.0
#include "engine/model/architectures.h"

#include "engine/core/error.h"
#include "engine/model/binding.h"

namespace moescope {
namespace {

constexpr Architecture kArchitectures[] = {
    {"gpt-oss", "gpt-oss", "gpt_oss", bindGptOss},
    {"gpt-oss", "", "", bindGptOssOriginal, "block.0.attn.qkv.weight"},
    {"llama", "llama", "llama", bindLlama},
    {"mistral", "", "mistral", bindMistral},  // in GGUF a llama, as is Mixtral with its experts
    {"mixtral", "", "mixtral", bindMixtral},
    {"qwen2", "qwen2", "qwen2", bindQwen2},
    {"qwen3", "qwen3", "qwen3", bindQwen3},
    {"qwen3-moe", "qwen3moe", "qwen3_moe", bindQwen3Moe},
    {"olmoe", "olmoe", "olmoe", bindOlmoe},
    {"olmo2", "olmo2", "olmo2", bindOlmo2},
    {"olmo3", "", "olmo3", bindOlmo3},  // in GGUF an olmo2 with a window
    {"gpt2", "gpt2", "gpt2", bindGpt2},
    {"gemma3", "gemma3", "gemma3_text", bindGemma3},
    {"gemma3", "", "gemma3", bindGemma3WithImages},
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

/// Folders of other quantisers hold tensors that merely look like weights.
void refuseQuantisation(const Checkpoint& checkpoint, const Architecture& architecture) {
    const ConfigReader config(checkpoint.config(), checkpoint.path().string());
    if (!config.has("quantization_config")) return;
    const bool mxfp4 = architecture.huggingFaceName == "gpt_oss";
    const std::string method = config.group("quantization_config").textOr("quant_method", "");
    if (mxfp4 && method == "mxfp4") return;
    config.fail("quantisation '" + method + "' (key 'quantization_config.quant_method') is not " +
                "supported, expected " + (mxfp4 ? "mxfp4 or none" : "none"));
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
        if (!gguf) refuseQuantisation(checkpoint, a);
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
