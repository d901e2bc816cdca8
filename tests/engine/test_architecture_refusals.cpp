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

TEST_CASE("groups of the configuration that are no objects are refused") {
    for (const std::string key : {"rope_scaling", "rope_parameters", "quantization_config"}) {
        MemoryCheckpoint c = likeGolden("llama_tied");
        c.editConfig().erase("rope_parameters");
        c.editConfig()[key] = {1, 2};
        CHECK(refusal(c) == "memory.gguf: configuration key '" + key + "' must be an object");
        c.editConfig()[key] = nullptr;
        CHECK(refusal(c) == "accepted");
    }
}

TEST_CASE("an original context beside the group of YaRN is refused where the group has none") {
    MemoryCheckpoint c = likeGolden("llama_tied");
    c.editConfig()["original_max_position_embeddings"] = 16;
    CHECK(refusal(c) == "accepted");  // without YaRN nothing reads it
    c.editConfig().erase("rope_parameters");
    c.editConfig()["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}};
    CHECK(refusal(c) ==
          "memory.gguf: RoPE key 'original_max_position_embeddings' is not supported outside "
          "'rope_scaling' or 'rope_parameters'");
    c.editConfig()["rope_scaling"]["original_max_position_embeddings"] = 16;
    CHECK(refusal(c) == "accepted");
}

TEST_CASE("two groups of RoPE that differ are refused and two spellings of one are not") {
    MemoryCheckpoint c = likeGolden("llama_tied");
    nlohmann::json yarn = {{"rope_type", "yarn"},
                           {"factor", 4.0},
                           {"original_max_position_embeddings", 16},
                           {"rope_theta", 1e5}};
    c.editConfig()["rope_parameters"] = yarn;
    c.editConfig()["rope_scaling"] = nlohmann::json::object();  // says nothing
    CHECK(refusal(c) == "accepted");
    yarn["type"] = yarn["rope_type"];
    yarn.erase("rope_type");
    c.editConfig()["rope_scaling"] = yarn;
    CHECK(refusal(c) == "accepted");
    // The older spelling has theta outside.
    c.editConfig()["rope_scaling"].erase("rope_theta");
    c.editConfig()["rope_theta"] = 1e5;
    CHECK(refusal(c) == "accepted");
    const std::string differ =
        "memory.gguf: 'rope_scaling' and 'rope_parameters' describe different RoPE, and which of "
        "them the model was trained with is not said";
    c.editConfig()["rope_theta"] = 1e4;
    CHECK(refusal(c) == differ);
    c.editConfig()["rope_theta"] = 1e5;
    c.editConfig()["rope_scaling"]["factor"] = 8.0;
    CHECK(refusal(c) == differ);
}

TEST_CASE("an older group of RoPE is of the full layers where the newer one tells them apart") {
    MemoryCheckpoint c = likeGolden("gemma3_scaled");
    const nlohmann::json full = {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1e6}};
    c.editConfig()["rope_parameters"] = {
        {"full_attention", full},
        {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}}};
    c.editConfig()["rope_scaling"] = full;
    CHECK(refusal(c) == "accepted");
    c.editConfig()["rope_scaling"]["factor"] = 4.0;
    CHECK_THAT(refusal(c), Catch::Contains("describe different RoPE"));
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

TEST_CASE("what Mistral, Mixtral and Qwen2 do not compute is refused") {
    // Also beside rope_parameters, as mistral_null has them: transformers takes rope_scaling then.
    for (const char* like : {"mistral_null", "mistral_silent"})
        CHECK(refusalOf(like, "rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}) ==
              "memory.gguf: RoPE scaling 'dynamic' (key 'rope_scaling.rope_type') is not "
              "supported, expected default, linear, yarn or llama3");
    CHECK_THAT(refusalOf("qwen2_tied", "rope_parameters", {{"rope_type", "longrope"}}),
               Catch::Contains("RoPE scaling 'longrope'"));
    CHECK_THAT(refusalOf("mistral_window", "sliding_window", 0),
               Catch::Contains("'sliding_window' must be a number from 1 to"));
    CHECK_THAT(refusalOf("mixtral_pair", "hidden_act", "gelu"),
               Catch::Contains("activation 'gelu'"));
    CHECK_THAT(refusalOf("mixtral_pair", "num_local_experts", 2),
               Catch::Contains("'model.layers.0.block_sparse_moe.gate.weight' has shape [3, 8], "
                               "expected [2, 8] by the configuration (hidden_size 8, ") &&
                   Catch::Contains("num_local_experts 2)"));
    CHECK_THAT(refusalOf("mixtral_pair", "num_experts_per_tok", 4),
               Catch::Contains("'num_experts_per_tok' must be a number from 1 to 3"));
    CHECK_THAT(refusalOf("mixtral_pair", "head_dim", 6),
               Catch::Contains("self_attn.q_proj.weight' has shape [8, 8], expected [12, 8]"));
    MemoryCheckpoint c = likeGolden("mixtral_pair");
    c.remove("model.layers.1.block_sparse_moe.experts.2.w3.weight");
    CHECK(refusal(c) ==
          "memory.gguf: tensor 'model.layers.1.block_sparse_moe.experts.2.w3.weight' is missing");
    c = likeGolden("mistral_null");
    c.add("model.layers.0.self_attn.q_proj.bias", {8});
    CHECK_THAT(refusal(c), Catch::Contains("q_proj.bias' has no place"));
    c = likeGolden("qwen2_tied");
    c.remove("model.layers.1.self_attn.k_proj.bias");
    CHECK(refusal(c) == "memory.gguf: tensor 'model.layers.1.self_attn.k_proj.bias' is missing");
    c = likeGolden("qwen2_tied");
    c.add("model.layers.1.self_attn.o_proj.bias", {8});
    CHECK_THAT(refusal(c), Catch::Contains("o_proj.bias' has no place"));
    CHECK(refusalOf("qwen2_tied", "model_type", "qwen2_moe") ==
          "memory.gguf: architecture 'qwen2_moe' (key 'model_type') is not supported");
}

TEST_CASE("the text part of a Gemma 3 with images is refused by its own keys and names") {
    const auto refusedText = [](const std::string& key, const nlohmann::json& value) {
        MemoryCheckpoint c = likeGolden("gemma3_images");
        c.editConfig()["text_config"][key] = value;
        return refusal(c);
    };
    CHECK(refusalOf("gemma3_images", "text_config", nullptr) ==
          "memory.gguf: configuration key 'text_config' is missing");
    CHECK(refusalOf("gemma3_images", "text_config", 7) ==
          "memory.gguf: configuration key 'text_config' is no group of keys");
    CHECK_THAT(refusedText("rope_scaling", {{"rope_type", "dynamic"}}),
               Catch::Contains("RoPE scaling 'dynamic'"));
    CHECK_THAT(refusedText("intermediate_size", 11),
               Catch::Contains("'language_model.model.layers.0.mlp.gate_proj.weight' has shape "
                               "[10, 12], expected [11, 12] by the configuration (hidden_size 12, "
                               "intermediate_size 11, "));
    CHECK_THAT(refusedText("num_hidden_layers", 1),
               Catch::Contains("'language_model.model.layers.1.") &&
                   Catch::Contains("beyond the 1 of the configuration"));
    CHECK_THAT(refusedText("vocab_size", 17), Catch::Contains("has 16 rows"));
    CHECK_THAT(refusedText("final_logit_softcapping", 30.0),
               Catch::Contains("'final_logit_softcapping'"));
}

TEST_CASE("the text part of a Gemma 3 with images is found under either name") {
    const std::string published = "language_model.model.";
    MemoryCheckpoint c = likeGolden("gemma3_images", [&](const std::string& name) {
        return name.starts_with(published) ? "model.language_model." + name.substr(published.size())
                                           : name;
    });
    const BoundModel model = bindModel(c);
    CHECK(model.weights.layers[1].q.name ==
          "model.language_model.layers.1.self_attn.q_proj.weight");
    CHECK_THAT(model.spec.leftAside, Catch::StartsWith("the image encoder"));
}

TEST_CASE("keys that a published Gemma 3 with images leaves out mean what transformers means") {
    MemoryCheckpoint c(
        CheckpointLayout::HuggingFace,
        {{"model_type", "gemma3"},
         {"text_config",
          {{"hidden_size", 8}, {"intermediate_size", 6}, {"num_hidden_layers", 1}}}});
    const std::string layer = "language_model.model.layers.0.";
    c.add("language_model.model.embed_tokens.weight", {10, 8});
    c.add("language_model.model.norm.weight", {8});
    for (const char* norm : {"input_layernorm", "post_attention_layernorm",
                             "pre_feedforward_layernorm", "post_feedforward_layernorm"})
        c.add(layer + norm + ".weight", {8});
    c.add(layer + "self_attn.q_proj.weight", {2048, 8});
    c.add(layer + "self_attn.k_proj.weight", {1024, 8});
    c.add(layer + "self_attn.v_proj.weight", {1024, 8});
    c.add(layer + "self_attn.o_proj.weight", {8, 2048});
    c.add(layer + "self_attn.q_norm.weight", {256});
    c.add(layer + "self_attn.k_norm.weight", {256});
    c.add(layer + "mlp.gate_proj.weight", {6, 8});
    c.add(layer + "mlp.up_proj.weight", {6, 8});
    c.add(layer + "mlp.down_proj.weight", {8, 6});
    c.add("vision_tower.vision_model.embeddings.patch_embedding.bias", {4});
    const ModelSpec spec = bindModel(c).spec;
    CHECK(spec.nHead == 8);
    CHECK(spec.nKvHead == 4);
    CHECK(spec.headDim == 256);
    CHECK(spec.contextLength == 131072);
    CHECK(spec.normEps == 1e-6F);
    CHECK(spec.scale() == Approx(1.0 / 16.0));
    CHECK(spec.tiedHead);
    CHECK(spec.layers[0].window == 4096);
    CHECK(spec.layers[0].rope.theta == 10000.0);
    CHECK_THAT(spec.leftAside, Catch::Contains("(1 tensor)"));
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
