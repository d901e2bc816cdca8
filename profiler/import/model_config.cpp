// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/model_config.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/routed_facts.h"

namespace moescope {
namespace {

using nlohmann::json;

/// Reads the configuration of the language model, which multimodal ones have under "text_config".
class Config {
public:
    explicit Config(const std::filesystem::path& path) : origin_(path.string()) {
        constexpr std::uint64_t kMaxBytes = 16ULL << 20U;
        outer_ = parseJson(readFile(path, kMaxBytes), origin_);
        config_ =
            outer_.is_object() && outer_.contains("text_config") ? outer_["text_config"] : outer_;
        if (!config_.is_object()) throw Error(origin_ + ": is no config.json of a model");
    }

    /// The first key that is there, 0 without any: architectures name the same differently.
    int number(std::initializer_list<const char*> keys, std::int64_t most) const {
        for (const char* key : keys) {
            const auto found = config_.find(key);
            if (found == config_.end() || found->is_null()) continue;
            if (!found->is_number_integer() || found->get<std::int64_t>() < 1 ||
                found->get<std::int64_t>() > most)
                throw Error(origin_ + ": \"" + key + "\" is " + dumpJson(*found) +
                            ", no number from 1 to " + std::to_string(most));
            return found->get<int>();
        }
        return 0;
    }

    /// In bits of a weight, scales included; 0: not known.
    double weightBits() const {
        // What holds for all parts of a model may stand outside.
        std::string type;
        for (const json* object : {&std::as_const(config_), &std::as_const(outer_)}) {
            const auto quantized = object->find("quantization_config");
            if (quantized != object->end() && quantized->is_object()) {
                const std::string method = textOf(*quantized, "quant_method");
                if (method == "mxfp4") return 4.25;
                return method == "fp8" ? 8 : 0;
            }
            for (const char* key : {"torch_dtype", "dtype"})
                if (type.empty()) type = textOf(*object, key);
        }
        if (type == "bfloat16" || type == "float16") return 16;
        return type == "float32" ? 32 : 0;
    }

    const std::string& origin() const noexcept { return origin_; }

private:
    static std::string textOf(const json& object, const char* key) {
        const auto found = object.find(key);
        return found != object.end() && found->is_string() ? found->get<std::string>() : "";
    }

    std::string origin_;
    json outer_, config_;
};

}  // namespace

ModelFacts factsOfConfig(const std::filesystem::path& path) {
    const Config config(path);
    ModelFacts facts;
    facts.experts =
        config.number({"num_local_experts", "num_experts", "n_routed_experts"}, kMaxImportExperts);
    facts.topK = config.number({"num_experts_per_tok", "experts_per_token"}, kMaxImportTopK);
    if (facts.experts == 0 || facts.topK == 0)
        throw Error(config.origin() + ": describes no mixture of experts",
                    "its experts would be num_experts, num_local_experts or n_routed_experts, and "
                    "num_experts_per_tok of them a token's");
    facts.layers = config.number({"num_hidden_layers"}, kMaxImportLayers);
    constexpr std::int64_t kMaxWidth = 1 << 20;
    facts.width = config.number({"hidden_size"}, kMaxWidth);
    facts.ffn = config.number({"moe_intermediate_size", "intermediate_size"}, kMaxWidth);
    constexpr double kMatrices = 3, kBits = 8;
    facts.expertBytes = static_cast<std::int64_t>(kMatrices * facts.width * facts.ffn *
                                                  config.weightBits() / kBits);
    return facts;
}

}  // namespace moescope
