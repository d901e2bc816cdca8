// SPDX-License-Identifier: Apache-2.0
// Gemma 3 (text): a norm before and after each block, norms over each head of q and k, tanh-GELU
// gate, embeddings times sqrt(width), and sliding layers with a RoPE base of their own in five of
// six. Hugging Face folders store the norms' weights less one, GGUF files as they are used. Folders
// of the models that see images too (4B and more) hold this model as a part; the rest is not read.
#include <algorithm>
#include <cmath>

#include "engine/core/count_text.h"
#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"

namespace moescope {
namespace {

constexpr std::int32_t kSlidingPeriod = 6;
/// Gemma 3 27B: the one size whose queries are not scaled by 1 / sqrt(head_dim). GGUF files have no
/// key for it; llama.cpp goes by the number of layers as well.
constexpr std::int32_t kLayersOf27B = 62;

LayerNames huggingFaceNames() {
    LayerNames names = kHuggingFaceLayer;
    names.ffnNorm = "pre_feedforward_layernorm";
    return names;
}

double scaleOfGguf(const ConfigReader& config, const ModelSpec& spec) {
    if (config.has("attention.scale")) return config.number("attention.scale", 1e-6, 1e3);
    const std::int32_t width =
        spec.nLayer == kLayersOf27B ? spec.dModel / spec.nHead : spec.headDim;
    return 1.0 / std::sqrt(static_cast<double>(width));
}

/// The text model within a folder: its configuration and how its tensors are called.
struct TextPart {
    nlohmann::json config;
    std::string layers;  ///< "model.layers."
    EndNames ends;
    std::string leftAside;  ///< as ModelSpec has it, like the next
    std::vector<std::string> leftAsideTensors;
};

/// transformers' Gemma3TextConfig: published folders with images leave out what equals these.
nlohmann::json unsaid() {
    return {
        {"hidden_size", 2304},      {"intermediate_size", 9216},         {"num_hidden_layers", 26},
        {"num_attention_heads", 8}, {"num_key_value_heads", 4},          {"head_dim", 256},
        {"rms_norm_eps", 1e-6},     {"max_position_embeddings", 131072}, {"sliding_window", 4096}};
}

TextPart wholeFolder(const Checkpoint& checkpoint) {
    return {
        checkpoint.config(), layerRoot(checkpoint.layout()), endNames(checkpoint.layout()), {}, {}};
}

TextPart besideImages(const Checkpoint& checkpoint) {
    const ConfigReader whole(checkpoint.config(), checkpoint.path().string());
    if (!whole.at("text_config").is_object())
        whole.fail("configuration key 'text_config' is no group of keys");
    TextPart part{unsaid(), {}, {}, {}, {}};
    part.config.update(checkpoint.config().at("text_config"));
    part.config["tie_word_embeddings"] = whole.flagOr("tie_word_embeddings", true);
    std::string root = "model.language_model.";  // as the model in memory has them
    if (checkpoint.find("language_model.model.embed_tokens.weight") != nullptr)
        root = "language_model.model.";
    part.layers = root + "layers.";
    const bool inside = checkpoint.find("language_model.lm_head.weight") != nullptr;
    part.ends = {root + "embed_tokens.weight", root + "norm.weight", root + "norm.bias",
                 inside ? "language_model.lm_head.weight" : "lm_head.weight"};
    for (const TensorView& t : checkpoint.tensors())
        if (!t.name.starts_with(root) && t.name != part.ends.head)
            part.leftAsideTensors.emplace_back(t.name);
    part.leftAside = "the image encoder and its projection (" +
                     countText(part.leftAsideTensors.size(), "tensor") +
                     "): text alone is computed";
    return part;
}

BoundModel bind(const Checkpoint& checkpoint, const ArchitectureOptions& options,
                const TextPart& part) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(part.config, checkpoint.path().string(), gguf ? "gemma3." : "");
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.leftAside = part.leftAside;
    spec.leftAsideTensors = part.leftAsideTensors;
    spec.norm = gguf ? NormKind::Rms : NormKind::RmsPlusOne;
    spec.normPlace = NormPlace::PreAndPost;
    spec.qkNorm = QkNorm::PerHead;
    spec.activation = Activation::GeluTanh;
    const RopeDefaults ropeDefaults{.theta = 1e6, .slidingTheta = 10000.0};
    LayerRopes ropes;
    LayerSpec layer;
    BiasRules biases;
    std::vector<bool> sliding;
    refuseSwitch(config, "final_logit_softcapping");
    if (gguf) {
        readGgufDimensions(checkpoint, config, spec);
        ropes = readGgufRopes(config, ropeDefaults, options);
        layer.ffn = config.integer("feed_forward_length", 1, kMaxFfn);
        spec.attentionScale = static_cast<float>(scaleOfGguf(config, spec));
        const bool slides = config.integerOr("attention.sliding_window", 0, 0, 1 << 24) > 0;
        sliding = slidingLayers(config, spec, slides ? kSlidingPeriod : 1);
    } else {
        requireActivation(config, "hidden_activation", "gelu_pytorch_tanh");
        refuseSwitch(config, "attn_logit_softcapping");
        refuseSwitch(config, "use_bidirectional_attention");
        readHuggingFaceDimensions(checkpoint, config, spec);
        ropes = readHuggingFaceRopes(config, spec, ropeDefaults, options);
        layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
        spec.attentionScale = static_cast<float>(
            1.0 / std::sqrt(config.numberOr("query_pre_attn_scalar", 256.0, 1e-6, 1e6)));
        biases = {presenceOf(config, "attention_bias"), Presence::Absent};
        sliding = slidingLayers(
            config, spec, config.integerOr("sliding_window_pattern", kSlidingPeriod, 1, 1 << 10));
    }
    // In float32, as llama.cpp and a float32 run of transformers have it; a bfloat16 run rounds it.
    spec.embeddingScale = static_cast<float>(std::sqrt(static_cast<double>(spec.dModel)));
    TensorBinder tensors(checkpoint, model.weights);
    EndNames ends = part.ends;
    ends.tiedUnlessSaid = true;
    bindEnds(checkpoint, config, tensors, model, ends);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        const bool windowed = sliding[static_cast<std::size_t>(i)];
        layer.rope = windowed ? ropes.sliding : ropes.full;
        layer.window =
            windowed
                ? config.integer(gguf ? "attention.sliding_window" : "sliding_window", 1, 1 << 24)
                : 0;
        bindLayer(tensors, model, layer, gguf ? kGgufLayer : huggingFaceNames(),
                  part.layers + std::to_string(i) + ".", biases);
    }
    tensors.refuseUnread(part.layers, spec.nLayer);
    return model;
}

}  // namespace

BoundModel bindGemma3(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, wholeFolder(checkpoint));
}

BoundModel bindGemma3WithImages(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, besideImages(checkpoint));
}

}  // namespace moescope
