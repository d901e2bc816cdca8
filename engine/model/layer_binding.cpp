// SPDX-License-Identifier: Apache-2.0
#include "engine/model/layer_binding.h"

#include <vector>

namespace moescope {
namespace {

class LayerBinder {
public:
    LayerBinder(TensorBinder& tensors, const ModelSpec& spec, const LayerSpec& layer,
                const LayerNames& names, const std::string& prefix)
        : tensors_(tensors), spec_(spec), layer_(layer), names_(names), prefix_(prefix) {}

    LayerWeights bind(const BiasRules& biases) {
        LayerWeights w;
        norms(w);
        attention(w, biases);
        if (layer_.mlp == MlpKind::Experts) {
            experts(w);
        } else {
            dense(w, biases.feedForward);
        }
        return w;
    }

private:
    std::string weight(std::string_view name) const {
        return prefix_ + std::string(name) + ".weight";
    }
    TensorView norm(std::string_view name, std::int64_t width) {
        return tensors_.vector(weight(name), {width});
    }
    TensorView bias(std::string_view name, std::int64_t width, Presence presence) {
        const std::string full = prefix_ + std::string(name) + ".bias";
        if (presence == Presence::Absent) return {};
        return presence == Presence::Required ? tensors_.vector(full, {width})
                                              : tensors_.vectorIfPresent(full, {width});
    }

    void norms(LayerWeights& w) {
        const std::int64_t d = spec_.dModel;
        if (spec_.normPlace != NormPlace::Post) {
            w.attnNorm = norm(names_.attnNorm, d);
            w.ffnNorm = norm(names_.ffnNorm, d);
        }
        if (spec_.normPlace != NormPlace::Pre) {
            w.postAttnNorm = norm(names_.postAttnNorm, d);
            w.postFfnNorm = norm(names_.postFfnNorm, d);
        }
        if (spec_.norm != NormKind::LayerNorm) return;
        w.attnNormBias = bias(names_.attnNorm, d, Presence::Required);
        w.ffnNormBias = bias(names_.ffnNorm, d, Presence::Required);
    }

    void attention(LayerWeights& w, const BiasRules& biases) {
        const std::int64_t d = spec_.dModel;
        const std::int64_t qWidth = std::int64_t{spec_.nHead} * spec_.headDim;
        const std::int64_t kvWidth = std::int64_t{spec_.nKvHead} * spec_.headDim;
        w.q = tensors_.matrix(weight(names_.q), {qWidth, d});
        w.k = tensors_.matrix(weight(names_.k), {kvWidth, d});
        w.v = tensors_.matrix(weight(names_.v), {kvWidth, d});
        w.o = tensors_.matrix(weight(names_.o), {d, qWidth});
        w.qBias = bias(names_.q, qWidth, biases.attention);
        w.kBias = bias(names_.k, kvWidth, biases.attention);
        w.vBias = bias(names_.v, kvWidth, biases.attention);
        w.oBias = bias(names_.o, d, biases.attentionOutput.value_or(biases.attention));
        if (spec_.qkNorm == QkNorm::None) return;
        const bool perHead = spec_.qkNorm == QkNorm::PerHead;
        w.qNorm = norm(names_.qNorm, perHead ? spec_.headDim : qWidth);
        w.kNorm = norm(names_.kNorm, perHead ? spec_.headDim : kvWidth);
    }

    void dense(LayerWeights& w, Presence biases) {
        const std::int64_t d = spec_.dModel;
        const std::int64_t ffn = layer_.ffn;
        if (layer_.mlp == MlpKind::Gated) {
            w.gate = tensors_.matrix(weight(names_.gate), {ffn, d});
            w.gateBias = bias(names_.gate, ffn, biases);
        }
        w.up = tensors_.matrix(weight(names_.up), {ffn, d});
        w.down = tensors_.matrix(weight(names_.down), {d, ffn});
        w.upBias = bias(names_.up, ffn, biases);
        w.downBias = bias(names_.down, d, biases);
    }

    TensorView stack(std::string_view name, std::int64_t rows, std::int64_t cols) {
        const std::size_t number = name.find('*');
        if (number == std::string_view::npos)
            return tensors_.matrix(weight(name), {spec_.nExpert, rows, cols});
        std::vector<std::string> all;
        for (std::int32_t e = 0; e < spec_.nExpert; ++e) {
            all.push_back(weight(std::string(name).replace(number, 1, std::to_string(e))));
        }
        return tensors_.stacked(all, rows, cols);
    }

    void experts(LayerWeights& w) {
        const std::int64_t d = spec_.dModel;
        w.router = tensors_.matrix(weight(names_.router), {spec_.nExpert, d});
        w.gate = stack(names_.expertGate, layer_.ffn, d);
        w.up = stack(names_.expertUp, layer_.ffn, d);
        w.down = stack(names_.expertDown, d, layer_.ffn);
    }

    TensorBinder& tensors_;
    const ModelSpec& spec_;
    const LayerSpec& layer_;
    const LayerNames& names_;
    const std::string& prefix_;
};

}  // namespace

const LayerNames kGgufLayer{
    .attnNorm = "attn_norm",
    .q = "attn_q",
    .k = "attn_k",
    .v = "attn_v",
    .o = "attn_output",
    .qNorm = "attn_q_norm",
    .kNorm = "attn_k_norm",
    .postAttnNorm = "post_attention_norm",
    .ffnNorm = "ffn_norm",
    .gate = "ffn_gate",
    .up = "ffn_up",
    .down = "ffn_down",
    .postFfnNorm = "post_ffw_norm",
    .router = "ffn_gate_inp",
    .expertGate = "ffn_gate_exps",
    .expertUp = "ffn_up_exps",
    .expertDown = "ffn_down_exps",
};

const LayerNames kHuggingFaceLayer{
    .attnNorm = "input_layernorm",
    .q = "self_attn.q_proj",
    .k = "self_attn.k_proj",
    .v = "self_attn.v_proj",
    .o = "self_attn.o_proj",
    .qNorm = "self_attn.q_norm",
    .kNorm = "self_attn.k_norm",
    .postAttnNorm = "post_attention_layernorm",
    .ffnNorm = "post_attention_layernorm",  // so called where it is the only norm after attention
    .gate = "mlp.gate_proj",
    .up = "mlp.up_proj",
    .down = "mlp.down_proj",
    .postFfnNorm = "post_feedforward_layernorm",
    .router = "mlp.gate",
    .expertGate = "mlp.experts.*.gate_proj",
    .expertUp = "mlp.experts.*.up_proj",
    .expertDown = "mlp.experts.*.down_proj",
};

Presence presenceOf(const ConfigReader& config, std::string_view key) {
    if (!config.has(key)) return Presence::IfPresent;
    return config.flagOr(key, false) ? Presence::Required : Presence::Absent;
}

void bindLayer(TensorBinder& tensors, BoundModel& model, const LayerSpec& layer,
               const LayerNames& names, const std::string& prefix, const BiasRules& biases) {
    model.weights.layers.push_back(
        LayerBinder(tensors, model.spec, layer, names, prefix).bind(biases));
    model.spec.layers.push_back(layer);
}

void readRouting(const ConfigReader& config, CheckpointLayout layout, bool renormalise,
                 ModelSpec& spec) {
    const bool gguf = layout == CheckpointLayout::Gguf;
    std::string_view count = gguf ? "expert_count" : "num_experts";
    if (!config.has(count) && config.has("num_local_experts")) count = "num_local_experts";
    spec.nExpert = config.integer(count, 1, kMaxExperts);
    spec.topK = config.integer(gguf ? "expert_used_count" : "num_experts_per_tok", 1, spec.nExpert);
    const bool divided =
        config.flagOr(gguf ? "expert_weights_norm" : "norm_topk_prob", renormalise);
    spec.routing = divided ? RoutingRule::SoftmaxThenTopKRenorm : RoutingRule::SoftmaxThenTopK;
}

void requireActivation(const ConfigReader& config, std::string_view key,
                       std::string_view expected) {
    const std::string found = config.textOr(key, expected);
    if (found == expected) return;
    config.fail("activation '" + found + "' (key '" + std::string(key) +
                "') is not supported, expected '" + std::string(expected) + "'");
}

void refuseSwitch(const ConfigReader& config, std::string_view key) {
    if (!config.has(key)) return;
    const nlohmann::json& value = config.at(key);
    if (value == false || value == 0) return;
    config.fail("configuration key '" + std::string(key) + "' is set to " + value.dump() +
                ", which is not supported");
}

}  // namespace moescope
