// SPDX-License-Identifier: Apache-2.0
// OLMoE: pre-norm, RMSNorm over the whole of q and k, softmax over all experts of which the top-k
// are used as they are.
#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"

namespace moescope {

BoundModel bindOlmoe(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              gguf ? "olmoe." : "");
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.qkNorm = QkNorm::FullWidth;
    LayerSpec layer;
    layer.mlp = MlpKind::Experts;
    BiasRules biases;
    if (gguf) {
        refuseSwitch(config, "attention.clamp_kqv");
        readGgufDimensions(checkpoint, config, spec);
        layer.rope = readGgufRope(config, {}, options);
        const bool own = config.has("expert_feed_forward_length");
        layer.ffn =
            config.integer(own ? "expert_feed_forward_length" : "feed_forward_length", 1, kMaxFfn);
    } else {
        requireActivation(config, "hidden_act", "silu");
        refuseSwitch(config, "clip_qkv");
        readHuggingFaceDimensions(checkpoint, config, spec);
        layer.rope = readHuggingFaceRope(config, spec, {}, options);
        layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
        biases.attention = presenceOf(config, "attention_bias");
    }
    readRouting(config, checkpoint.layout(), false, spec);
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, tensors, model);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        bindLayer(tensors, model, layer, gguf ? kGgufLayer : kHuggingFaceLayer,
                  layerPrefix(checkpoint.layout(), i), biases);
    }
    tensors.refuseUnread(layerRoot(checkpoint.layout()), spec.nLayer);
    return model;
}

}  // namespace moescope
