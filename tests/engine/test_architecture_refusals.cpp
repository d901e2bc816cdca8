// SPDX-License-Identifier: Apache-2.0
// A configuration that contradicts its tensors is refused, in one sentence that names the file and
// what in it: anything else would give plausible numbers of another model.
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/model/spec.h"
#include "tests/engine/golden.h"
#include "tests/engine/memory_checkpoint.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

/// Configuration and tensor shapes of a golden folder, to be damaged. `rename` maps names.
template <typename Rename>
MemoryCheckpoint likeGolden(const std::string& name, const Rename& rename) {
    const Golden golden = loadGolden(name);
    MemoryCheckpoint c(golden.checkpoint->layout(), golden.checkpoint->config());
    for (const TensorView& t : golden.checkpoint->tensors()) {
        if (t.rank == 1) c.add(rename(t.name), {t.shape[0]});
        if (t.rank == 2) c.add(rename(t.name), {t.shape[0], t.shape[1]});
    }
    return c;
}

MemoryCheckpoint likeGolden(const std::string& name) {
    return likeGolden(name, [](const std::string& s) { return s; });
}

std::string refusal(const Checkpoint& checkpoint) {
    try {
        bindModel(checkpoint);
    } catch (const Error& e) {
        return e.what();
    }
    return "accepted";
}

std::string refusalOf(const std::string& name, const std::string& key,
                      const nlohmann::json& value) {
    MemoryCheckpoint c = likeGolden(name);
    c.editConfig()[key] = value;
    return refusal(c);
}

}  // namespace

TEST_CASE("an unknown architecture is refused with its name and the key") {
    CHECK(refusalOf("qwen3_tied", "model_type", "mamba") ==
          "memory.gguf: architecture 'mamba' (key 'model_type') is not supported");
    CHECK(refusalOf("qwen3_tied", "model_type", nullptr) ==
          "memory.gguf: configuration key 'model_type' is missing");
}

TEST_CASE("quantisations and RoPE scalings that are not known are refused by key") {
    CHECK(refusalOf("qwen3_tied", "quantization_config", {{"quant_method", "gptq"}}) ==
          "memory.gguf: quantisation 'gptq' (key 'quantization_config.quant_method') is not "
          "supported, expected none");
    CHECK(refusalOf("gpt_oss_openai", "quantization_config", {{"quant_method", "fp8"}}) ==
          "memory.gguf: quantisation 'fp8' (key 'quantization_config.quant_method') is not "
          "supported, expected mxfp4 or none");
    CHECK(refusalOf("qwen3_tied", "rope_parameters", {{"rope_type", "dynamic"}}) ==
          "memory.gguf: RoPE scaling 'dynamic' (key 'rope_parameters.rope_type') is not supported, "
          "expected default, linear, yarn or llama3");
    const nlohmann::json llama3{{"rope_type", "llama3"},
                                {"factor", 8.0},
                                {"low_freq_factor", 4.0},
                                {"high_freq_factor", 4.0},
                                {"original_max_position_embeddings", 32}};
    CHECK(refusalOf("qwen3_tied", "rope_parameters", llama3) ==
          "memory.gguf: configuration key 'low_freq_factor' must be a number below "
          "'high_freq_factor'");
}

TEST_CASE("a vocabulary that is not the embedding's is refused") {
    CHECK(refusalOf("qwen3_tied", "vocab_size", 81) ==
          "memory.gguf: tensor 'model.embed_tokens.weight' has 80 rows, configuration key "
          "'vocab_size' says 81");
}

TEST_CASE("layers that the configuration does not count are refused and so are missing ones") {
    CHECK_THAT(refusalOf("qwen3_tied", "num_hidden_layers", 2),
               Catch::Contains("memory.gguf: tensor 'model.layers.2.") &&
                   Catch::Contains("belongs to a layer beyond the 2 of the configuration"));
    CHECK_THAT(refusalOf("qwen3_tied", "num_hidden_layers", 4),
               Catch::Contains("tensor 'model.layers.3.") && Catch::Contains("is missing"));
    CHECK_THAT(refusalOf("gpt2_tied", "n_layer", 1),
               Catch::Contains("'transformer.h.1.") && Catch::Contains("beyond the 1"));
}

TEST_CASE("biases that the configuration denies or promises in vain are refused") {
    CHECK(refusalOf("qwen3_tied", "attention_bias", true) ==
          "memory.gguf: tensor 'model.layers.0.self_attn.q_proj.bias' is missing");
    CHECK_THAT(refusalOf("qwen3_yarn", "attention_bias", false),
               Catch::Contains("_proj.bias' has no place in the configured architecture"));
    CHECK(refusalOf("qwen3_yarn", "attention_bias", nullptr) == "accepted");
}

TEST_CASE("a head that is promised and missing is refused") {
    CHECK(refusalOf("qwen3_tied", "tie_word_embeddings", false) ==
          "memory.gguf: configuration key 'tie_word_embeddings' is false, but tensor "
          "'lm_head.weight' is missing");
}

TEST_CASE("experts that are missing or too many or of two types are refused") {
    MemoryCheckpoint c = likeGolden("olmoe_plain");
    c.remove("model.layers.1.mlp.experts.10.up_proj.weight");
    CHECK(refusal(c) ==
          "memory.gguf: tensor 'model.layers.1.mlp.experts.10.up_proj.weight' is missing");
    c = likeGolden("olmoe_plain");
    c.edit("model.layers.0.mlp.experts.3.down_proj.weight").type = DType::BF16;
    CHECK(refusal(c) ==
          "memory.gguf: tensor 'model.layers.0.mlp.experts.3.down_proj.weight' has type BF16, "
          "expected F32 as 'model.layers.0.mlp.experts.0.down_proj.weight'");
    CHECK_THAT(refusalOf("olmoe_plain", "num_experts", 11),
               Catch::Contains("'model.layers.0.mlp.gate.weight' has shape [12, 32], expected "
                               "[11, 32]"));
    CHECK_THAT(refusalOf("olmoe_plain", "num_experts_per_tok", 13),
               Catch::Contains("'num_experts_per_tok' must be a number from 1 to 12"));
}

TEST_CASE("switches that are not implemented are refused by their key") {
    CHECK_THAT(refusalOf("qwen3_tied", "hidden_act", "gelu"),
               Catch::Contains("activation 'gelu' (key 'hidden_act') is not supported, expected "
                               "'silu'"));
    CHECK_THAT(refusalOf("olmoe_plain", "clip_qkv", 8.0),
               Catch::Contains("key 'clip_qkv' is set to 8.0"));
    CHECK(refusalOf("olmoe_plain", "clip_qkv", nullptr) == "accepted");
    CHECK_THAT(refusalOf("gemma3_pattern", "final_logit_softcapping", 30.0),
               Catch::Contains("'final_logit_softcapping'"));
    CHECK_THAT(refusalOf("gemma3_pattern", "use_bidirectional_attention", true),
               Catch::Contains("'use_bidirectional_attention'"));
    CHECK_THAT(refusalOf("gpt2_tied", "activation_function", "relu"),
               Catch::Contains("activation 'relu'"));
    CHECK_THAT(refusalOf("gpt2_tied", "scale_attn_weights", false),
               Catch::Contains("'scale_attn_weights'"));
    CHECK_THAT(refusalOf("gpt2_tied", "scale_attn_by_inverse_layer_idx", true),
               Catch::Contains("'scale_attn_by_inverse_layer_idx'"));
    CHECK_THAT(refusalOf("olmo3_pattern", "layer_types", {"full_attention"}),
               Catch::Contains("'layer_types' must list 4 layers"));
}

TEST_CASE("GPT-2 is read with the names of the first release and its mask buffers left aside") {
    MemoryCheckpoint c = likeGolden("gpt2_tied", [](const std::string& name) {
        return name.starts_with("transformer.") ? name.substr(12) : name;
    });
    c.add("h.0.attn.bias", {1, 64});
    CHECK(refusal(c) == "accepted");
    c.add("h.0.attn.c_attn.scale", {1});
    CHECK_THAT(refusal(c), Catch::Contains("'h.0.attn.c_attn.scale' has no place"));
}

TEST_CASE("the positions of GPT-2 must be as many as its configuration says") {
    CHECK(
        refusalOf("gpt2_tied", "n_positions", 63) ==
        "memory.gguf: tensor 'transformer.wpe.weight' has shape [64, 32], expected [63, 32] by the "
        "configuration (n_embd 32, n_positions 63)");
}
