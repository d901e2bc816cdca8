// SPDX-License-Identifier: Apache-2.0
// OLMo 2 and OLMo 3: RMSNorm after attention and after the MLP instead of before, and over the
// whole of q and k. OLMo 3 slides in three of four layers and applies YaRN to the fourth only. A
// GGUF file calls both "olmo2"; the window tells them apart.
#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"

namespace moescope {
namespace {

constexpr std::int32_t kSlidingPeriod = 4;

BoundModel bind(const Checkpoint& checkpoint, const ArchitectureOptions& options, bool third) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              gguf ? "olmo2." : "");
    const std::string_view windowKey = gguf ? "attention.sliding_window" : "sliding_window";
    const bool slides = gguf ? config.integerOr(windowKey, 0, 0, 1 << 24) > 0 : third;
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.architecture = slides ? "olmo3" : "olmo2";
    spec.normPlace = NormPlace::Post;
    spec.qkNorm = QkNorm::FullWidth;
    LayerRopes ropes;
    LayerSpec layer;
    BiasRules biases;
    if (gguf) {
        readGgufDimensions(checkpoint, config, spec);
        ropes = readGgufRopes(config, {.ggufAttentionFactor = true}, options);
        layer.ffn = config.integer("feed_forward_length", 1, kMaxFfn);
    } else {
        requireActivation(config, "hidden_act", "silu");
        readHuggingFaceDimensions(checkpoint, config, spec);
        // transformers' defaults where config.json has no theta
        ropes = readHuggingFaceRopes(config, spec, {.theta = third ? 500000.0 : 10000.0}, options);
        layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
        biases = {presenceOf(config, "attention_bias"), Presence::Absent};
    }
    const std::vector<bool> sliding = slidingLayers(config, spec, slides ? kSlidingPeriod : 1);
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, tensors, model);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        const bool windowed = sliding[static_cast<std::size_t>(i)];
        layer.rope = windowed ? ropes.sliding : ropes.full;
        layer.window = windowed ? config.integer(windowKey, 1, 1 << 24) : 0;
        bindLayer(tensors, model, layer, gguf ? kGgufLayer : kHuggingFaceLayer,
                  layerPrefix(checkpoint.layout(), i), biases);
    }
    tensors.refuseUnread(layerRoot(checkpoint.layout()), spec.nLayer);
    return model;
}

}  // namespace

BoundModel bindOlmo2(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, false);
}

BoundModel bindOlmo3(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    return bind(checkpoint, options, true);
}

}  // namespace moescope
