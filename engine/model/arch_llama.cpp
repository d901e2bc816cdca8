// SPDX-License-Identifier: Apache-2.0
// Llama, SmolLM2, Mistral and Mixtral: pre-norm, grouped-query attention, RoPE, SiLU-gated MLP,
// often a tied head. Of Mistral and Mixtral all layers slide where a window is given. Mixtral's
// router takes a softmax over all experts and divides the top-k by their sum. GGUF calls all of
// them "llama".
#include "engine/formats/dtypes.h"
#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"

namespace moescope {
namespace {

enum class Family : std::uint8_t { Llama, Mistral, Mixtral };

constexpr std::int32_t kMaxWindow = 1 << 24;
/// What transformers takes for a mistral whose config.json lacks the key; null means no window.
constexpr std::int32_t kMistralWindow = 4096;

/// Width of the window of every layer; 0: none.
std::int32_t windowOf(const Checkpoint& checkpoint, const ConfigReader& config, Family family) {
    if (checkpoint.layout() == CheckpointLayout::Gguf)
        return config.integerOr("attention.sliding_window", 0, 0, kMaxWindow);
    if (family == Family::Llama) return 0;
    const bool silent = !checkpoint.config().contains("sliding_window");
    if (silent && family == Family::Mistral) return kMistralWindow;
    return config.has("sliding_window") ? config.integer("sliding_window", 1, kMaxWindow) : 0;
}

LayerNames layerNames(const TensorBinder& tensors, bool gguf) {
    LayerNames names = gguf ? kGgufLayer : kHuggingFaceLayer;
    if (!gguf) {
        names.router = "block_sparse_moe.gate";
        names.expertGate = "block_sparse_moe.experts.*.w1";
        names.expertUp = "block_sparse_moe.experts.*.w3";
        names.expertDown = "block_sparse_moe.experts.*.w2";
    } else if (tensors.has("blk.0.ffn_gate.0.weight")) {  // files before April 2024
        names.expertGate = "ffn_gate.*";
        names.expertUp = "ffn_up.*";
        names.expertDown = "ffn_down.*";
    }
    return names;
}

void readGguf(const Checkpoint& checkpoint, const ConfigReader& config,
              const ArchitectureOptions& options, ModelSpec& spec, LayerSpec& layer) {
    readGgufDimensions(checkpoint, config, spec);
    layer.rope = readGgufRope(config, {}, options);
    // llama.cpp's converter permutes the rows of q and k to pair neighbours.
    layer.rope.pairing = RopePairing::Interleaved;
    const bool own = config.has("expert_feed_forward_length");
    layer.ffn =
        config.integer(own ? "expert_feed_forward_length" : "feed_forward_length", 1, kMaxFfn);
}

/// Transformers' default where config.json has no theta.
double defaultTheta(Family family) {
    return family == Family::Mixtral ? 1e6 : 10000.0;
}

BoundModel bind(const Checkpoint& checkpoint, const ArchitectureOptions& options, Family family) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              gguf ? "llama." : "");
    if (gguf && config.integerOr("expert_count", 0, 0, kMaxExperts) > 0) family = Family::Mixtral;
    BoundModel model;
    ModelSpec& spec = model.spec;
    if (family == Family::Mixtral) spec.architecture = "mixtral";
    LayerSpec layer;
    BiasRules biases;
    if (gguf) {
        readGguf(checkpoint, config, options, spec, layer);
    } else {
        requireActivation(config, "hidden_act", "silu");
        readHuggingFaceDimensions(checkpoint, config, spec);
        layer.rope = readHuggingFaceRope(config, spec, {.theta = defaultTheta(family)}, options);
        layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
        biases = family == Family::Llama ? BiasRules{presenceOf(config, "attention_bias"),
                                                     presenceOf(config, "mlp_bias")}
                                         : BiasRules{Presence::Absent, Presence::Absent};
    }
    layer.window = windowOf(checkpoint, config, family);
    if (family == Family::Mixtral) {
        layer.mlp = MlpKind::Experts;
        readRouting(config, checkpoint.layout(), true, spec);
    }
    TensorBinder tensors(checkpoint, model.weights);
    if (gguf && tensors.has("rope_freqs.weight")) {
        const TensorView t = tensors.vector("rope_freqs.weight", {spec.headDim / 2});
        refuseNotFinite(t);
        layer.rope.divisors.resize(static_cast<std::size_t>(t.cols()));
        dequantizeRow(t, 0, 0, layer.rope.divisors);
    }
    bindEnds(checkpoint, tensors, model);
    const LayerNames names = layerNames(tensors, gguf);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        bindLayer(tensors, model, layer, names, layerPrefix(checkpoint.layout(), i), biases);
    }
    tensors.refuseUnread(layerRoot(checkpoint.layout()), spec.nLayer);
    return model;
}

}  // namespace

BoundModel bindLlama(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, Family::Llama);
}

BoundModel bindMistral(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, Family::Mistral);
}

BoundModel bindMixtral(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, Family::Mixtral);
}

}  // namespace moescope
