// SPDX-License-Identifier: Apache-2.0
// GPT-2: LayerNorm and biases everywhere, learned positions, q, k and v in one matrix, an MLP
// without a gate. Hugging Face folders store the matrices as Conv1D has them, (in, out).
#include "engine/model/architectures.h"
#include "engine/model/layer_binding.h"
#include "engine/run/memory.h"

namespace moescope {
namespace {

struct Names {
    std::string embedding, positions, outputNorm, head, layers;
    std::string attnNorm, qkv, o, ffnNorm, up, down;
};

Names namesOf(const Checkpoint& checkpoint) {
    if (checkpoint.layout() == CheckpointLayout::Gguf) {
        return {"token_embd.weight",
                "position_embd.weight",
                "output_norm",
                "output.weight",
                "blk.",
                "attn_norm",
                "attn_qkv",
                "attn_output",
                "ffn_norm",
                "ffn_up",
                "ffn_down"};
    }
    // The files of the original models are named without the "transformer." that later ones have.
    const std::string root = checkpoint.find("wte.weight") != nullptr ? "" : "transformer.";
    return {root + "wte.weight", root + "wpe.weight", root + "ln_f",
            "lm_head.weight",    root + "h.",         "ln_1",
            "attn.c_attn",       "attn.c_proj",       "ln_2",
            "mlp.c_fc",          "mlp.c_proj"};
}

class Gpt2Binder {
public:
    Gpt2Binder(TensorBinder& tensors, const ModelSpec& spec, const Names& names, bool conv1d,
               bool leaveTransposed)
        : tensors_(tensors),
          spec_(spec),
          names_(names),
          conv1d_(conv1d),
          leaveTransposed_(leaveTransposed) {}

    LayerWeights bind(const std::string& prefix, std::int64_t ffn) {
        const std::int64_t d = spec_.dModel;
        LayerWeights w;
        w.attnNorm = tensors_.vector(prefix + names_.attnNorm + ".weight", {d});
        w.attnNormBias = tensors_.vector(prefix + names_.attnNorm + ".bias", {d});
        w.ffnNorm = tensors_.vector(prefix + names_.ffnNorm + ".weight", {d});
        w.ffnNormBias = tensors_.vector(prefix + names_.ffnNorm + ".bias", {d});
        const TensorView qkv = stored(prefix + names_.qkv, 3 * d, d);
        const TensorView bias = tensors_.vector(prefix + names_.qkv + ".bias", {3 * d});
        TensorView* const matrices[] = {&w.q, &w.k, &w.v};
        TensorView* const biases[] = {&w.qBias, &w.kBias, &w.vBias};
        for (std::size_t i = 0; i < 3; ++i) {
            const std::int64_t first = static_cast<std::int64_t>(i) * d;
            *matrices[i] = part(qkv, first, d);
            *biases[i] = rowsOf(bias, first, d);
        }
        w.o = whole(prefix + names_.o, d, d, w.oBias);
        w.up = whole(prefix + names_.up, ffn, d, w.upBias);
        w.down = whole(prefix + names_.down, d, ffn, w.downBias);
        return w;
    }

private:
    TensorView stored(const std::string& name, std::int64_t rows, std::int64_t cols) {
        return conv1d_ ? tensors_.matrix(name + ".weight", {cols, rows})
                       : tensors_.matrix(name + ".weight", {rows, cols});
    }
    /// Rows [first, first + rows) of what a linear layer would have stored.
    TensorView part(const TensorView& t, std::int64_t first, std::int64_t rows) {
        if (conv1d_ && leaveTransposed_) return t;
        return conv1d_ ? tensors_.transposed(t, first, 1, rows, t.rows()) : rowsOf(t, first, rows);
    }
    TensorView whole(const std::string& name, std::int64_t rows, std::int64_t cols,
                     TensorView& bias) {
        bias = tensors_.vector(name + ".bias", {rows});
        return part(stored(name, rows, cols), 0, rows);
    }

    TensorBinder& tensors_;
    const ModelSpec& spec_;
    const Names& names_;
    bool conv1d_, leaveTransposed_;
};

DimensionKeys dimensionKeys(bool gguf) {
    if (!gguf) return {"n_layer", "n_embd", "n_positions", "n_head", "", "", "layer_norm_epsilon"};
    DimensionKeys keys = kGgufDimensions;
    keys.eps = "attention.layer_norm_epsilon";
    return keys;
}

void refuseVariants(const ConfigReader& config) {
    if (config.textOr("activation_function", "gelu_new") != "gelu_pytorch_tanh") {
        requireActivation(config, "activation_function", "gelu_new");
    }
    refuseSwitch(config, "scale_attn_by_inverse_layer_idx");
    refuseSwitch(config, "add_cross_attention");
    if (!config.flagOr("scale_attn_weights", true)) {
        config.fail("configuration key 'scale_attn_weights' is false, which is not supported");
    }
}

}  // namespace

BoundModel bindGpt2(const Checkpoint& checkpoint, const ArchitectureOptions& options) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const ConfigReader config(checkpoint.config(), checkpoint.path().string(), gguf ? "gpt2." : "");
    if (!gguf) refuseVariants(config);
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.norm = NormKind::LayerNorm;
    spec.position = PositionKind::Learned;
    spec.activation = Activation::GeluTanh;
    readDimensions(checkpoint, config, dimensionKeys(gguf), spec);
    LayerSpec layer;
    layer.mlp = MlpKind::Plain;
    layer.ffn = gguf ? config.integer("feed_forward_length", 1, kMaxFfn)
                     : config.integerOr("n_inner", 4 * spec.dModel, 1, kMaxFfn);
    const Names names = namesOf(checkpoint);
    TensorBinder tensors(checkpoint, model.weights);
    bindEnds(checkpoint, config, tensors, model,
             {names.embedding, names.outputNorm + ".weight", names.outputNorm + ".bias", names.head,
              true});
    model.weights.positions = tensors.matrix(names.positions, {spec.contextLength, spec.dModel});
    if (!gguf && !options.leaveTransposed) {  // the copies come before anything can be planned from
                                              // the bound model
        const auto weights = std::uint64_t{2} * static_cast<std::uint64_t>(spec.nLayer) *
                             static_cast<std::uint64_t>(spec.dModel) *
                             static_cast<std::uint64_t>(2 * spec.dModel + layer.ffn);
        requireMemory(weights * sizeof(float), "a transposed copy of the matrices");
    }
    Gpt2Binder binder(tensors, spec, names, !gguf, options.leaveTransposed);
    for (std::int32_t i = 0; i < spec.nLayer; ++i) {
        model.weights.layers.push_back(
            binder.bind(names.layers + std::to_string(i) + ".", layer.ffn));
        spec.layers.push_back(layer);
    }
    tensors.refuseUnread(names.layers, spec.nLayer);
    return model;
}

}  // namespace moescope
