// SPDX-License-Identifier: Apache-2.0
// Qwen2, Qwen3 and Qwen3-MoE. Qwen2 (2.5 among them) is Llama's layer with biases of q, k and v.
// Qwen3 has an RMSNorm over each head of q and k before RoPE instead; in its MoE models a softmax
// over all experts, of which the top-k are used and divided by their sum.
#include <algorithm>

#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"

namespace moescope {
namespace {

enum class Family : std::uint8_t { Qwen2, Qwen3, Qwen3Moe };

struct Reader {
    const ConfigReader& config;
    bool gguf = false;
    bool experts = false;

    /// Layers that slide: none, unless config.json switches it on.
    std::vector<bool> sliding(const ModelSpec& spec) const {
        if (!gguf && config.flagOr("use_sliding_window", false)) {
            if (config.has("layer_types")) return slidingLayers(config, spec, 1);
            // Of the MoE models all layers slide, although their files carry the key.
            const std::int32_t full =
                experts ? 0 : config.integerOr("max_window_layers", 28, 0, 1 << 20);
            std::vector<bool> layers;
            for (std::int32_t i = 0; i < spec.nLayer; ++i) layers.push_back(i >= full);
            return layers;
        }
        return std::vector<bool>(static_cast<std::size_t>(spec.nLayer), false);
    }

    /// The dense layers of a MoE model.
    bool isDense(std::int32_t layer) const {
        if (gguf) return false;
        if ((layer + 1) % config.integerOr("decoder_sparse_step", 1, 1, 1 << 20) != 0) return true;
        if (!config.has("mlp_only_layers")) return false;
        const nlohmann::json& list = config.at("mlp_only_layers");
        if (!list.is_array()) config.fail("configuration key 'mlp_only_layers' must be a list");
        return std::find(list.begin(), list.end(), layer) != list.end();
    }

    std::int32_t denseFfn() const {
        return config.integer(gguf ? "feed_forward_length" : "intermediate_size", 1, kMaxFfn);
    }
    std::int32_t expertFfn() const {
        return config.integer(gguf ? "expert_feed_forward_length" : "moe_intermediate_size", 1,
                              kMaxFfn);
    }
};

BiasRules biasRules(const ConfigReader& config, Family family, bool gguf) {
    // Not a matter of any key: transformers and llama.cpp have them in every Qwen2.
    if (family == Family::Qwen2) return {Presence::Required, Presence::Absent, Presence::Absent};
    if (gguf) return {};
    return {presenceOf(config, "attention_bias"), Presence::Absent};
}

BoundModel bind(const Checkpoint& checkpoint, const ArchitectureOptions& options, Family family) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const bool experts = family == Family::Qwen3Moe;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              !gguf                     ? ""
                              : experts                 ? "qwen3moe."
                              : family == Family::Qwen3 ? "qwen3."
                                                        : "qwen2.");
    const Reader reader{config, gguf, experts};
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.qkNorm = family == Family::Qwen2 ? QkNorm::None : QkNorm::PerHead;
    LayerSpec common;
    const BiasRules biases = biasRules(config, family, gguf);
    if (gguf) {
        readGgufDimensions(checkpoint, config, spec);
        common.rope = readGgufRope(config, {}, options);
    } else {
        requireActivation(config, "hidden_act", "silu");
        readHuggingFaceDimensions(checkpoint, config, spec);
        common.rope = readHuggingFaceRope(config, spec, {}, options);
    }
    if (experts) readRouting(config, checkpoint.layout(), gguf, spec);
    const std::vector<bool> sliding = reader.sliding(spec);
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, tensors, model);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        LayerSpec layer = common;
        const bool routed = experts && !reader.isDense(i);
        layer.mlp = routed ? MlpKind::Experts : MlpKind::Gated;
        layer.ffn = routed ? reader.expertFfn() : reader.denseFfn();
        if (sliding[static_cast<std::size_t>(i)]) {
            layer.window = config.integer("sliding_window", 1, 1 << 24);
        }
        bindLayer(tensors, model, layer, gguf ? kGgufLayer : kHuggingFaceLayer,
                  layerPrefix(checkpoint.layout(), i), biases);
    }
    tensors.refuseUnread(layerRoot(checkpoint.layout()), spec.nLayer);
    return model;
}

}  // namespace

BoundModel bindQwen2(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, Family::Qwen2);
}

BoundModel bindQwen3(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, Family::Qwen3);
}

BoundModel bindQwen3Moe(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, Family::Qwen3Moe);
}

}  // namespace moescope
