// SPDX-License-Identifier: Apache-2.0
// Llama and SmolLM2: pre-norm, grouped-query attention, RoPE, SiLU-gated MLP, often a tied head.
#include "engine/model/architectures.h"
#include "engine/model/binding.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxFfn = 1 << 20;

struct Names {
    const char *attnNorm, *q, *k, *v, *o, *ffnNorm, *gate, *up, *down;
};
constexpr Names kGguf{"attn_norm", "attn_q",   "attn_k", "attn_v",  "attn_output",
                      "ffn_norm",  "ffn_gate", "ffn_up", "ffn_down"};
constexpr Names kHuggingFace{"input_layernorm",  "self_attn.q_proj", "self_attn.k_proj",
                             "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm",
                             "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};

LayerWeights bindLayer(TensorBinder& tensors, const ModelSpec& spec, std::int64_t ffn,
                       const Names& names, const std::string& prefix) {
    const std::int64_t d = spec.dModel;
    const std::int64_t qWidth = std::int64_t{spec.nHead} * spec.headDim;
    const std::int64_t kvWidth = std::int64_t{spec.nKvHead} * spec.headDim;
    const auto weight = [&](const char* name) { return prefix + name + ".weight"; };
    const auto bias = [&](const char* name) { return prefix + name + ".bias"; };
    LayerWeights layer;
    layer.attnNorm = tensors.vector(weight(names.attnNorm), {d});
    layer.q = tensors.matrix(weight(names.q), {qWidth, d});
    layer.k = tensors.matrix(weight(names.k), {kvWidth, d});
    layer.v = tensors.matrix(weight(names.v), {kvWidth, d});
    layer.o = tensors.matrix(weight(names.o), {d, qWidth});
    layer.qBias = tensors.vectorIfPresent(bias(names.q), {qWidth});
    layer.kBias = tensors.vectorIfPresent(bias(names.k), {kvWidth});
    layer.vBias = tensors.vectorIfPresent(bias(names.v), {kvWidth});
    layer.oBias = tensors.vectorIfPresent(bias(names.o), {d});
    layer.ffnNorm = tensors.vector(weight(names.ffnNorm), {d});
    layer.gate = tensors.matrix(weight(names.gate), {ffn, d});
    layer.up = tensors.matrix(weight(names.up), {ffn, d});
    layer.down = tensors.matrix(weight(names.down), {d, ffn});
    layer.gateBias = tensors.vectorIfPresent(bias(names.gate), {ffn});
    layer.upBias = tensors.vectorIfPresent(bias(names.up), {ffn});
    layer.downBias = tensors.vectorIfPresent(bias(names.down), {d});
    return layer;
}

void refuseVariants(const Checkpoint& checkpoint, const ConfigReader& config, bool gguf) {
    if (gguf && checkpoint.find("rope_freqs.weight") != nullptr) {
        config.fail("Llama 3 RoPE scaling (rope_freqs.weight) is not supported");
    }
    if (gguf && config.integerOr("expert_count", 0, 0, 1 << 20) != 0) {
        config.fail("mixture-of-experts models of the llama family are not supported");
    }
    if (!gguf && config.textOr("hidden_act", "silu") != "silu") {
        config.fail("activation '" + config.textOr("hidden_act", "") + "' is not supported");
    }
}

}  // namespace

BoundModel bindLlama(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              gguf ? "llama." : "");
    refuseVariants(checkpoint, config, gguf);
    BoundModel model;
    ModelSpec& spec = model.spec;
    LayerSpec layer;
    if (gguf) {
        readGgufDimensions(checkpoint, config, spec);
        layer.rope = readGgufRope(config, true, options);
        // llama.cpp's converter permutes the rows of q and k to pair neighbours.
        layer.rope.pairing = RopePairing::Interleaved;
        layer.ffn = config.integer("feed_forward_length", 1, kMaxFfn);
    } else {
        readHuggingFaceDimensions(checkpoint, config, spec);
        layer.rope = readHuggingFaceRope(config, spec, true, options);
        layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
    }
    spec.activation = Activation::Silu;
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, tensors, model);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        spec.layers.push_back(layer);
        model.weights.layers.push_back(bindLayer(tensors, spec, layer.ffn,
                                                 gguf ? kGguf : kHuggingFace,
                                                 layerPrefix(checkpoint.layout(), i)));
    }
    return model;
}

}  // namespace moescope
