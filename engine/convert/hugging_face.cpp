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
    {&LayerWeights::postAttnNorm, "post_attention_norm.weight"},
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
    {&LayerWeights::postFfnNorm, "post_ffw_norm.weight"},
};

std::string_view ggufName(const ModelSpec& spec) {
    if (spec.architecture == "olmo3") return "olmo2";  // told apart by the window
    if (spec.architecture == "mistral" || spec.architecture == "mixtral") return "llama";
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
        addOne(tensors_.back());
        if (!model_.spec.tiedHead) add("output.weight", w.head);
        // Read by the architectures whose files have it; the check of the keys refuses others.
        const std::vector<float>& divisors = model_.spec.layers.front().rope.divisors;
        if (!divisors.empty()) add("rope_freqs.weight", vectorView(divisors));
        for (std::size_t i = 0; i < w.layers.size(); ++i) layer(i);
        return std::move(tensors_);
    }

private:
    void layer(std::size_t i) {
        const ModelSpec& spec = model_.spec;
        const LayerSpec& layer = spec.layers[i];
        const bool reorder = ggufName(spec) == "llama";
        for (const Role& role : kRoles) {
            const TensorView& t = model_.weights.layers[i].*role.view;
            if (t.empty()) continue;
            add("blk." + std::to_string(i) + "." + nameOf(role, spec, layer), t,
                role.view == &LayerWeights::router);
            const auto view = role.view;
            const bool rotated = view == &LayerWeights::q || view == &LayerWeights::k ||
                                 view == &LayerWeights::qBias || view == &LayerWeights::kBias;
            if (reorder && rotated) tensors_.back().headDim = spec.headDim;
            if (isNorm(view)) addOne(tensors_.back());
        }
    }

    static TensorView vectorView(const std::vector<float>& values) {
        TensorView t;
        t.name = "rope_freqs.weight";
        t.rank = 1;
        t.shape[0] = static_cast<std::int64_t>(values.size());
        t.data = reinterpret_cast<const std::byte*>(values.data());
        setContiguousStrides(t);
        return t;
    }
    static bool isNorm(TensorView LayerWeights::*view) {
        return view == &LayerWeights::attnNorm || view == &LayerWeights::postAttnNorm ||
               view == &LayerWeights::ffnNorm || view == &LayerWeights::postFfnNorm ||
               view == &LayerWeights::qNorm || view == &LayerWeights::kNorm;
    }
    /// Hugging Face's files of Gemma store norms less one, GGUF as they are used.
    void addOne(PlannedTensor& norm) const {
        if (model_.spec.norm == NormKind::RmsPlusOne) norm.offset = 1.0F;
    }

    void add(const std::string& name, const TensorView& t, bool router = false) {
        tensors_.push_back({name, t, storedType(t, router)});
    }

    const BoundModel& model_;
    std::vector<PlannedTensor> tensors_;
};

/// GPT-2's own names, whose matrices Conv1D stores as (in, out).
class Gpt2TensorList {
public:
    Gpt2TensorList(const Checkpoint& checkpoint, const ModelSpec& spec)
        : checkpoint_(checkpoint),
          spec_(spec),
          root_(checkpoint.find("wte.weight") != nullptr ? "" : "transformer.") {}

    std::vector<PlannedTensor> build() {
        add("token_embd.weight", "wte.weight");
        add("position_embd.weight", "wpe.weight");
        both("output_norm", "ln_f");
        if (!spec_.tiedHead)
            tensors_.push_back({"output.weight", *checkpoint_.find("lm_head.weight"),
                                checkpoint_.find("lm_head.weight")->type});
        for (std::int32_t i = 0; i < spec_.nLayer; ++i) {
            const std::string to = "blk." + std::to_string(i) + ".";
            const std::string from = "h." + std::to_string(i) + ".";
            both(to + "attn_norm", from + "ln_1");
            linear(to + "attn_qkv", from + "attn.c_attn");
            linear(to + "attn_output", from + "attn.c_proj");
            both(to + "ffn_norm", from + "ln_2");
            linear(to + "ffn_up", from + "mlp.c_fc");
            linear(to + "ffn_down", from + "mlp.c_proj");
        }
        return std::move(tensors_);
    }

private:
    PlannedTensor& add(const std::string& name, const std::string& source) {
        const TensorView& t = *checkpoint_.find(root_ + source);  // binding has found it
        return tensors_.emplace_back(PlannedTensor{name, t, t.rank == 1 ? DType::F32 : t.type});
    }
    void both(const std::string& name, const std::string& source) {
        add(name + ".weight", source + ".weight");
        add(name + ".bias", source + ".bias");
    }
    void linear(const std::string& name, const std::string& source) {
        PlannedTensor& t = add(name + ".weight", source + ".weight");
        t.columnStride = t.source.rowStride;
        t.source.rowStride = dtypeInfo(t.source.type).blockBytes;
        std::swap(t.source.shape[0], t.source.shape[1]);
        add(name + ".bias", source + ".bias");
    }

    const Checkpoint& checkpoint_;
    const ModelSpec& spec_;
    std::string root_;
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
        number(spec_.norm == NormKind::LayerNorm ? "attention.layer_norm_epsilon"
                                                 : "attention.layer_norm_rms_epsilon",
               spec_.normEps);
        if (spec_.attentionScale > 0.0F &&
            std::abs(spec_.attentionScale * std::sqrt(static_cast<float>(spec_.headDim)) - 1.0F) >
                1e-6F)
            number("attention.scale", spec_.attentionScale);
        feedForward();
        if (spec_.position == PositionKind::Rope) rope();
        windows();
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
        if (spec_.routing != RoutingRule::TopKThenSoftmax)
            writer_.add(prefix_ + "expert_weights_norm",
                        spec_.routing == RoutingRule::SoftmaxThenTopKRenorm);
    }

    /// The pattern only where it is not the one that a reader of such files assumes.
    void windows() {
        std::int32_t widest = 0;
        std::vector<std::int32_t> slides;
        for (const LayerSpec& l : spec_.layers) {
            widest = std::max(widest, l.window);
            slides.push_back(l.window > 0 ? 1 : 0);
        }
        if (widest == 0) return;
        count("attention.sliding_window", widest);
        const std::size_t period = spec_.architecture == "gemma3"  ? 6
                                   : spec_.architecture == "olmo3" ? 4
                                                                   : 0;
        bool assumed = true;
        for (std::size_t i = 0; period > 0 && i < slides.size(); ++i)
            assumed = assumed && (slides[i] == 0) == ((i + 1) % period == 0);
        if (!assumed)
            writer_.add(prefix_ + "attention.sliding_window_pattern",
                        std::span<const std::int32_t>(slides));
    }

    /// Scaling is told of the layers with full attention; sliding ones have at most a base of
    /// their own.
    void rope() {
        const LayerSpec* full = &spec_.layers.front();
        const LayerSpec* sliding = nullptr;
        for (const LayerSpec& l : spec_.layers) (l.window > 0 ? sliding : full) = &l;
        const RopeSpec& rope = full->rope;
        number("rope.freq_base", rope.theta);
        if (sliding != nullptr && sliding->rope.theta != rope.theta)
            number("rope.freq_base_swa", sliding->rope.theta);
        count("rope.dimension_count", spec_.headDim);
        if (!rope.yarn && rope.factor == 1.0) return;
        writer_.add(prefix_ + "rope.scaling.type", rope.yarn ? "yarn" : "linear");
        number("rope.scaling.factor", rope.factor);
        if (!rope.yarn) return;
        // Where the formula gives it anyway (the real OLMo 3) the key is left out: llama.cpp
        // multiplies the formula by what the key says, although its own converter writes the whole.
        RopeSpec byFormula = rope;
        byFormula.attentionFactor = 0.0;
        const double formula = ropeTable(byFormula, spec_.headDim).concentration;
        if (rope.attentionFactor > 0.0 && std::abs(rope.attentionFactor / formula - 1.0) > 1e-6)
            number("rope.scaling.attn_factor", rope.attentionFactor);
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
    if (model.spec.architecture == "gpt2") return Gpt2TensorList(checkpoint, model.spec).build();
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
