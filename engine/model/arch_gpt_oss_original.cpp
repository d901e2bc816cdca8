// SPDX-License-Identifier: Apache-2.0
// gpt-oss as OpenAI publishes it beside the Hugging Face folder ("original/"): names of its own, q,
// k and v in one matrix, a config.json that names no architecture and neither norm epsilon nor
// context (both are constants of OpenAI's implementation).
#include <algorithm>

#include "engine/model/architectures.h"
#include "engine/model/gpt_oss_experts.h"
#include "engine/model/layer_binding.h"

namespace moescope {
namespace {

constexpr Mxfp4Names kMxfp4Names{"mlp1_weight.blocks", "mlp1_weight.scales", "mlp2_weight.blocks",
                                 "mlp2_weight.scales"};
constexpr DimensionKeys kDimensions{"num_hidden_layers",
                                    "hidden_size",
                                    "initial_context_length",
                                    "num_attention_heads",
                                    "num_key_value_heads",
                                    "head_dim",
                                    ""};

RopeSpec readRope(const ConfigReader& config, const ArchitectureOptions& options) {
    RopeSpec rope;
    rope.theta = config.number("rope_theta", 1.001, 1e12);
    rope.factor = config.number("rope_scaling_factor", 1.0, 1e6);
    rope.yarn = rope.factor > 1.0;
    rope.betaFast = config.numberOr("rope_ntk_beta", 32.0, 1e-3, 1e6);
    rope.betaSlow = config.numberOr("rope_ntk_alpha", 1.0, 1e-3, 1e6);
    rope.originalContext = config.integer("initial_context_length", 1, 1 << 24);
    rope.truncate = options.ggmlCompatibleYarn;
    return rope;
}

void bindAttention(TensorBinder& tensors, const ModelSpec& spec, const std::string& prefix,
                   LayerWeights& layer) {
    const std::int64_t d = spec.dModel;
    const std::int64_t qWidth = std::int64_t{spec.nHead} * spec.headDim;
    const std::int64_t kvWidth = std::int64_t{spec.nKvHead} * spec.headDim;
    layer.attnNorm = tensors.vector(prefix + "attn.norm.scale", {d});
    const TensorView qkv = tensors.matrix(prefix + "attn.qkv.weight", {qWidth + 2 * kvWidth, d});
    const TensorView bias = tensors.vector(prefix + "attn.qkv.bias", {qWidth + 2 * kvWidth});
    layer.q = rowsOf(qkv, 0, qWidth);
    layer.k = rowsOf(qkv, qWidth, kvWidth);
    layer.v = rowsOf(qkv, qWidth + kvWidth, kvWidth);
    layer.qBias = rowsOf(bias, 0, qWidth);
    layer.kBias = rowsOf(bias, qWidth, kvWidth);
    layer.vBias = rowsOf(bias, qWidth + kvWidth, kvWidth);
    layer.sinks = tensors.vector(prefix + "attn.sinks", {spec.nHead});
    layer.o = tensors.matrix(prefix + "attn.out.weight", {d, qWidth});
    layer.oBias = tensors.vector(prefix + "attn.out.bias", {d});
}

void bindExperts(TensorBinder& tensors, const ConfigReader& config, const ModelSpec& spec,
                 std::int64_t ffn, const std::string& prefix, LayerWeights& layer) {
    const std::int64_t n = spec.nExpert;
    const std::int64_t d = spec.dModel;
    layer.ffnNorm = tensors.vector(prefix + "norm.scale", {d});
    layer.router = tensors.matrix(prefix + "gate.weight", {n, d});
    layer.routerBias = tensors.vector(prefix + "gate.bias", {n});
    if (tensors.has(prefix + kMxfp4Names.gateUpBlocks)) {
        bindMxfp4Experts(tensors, config, spec, ffn, kMxfp4Names, prefix, layer);
    } else {
        const TensorView gateUp = tensors.matrix(prefix + "mlp1_weight", {n, 2 * ffn, d});
        layer.gate = everySecondRow(gateUp, 0);
        layer.up = everySecondRow(gateUp, 1);
        layer.down = tensors.matrix(prefix + "mlp2_weight", {n, d, ffn});
    }
    bindInterleavedBiases(tensors, spec, ffn, prefix + "mlp1_bias", prefix + "mlp2_bias", layer);
}

}  // namespace

BoundModel bindGptOssOriginal(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const ConfigReader config(checkpoint.config(), checkpoint.path().string());
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.activation = Activation::GptOssSwiGlu;
    spec.routing = RoutingRule::TopKThenSoftmax;
    spec.sinks = true;
    spec.normEps = 1e-5F;
    readDimensions(checkpoint, config, kDimensions, spec);
    LayerSpec layer;
    layer.mlp = MlpKind::Experts;
    layer.rope = readRope(config, options);
    layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
    spec.contextLength = static_cast<std::int32_t>(
        std::min(layer.rope.factor * spec.contextLength, static_cast<double>(1 << 24)));
    spec.nExpert = config.integer("num_experts", 1, kMaxExperts);
    spec.topK = config.integer("experts_per_token", 1, spec.nExpert);
    spec.swigluLimit = static_cast<float>(config.numberOr("swiglu_limit", 7.0, 1e-3, 1e6));
    const std::int32_t window = config.integer("sliding_window", 1, 1 << 24);
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, config, tensors, model,
             {"embedding.weight", "norm.scale", "", "unembedding.weight"});
    if (spec.tiedHead) config.fail("tensor 'unembedding.weight' is missing");
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        const std::string prefix = "block." + std::to_string(i) + ".";
        layer.window = i % 2 == 0 ? window : 0;
        LayerWeights& w = model.weights.layers.emplace_back();
        bindAttention(tensors, spec, prefix, w);
        bindExperts(tensors, config, spec, layer.ffn, prefix + "mlp.", w);
        spec.layers.push_back(layer);
    }
    tensors.refuseUnread("block.", spec.nLayer);
    return model;
}

}  // namespace moescope
