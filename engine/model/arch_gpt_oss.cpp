// SPDX-License-Identifier: Apache-2.0
// gpt-oss-20b and -120b: attention sinks, alternating sliding windows, YaRN, biases everywhere,
// top-k routing before the softmax, clamped SwiGLU experts in MXFP4.
#include "engine/model/architectures.h"
#include "engine/model/binding.h"
#include "engine/model/gpt_oss_experts.h"
#include "engine/run/memory.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxFfn = 1 << 17;
constexpr std::int64_t kMaxExperts = 4096;
/// Checkpoints with dequantised experts hold them transposed; copying is for small models.
constexpr std::int64_t kMaxTransposedBytes = std::int64_t{8} << 30;

constexpr Mxfp4Names kMxfp4Names{"gate_up_proj_blocks", "gate_up_proj_scales", "down_proj_blocks",
                                 "down_proj_scales"};

struct Names {
    const char *attnNorm, *q, *k, *v, *o, *sinks, *ffnNorm, *router;
};
constexpr Names kGguf{
    "attn_norm",           "attn_q",      "attn_k", "attn_v", "attn_output", "attn_sinks.weight",
    "post_attention_norm", "ffn_gate_inp"};
constexpr Names kHuggingFace{"input_layernorm",          "self_attn.q_proj", "self_attn.k_proj",
                             "self_attn.v_proj",         "self_attn.o_proj", "self_attn.sinks",
                             "post_attention_layernorm", "mlp.router"};

void bindAttentionAndRouter(TensorBinder& tensors, const ModelSpec& spec, const Names& names,
                            const std::string& prefix, LayerWeights& layer) {
    const std::int64_t d = spec.dModel;
    const std::int64_t qWidth = std::int64_t{spec.nHead} * spec.headDim;
    const std::int64_t kvWidth = std::int64_t{spec.nKvHead} * spec.headDim;
    const auto weight = [&](const char* name) { return prefix + name + ".weight"; };
    const auto bias = [&](const char* name) { return prefix + name + ".bias"; };
    layer.attnNorm = tensors.vector(weight(names.attnNorm), {d});
    layer.q = tensors.matrix(weight(names.q), {qWidth, d});
    layer.k = tensors.matrix(weight(names.k), {kvWidth, d});
    layer.v = tensors.matrix(weight(names.v), {kvWidth, d});
    layer.o = tensors.matrix(weight(names.o), {d, qWidth});
    layer.qBias = tensors.vector(bias(names.q), {qWidth});
    layer.kBias = tensors.vector(bias(names.k), {kvWidth});
    layer.vBias = tensors.vector(bias(names.v), {kvWidth});
    layer.oBias = tensors.vector(bias(names.o), {d});
    layer.sinks = tensors.vector(prefix + names.sinks, {spec.nHead});
    layer.ffnNorm = tensors.vector(weight(names.ffnNorm), {d});
    layer.router = tensors.matrix(weight(names.router), {spec.nExpert, d});
    layer.routerBias = tensors.vector(bias(names.router), {spec.nExpert});
}

void bindGgufExperts(TensorBinder& tensors, const ModelSpec& spec, std::int64_t ffn,
                     const std::string& prefix, LayerWeights& layer) {
    const std::int64_t n = spec.nExpert;
    const std::int64_t d = spec.dModel;
    layer.gate = tensors.matrix(prefix + "ffn_gate_exps.weight", {n, ffn, d});
    layer.up = tensors.matrix(prefix + "ffn_up_exps.weight", {n, ffn, d});
    layer.down = tensors.matrix(prefix + "ffn_down_exps.weight", {n, d, ffn});
    layer.gateBias = tensors.vector(prefix + "ffn_gate_exps.bias", {n, ffn});
    layer.upBias = tensors.vector(prefix + "ffn_up_exps.bias", {n, ffn});
    layer.downBias = tensors.vector(prefix + "ffn_down_exps.bias", {n, d});
}

/// transformers keeps dequantised experts as (n_expert, in, out).
void bindTransposedExperts(TensorBinder& tensors, const ConfigReader& config, const ModelSpec& spec,
                           std::int64_t ffn, const std::string& prefix, LayerWeights& layer) {
    const std::int64_t n = spec.nExpert;
    const std::int64_t d = spec.dModel;
    const TensorView gateUp = tensors.matrix(prefix + "gate_up_proj", {n, d, 2 * ffn});
    const TensorView down = tensors.matrix(prefix + "down_proj", {n, ffn, d});
    const std::int64_t bytes = 3 * n * d * ffn * dtypeInfo(gateUp.type).blockBytes;
    if (bytes * spec.nLayer > kMaxTransposedBytes) {
        config.fail(
            "the experts are stored dequantised and transposed, which is read only up to 8 GiB; "
            "use the MXFP4 checkpoint");
    }
    // The copies come before anything can be planned from the bound model.
    requireMemory(static_cast<std::uint64_t>(bytes), "a transposed copy of '" + gateUp.name + "'");
    layer.gate = tensors.transposed(gateUp, 0, 2, ffn, d);
    layer.up = tensors.transposed(gateUp, 1, 2, ffn, d);
    layer.down = tensors.transposed(down, 0, 1, d, ffn);
}

void bindHuggingFaceExperts(TensorBinder& tensors, const ConfigReader& config,
                            const ModelSpec& spec, std::int64_t ffn, const std::string& prefix,
                            LayerWeights& layer) {
    const std::string experts = prefix + "mlp.experts.";
    if (tensors.has(experts + "gate_up_proj_blocks")) {
        bindMxfp4Experts(tensors, config, spec, ffn, kMxfp4Names, experts, layer);
    } else {
        bindTransposedExperts(tensors, config, spec, ffn, experts, layer);
    }
    bindInterleavedBiases(tensors, spec, ffn, experts + "gate_up_proj_bias",
                          experts + "down_proj_bias", layer);
}

void readGguf(const Checkpoint& checkpoint, const ConfigReader& config,
              const ArchitectureOptions& options, ModelSpec& spec, LayerSpec& layer) {
    readGgufDimensions(checkpoint, config, spec);
    layer.rope = readGgufRope(config, {.truncate = false}, options);
    layer.window = config.integer("attention.sliding_window", 1, 1 << 24);
    spec.nExpert = config.integer("expert_count", 1, kMaxExperts);
    spec.topK = config.integer("expert_used_count", 1, spec.nExpert);
    layer.ffn = config.has("expert_feed_forward_length")
                    ? config.integer("expert_feed_forward_length", 1, kMaxFfn)
                    : config.integer("feed_forward_length", 1, kMaxFfn);
}

void readHuggingFace(const Checkpoint& checkpoint, const ConfigReader& config,
                     const ArchitectureOptions& options, ModelSpec& spec, LayerSpec& layer) {
    readHuggingFaceDimensions(checkpoint, config, spec);
    layer.rope = readHuggingFaceRope(config, spec, {.theta = 150000.0, .truncate = false}, options);
    if (!config.has("rope_parameters") && !config.has("rope_scaling")) {
        // What transformers' GptOssConfig has where config.json is silent.
        layer.rope.yarn = true;
        layer.rope.factor = 32.0;
        layer.rope.originalContext = 4096;
        layer.rope.truncate = options.ggmlCompatibleYarn;
    }
    layer.window = config.integer("sliding_window", 1, 1 << 24);
    spec.nExpert = config.integer("num_local_experts", 1, kMaxExperts);
    spec.topK = config.integer(
        config.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token", 1,
        spec.nExpert);
    layer.ffn = config.integer("intermediate_size", 1, kMaxFfn);
    spec.swigluLimit = static_cast<float>(config.numberOr("swiglu_limit", 7.0, 1e-3, 1e6));
    spec.swigluAlpha = static_cast<float>(config.numberOr("swiglu_alpha", 1.702, 1e-3, 1e6));
}

}  // namespace

BoundModel bindGptOss(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(),
                              gguf ? "gpt-oss." : "");
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.activation = Activation::GptOssSwiGlu;
    spec.routing = RoutingRule::TopKThenSoftmax;
    spec.sinks = true;
    LayerSpec layer;
    layer.mlp = MlpKind::Experts;
    (gguf ? readGguf : readHuggingFace)(checkpoint, config, options, spec, layer);
    const std::vector<bool> sliding = slidingLayers(config, spec, 2);
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, tensors, model);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        spec.layers.push_back(layer);
        if (!sliding[static_cast<std::size_t>(i)]) spec.layers.back().window = 0;
        LayerWeights& w = model.weights.layers.emplace_back();
        const std::string prefix = layerPrefix(checkpoint.layout(), i);
        bindAttentionAndRouter(tensors, spec, gguf ? kGguf : kHuggingFace, prefix, w);
        if (gguf) {
            bindGgufExperts(tensors, spec, layer.ffn, prefix, w);
        } else {
            bindHuggingFaceExperts(tensors, config, spec, layer.ffn, prefix, w);
        }
    }
    tensors.refuseUnread(layerRoot(checkpoint.layout()), spec.nLayer);
    return model;
}

}  // namespace moescope
