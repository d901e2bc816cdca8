// SPDX-License-Identifier: Apache-2.0
// A Hugging Face checkpoint under GGUF's names and keys, by way of the bound model. Names and keys
// are those of llama.cpp's gguf-py (constants.py, tensor_mapping.py).
#include <algorithm>
#include <cmath>

#include "engine/convert/plan.h"
#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/model/architectures.h"

namespace moescope {
namespace {

struct Role {
    TensorView LayerWeights::*view;
    const char* name;
};
constexpr Role kRoles[] = {
    {&LayerWeights::attnNorm, "attn_norm.weight"},
    {&LayerWeights::q, "attn_q.weight"},
    {&LayerWeights::qBias, "attn_q.bias"},
    {&LayerWeights::k, "attn_k.weight"},
    {&LayerWeights::kBias, "attn_k.bias"},
    {&LayerWeights::v, "attn_v.weight"},
    {&LayerWeights::vBias, "attn_v.bias"},
    {&LayerWeights::qNorm, "attn_q_norm.weight"},
    {&LayerWeights::kNorm, "attn_k_norm.weight"},
    {&LayerWeights::sinks, "attn_sinks.weight"},
    {&LayerWeights::o, "attn_output.weight"},
    {&LayerWeights::oBias, "attn_output.bias"},
    {&LayerWeights::ffnNorm, "ffn_norm.weight"},
    {&LayerWeights::router, "ffn_gate_inp.weight"},
    {&LayerWeights::routerBias, "ffn_gate_inp.bias"},
    {&LayerWeights::gate, "ffn_gate.weight"},
    {&LayerWeights::gateBias, "ffn_gate.bias"},
    {&LayerWeights::up, "ffn_up.weight"},
    {&LayerWeights::upBias, "ffn_up.bias"},
    {&LayerWeights::down, "ffn_down.weight"},
    {&LayerWeights::downBias, "ffn_down.bias"},
};

constexpr std::string_view kSupported[] = {"gpt-oss", "llama", "qwen3", "qwen3-moe"};

std::string_view ggufName(const ModelSpec& spec) {
    for (const Architecture& a : architectures())
        if (a.name == spec.architecture) return a.ggufName;
    return spec.architecture;
}

std::string nameOf(const Role& role, const ModelSpec& spec, const LayerSpec& layer) {
    std::string name = role.name;
    if (role.view == &LayerWeights::ffnNorm && spec.architecture == "gpt-oss")
        return "post_attention_norm.weight";
    const bool projection = name.starts_with("ffn_gate.") || name.starts_with("ffn_up.") ||
                            name.starts_with("ffn_down.");
    if (projection && layer.mlp == MlpKind::Experts) name.insert(name.find('.'), "_exps");
    return name;
}

/// MXFP4 in one piece; the router, which is small and decides everything, in float32.
DType storedType(const TensorView& t, bool router) {
    if (t.type == DType::MXFP4Split) return DType::MXFP4;
    return router ? DType::F32 : t.type;
}

class TensorList {
public:
    explicit TensorList(const BoundModel& model) : model_(model) {}

    std::vector<PlannedTensor> build() {
        const ModelWeights& w = model_.weights;
        add("token_embd.weight", w.embedding);
        add("output_norm.weight", w.outputNorm);
        if (!model_.spec.tiedHead) add("output.weight", w.head);
        for (std::size_t i = 0; i < w.layers.size(); ++i) layer(i);
        return std::move(tensors_);
    }

private:
    void layer(std::size_t i) {
        const ModelSpec& spec = model_.spec;
        const LayerSpec& layer = spec.layers[i];
        const bool reorder = spec.architecture == "llama";
        for (const Role& role : kRoles) {
            const TensorView& t = model_.weights.layers[i].*role.view;
            if (t.empty()) continue;
            add("blk." + std::to_string(i) + "." + nameOf(role, spec, layer), t,
                role.view == &LayerWeights::router);
            const auto view = role.view;
            const bool rotated = view == &LayerWeights::q || view == &LayerWeights::k ||
                                 view == &LayerWeights::qBias || view == &LayerWeights::kBias;
            if (reorder && rotated) tensors_.back().headDim = spec.headDim;
        }
    }

    void add(const std::string& name, const TensorView& t, bool router = false) {
        tensors_.push_back({name, t, storedType(t, router)});
    }

    const BoundModel& model_;
    std::vector<PlannedTensor> tensors_;
};

class KeyList {
public:
    KeyList(GgufWriter& writer, const ModelSpec& spec)
        : writer_(writer), spec_(spec), prefix_(std::string(ggufName(spec)) + '.') {}

    void write() {
        count("block_count", spec_.nLayer);
        count("context_length", spec_.contextLength);
        count("embedding_length", spec_.dModel);
        count("vocab_size", spec_.vocab);
        count("attention.head_count", spec_.nHead);
        count("attention.head_count_kv", spec_.nKvHead);
        count("attention.key_length", spec_.headDim);
        count("attention.value_length", spec_.headDim);
        number("attention.layer_norm_rms_epsilon", spec_.normEps);
        feedForward();
        rope();
        const auto window = [](const LayerSpec& l) { return l.window; };
        const auto widest = std::max_element(
            spec_.layers.begin(), spec_.layers.end(),
            [&](const LayerSpec& a, const LayerSpec& b) { return window(a) < window(b); });
        if (widest != spec_.layers.end() && widest->window > 0)
            count("attention.sliding_window", widest->window);
    }

private:
    void feedForward() {
        std::int32_t dense = 0;
        std::int32_t expert = 0;
        for (const LayerSpec& l : spec_.layers)
            (l.mlp == MlpKind::Experts ? expert : dense) = l.ffn;
        count("feed_forward_length", dense > 0 ? dense : expert);
        if (spec_.nExpert == 0) return;
        count("expert_feed_forward_length", expert);
        count("expert_count", spec_.nExpert);
        count("expert_used_count", spec_.topK);
    }

    void rope() {
        const RopeSpec& rope = spec_.layers.front().rope;
        number("rope.freq_base", rope.theta);
        count("rope.dimension_count", spec_.headDim);
        if (!rope.yarn) return;
        writer_.add(prefix_ + "rope.scaling.type", "yarn");
        number("rope.scaling.factor", rope.factor);
        count("rope.scaling.original_context_length", rope.originalContext);
        number("rope.scaling.yarn_beta_fast", rope.betaFast);
        number("rope.scaling.yarn_beta_slow", rope.betaSlow);
    }

    void count(const char* name, std::int32_t value) {
        writer_.add(prefix_ + name, static_cast<std::uint32_t>(value));
    }
    void number(const char* name, double value) {
        writer_.add(prefix_ + name, static_cast<float>(value));
    }

    GgufWriter& writer_;
    const ModelSpec& spec_;
    std::string prefix_;
};

}  // namespace

std::vector<PlannedTensor> huggingFaceTensors(const Checkpoint& checkpoint,
                                              const BoundModel& model) {
    const auto* known =
        std::find(std::begin(kSupported), std::end(kSupported), model.spec.architecture);
    if (known == std::end(kSupported)) {
        throw Error(checkpoint.path().string() + ": Hugging Face checkpoints of architecture '" +
                        model.spec.architecture + "' cannot be converted",
                    "gpt-oss, llama, qwen3 and qwen3-moe can; of a GGUF file any architecture can");
    }
    return TensorList(model).build();
}

void addHuggingFaceKeys(GgufWriter& writer, const Checkpoint&, const BoundModel& model) {
    const ModelSpec& spec = model.spec;
    writer.add("general.architecture", ggufName(spec));
    writer.add("general.type", "model");
    writer.add("general.name", spec.name);
    if (spec.synthetic) writer.add("general.moescope.synthetic", true);
    KeyList(writer, spec).write();
}

}  // namespace moescope
