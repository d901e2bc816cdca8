// SPDX-License-Identifier: Apache-2.0
// Llama and SmolLM2: pre-norm, grouped-query attention, RoPE, SiLU-gated MLP, often a tied head.
#include "engine/formats/dtypes.h"
#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"

namespace moescope {
namespace {

void refuseVariants(const ConfigReader& config, bool gguf) {
    if (!gguf) return requireActivation(config, "hidden_act", "silu");
    if (config.integerOr("expert_count", 0, 0, 1 << 20) != 0) {
        config.fail("mixture-of-experts models of the llama family are not supported");
    }
}

}  // namespace

BoundModel bindLlama(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              gguf ? "llama." : "");
    refuseVariants(config, gguf);
    BoundModel model;
    ModelSpec& spec = model.spec;
    LayerSpec layer;
    BiasRules biases;
    if (gguf) {
        readGgufDimensions(checkpoint, config, spec);
        layer.rope = readGgufRope(config, {}, options);
        // llama.cpp's converter permutes the rows of q and k to pair neighbours.
        layer.rope.pairing = RopePairing::Interleaved;
        layer.ffn = config.integer("feed_forward_length", 1, kMaxFfn);
    } else {
        readHuggingFaceDimensions(checkpoint, config, spec);
        layer.rope = readHuggingFaceRope(config, spec, {}, options);
        layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
        biases = {presenceOf(config, "attention_bias"), presenceOf(config, "mlp_bias")};
    }
    spec.activation = Activation::Silu;
    TensorBinder tensors(checkpoint, model.weights);
    if (gguf && tensors.has("rope_freqs.weight")) {
        const TensorView t = tensors.vector("rope_freqs.weight", {spec.headDim / 2});
        refuseNotFinite(t);
        layer.rope.divisors.resize(static_cast<std::size_t>(t.cols()));
        dequantizeRow(t, 0, 0, layer.rope.divisors);
    }
    bindEnds(checkpoint, tensors, model);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        bindLayer(tensors, model, layer, gguf ? kGgufLayer : kHuggingFaceLayer,
                  layerPrefix(checkpoint.layout(), i), biases);
    }
    tensors.refuseUnread(layerRoot(checkpoint.layout()), spec.nLayer);
    return model;
}

}  // namespace moescope
