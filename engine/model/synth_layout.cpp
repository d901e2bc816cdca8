// SPDX-License-Identifier: Apache-2.0
#include "engine/model/synth_layout.h"

#include <cmath>
#include <utility>

namespace moescope {
namespace {

constexpr std::uint32_t kFileTypeMxfp4 = 38;  // llama.cpp's LLAMA_FTYPE_MOSTLY_MXFP4_MOE
constexpr double kBiasRms = 0.02;

/// Collects the tensors in file order.
class TensorList {
public:
    explicit TensorList(const SynthConfig& config)
        : config_(config),
          fanIn_(1.0 / std::sqrt(config.dModel)),
          // Every layer adds two branches: scaled so that the residual stream grows to O(1) only.
          residual_(1.0 / std::sqrt(2.0 * config.layers)) {}

    std::vector<SynthTensor> build() {
        const std::int64_t d = config_.dModel;
        matrix("token_embd.weight", config_.vocab, d, 1.0);
        norm("output_norm.weight", d);
        matrix("output.weight", config_.vocab, d, fanIn_);
        for (std::int32_t layer = 0; layer < config_.layers; ++layer) {
            prefix_ = "blk." + std::to_string(layer) + ".";
            attention();
            experts();
        }
        return std::move(tensors_);
    }

private:
    bool gptOss() const { return config_.architecture == "gpt-oss"; }

    void norm(const std::string& name, std::int64_t width) {
        tensors_.push_back({prefix_ + name, DType::F32, {width}, 0.1, 1.0});
    }
    void matrix(const std::string& name, std::int64_t rows, std::int64_t cols, double rms) {
        tensors_.push_back({prefix_ + name, config_.dense, {rows, cols}, rms, 0.0});
    }
    void values(const std::string& name, std::vector<std::int64_t> shape, double rms) {
        tensors_.push_back({prefix_ + name, DType::F32, std::move(shape), rms, 0.0});
    }
    void projection(const std::string& name, std::int64_t rows, std::int64_t cols, double rms) {
        matrix(name + ".weight", rows, cols, rms);
        if (gptOss()) values(name + ".bias", {rows}, kBiasRms);
    }

    void attention() {
        const std::int64_t d = config_.dModel;
        const std::int64_t q = std::int64_t{config_.heads} * config_.headDim;
        const std::int64_t kv = std::int64_t{config_.kvHeads} * config_.headDim;
        norm("attn_norm.weight", d);
        projection("attn_q", q, d, fanIn_);
        projection("attn_k", kv, d, fanIn_);
        projection("attn_v", kv, d, fanIn_);
        projection("attn_output", d, q, residual_ / std::sqrt(static_cast<double>(q)));
        if (gptOss()) {
            values("attn_sinks.weight", {config_.heads}, 1.0);
        } else {
            norm("attn_q_norm.weight", config_.headDim);
            norm("attn_k_norm.weight", config_.headDim);
        }
        norm(gptOss() ? "post_attention_norm.weight" : "ffn_norm.weight", d);
    }

    void experts() {
        const std::int64_t n = config_.experts;
        const std::int64_t d = config_.dModel;
        const std::int64_t ffn = config_.ffn;
        // Logits of O(1): tokens spread over the experts as chance and content have it.
        values("ffn_gate_inp.weight", {n, d}, fanIn_);
        stack("ffn_gate_exps", ffn, d, fanIn_);
        stack("ffn_up_exps", ffn, d, fanIn_);
        stack("ffn_down_exps", d, ffn, residual_ / std::sqrt(static_cast<double>(ffn)));
        if (gptOss()) values("ffn_gate_inp.bias", {n}, kBiasRms);
    }
    void stack(const std::string& name, std::int64_t rows, std::int64_t cols, double rms) {
        tensors_.push_back(
            {prefix_ + name + ".weight", DType::MXFP4, {config_.experts, rows, cols}, rms, 0.0});
        if (gptOss()) values(name + ".bias", {config_.experts, rows}, kBiasRms);
    }

    const SynthConfig& config_;
    double fanIn_;
    double residual_;
    std::string prefix_;
    std::vector<SynthTensor> tensors_;
};

void addModelKeys(std::vector<SynthKey>& keys, const SynthConfig& c) {
    const auto add = [&](std::string name, SynthValue value) {
        keys.push_back({std::move(name), std::move(value)});
    };
    const auto key = [&](const char* name) { return c.architecture + "." + name; };
    const auto count = [&](const char* name, std::int32_t value) {
        add(key(name), static_cast<std::uint32_t>(value));
    };
    const auto number = [&](const char* name, double value) {
        add(key(name), static_cast<float>(value));
    };
    add("general.architecture", c.architecture);
    add("general.type", std::string("model"));
    add("general.name", c.name + " (synthetic)");
    add("general.description",
        std::string("Seeded random weights of this shape: nothing was trained."));
    add("general.moescope.synthetic", true);
    add("general.quantization_version", std::uint32_t{2});
    add("general.file_type", kFileTypeMxfp4);
    count("block_count", c.layers);
    count("context_length", c.context);
    count("embedding_length", c.dModel);
    count("feed_forward_length", c.ffn);
    count("attention.head_count", c.heads);
    count("attention.head_count_kv", c.kvHeads);
    count("attention.key_length", c.headDim);
    count("attention.value_length", c.headDim);
    number("attention.layer_norm_rms_epsilon", c.normEps);
    count("expert_count", c.experts);
    count("expert_used_count", c.topK);
    count("expert_feed_forward_length", c.ffn);
    number("rope.freq_base", c.ropeTheta);
    if (c.window > 0) count("attention.sliding_window", c.window);
    if (c.yarnFactor > 1.0) {
        add(key("rope.scaling.type"), std::string("yarn"));
        number("rope.scaling.factor", c.yarnFactor);
        count("rope.scaling.original_context_length", c.originalContext);
        number("rope.scaling.yarn_beta_fast", 32.0);
        number("rope.scaling.yarn_beta_slow", 1.0);
    }
}

void addTokenizerKeys(std::vector<SynthKey>& keys, SynthVocabulary v) {
    const auto add = [&](const char* name, SynthValue value) {
        keys.push_back({std::string("tokenizer.") + name, std::move(value)});
    };
    add("ggml.model", std::string("gpt2"));
    add("ggml.pre", std::move(v.preTokenizer));
    add("ggml.tokens", std::move(v.tokens));
    add("ggml.token_type", std::move(v.types));
    add("ggml.merges", std::move(v.merges));
    add("ggml.bos_token_id", static_cast<std::uint32_t>(v.bos));
    add("ggml.eos_token_id", static_cast<std::uint32_t>(v.eos));
    add("ggml.padding_token_id", static_cast<std::uint32_t>(v.pad));
    add("ggml.add_bos_token", false);
    if (!v.chatTemplate.empty()) add("chat_template", std::move(v.chatTemplate));
}

}  // namespace

std::vector<SynthTensor> synthTensors(const SynthConfig& config) {
    return TensorList(config).build();
}

std::vector<SynthKey> synthKeys(const SynthConfig& config, SynthVocabulary vocabulary) {
    std::vector<SynthKey> keys;
    addModelKeys(keys, config);
    addTokenizerKeys(keys, std::move(vocabulary));
    return keys;
}

void addSynthTables(GgufWriter& writer, const std::vector<SynthKey>& keys,
                    const std::vector<SynthTensor>& tensors) {
    for (const SynthKey& key : keys) {
        std::visit([&](const auto& value) { writer.add(key.name, value); }, key.value);
    }
    for (const SynthTensor& t : tensors) writer.addTensor(t.name, t.type, t.shape);
}

}  // namespace moescope
