// SPDX-License-Identifier: Apache-2.0
// Binding: what is read, and that every damaged configuration or tensor is refused by name.
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/model/architectures.h"
#include "engine/model/binding.h"
#include "engine/model/spec.h"
#include "tests/engine/golden.h"
#include "tests/engine/memory_checkpoint.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

std::string refusal(const Checkpoint& checkpoint) {
    try {
        bindModel(checkpoint);
    } catch (const Error& e) {
        return e.what();
    }
    return "accepted";
}

/// A llama of 1 layer with YaRN that does not say whether to truncate.
MemoryCheckpoint tinyLlamaGguf() {
    MemoryCheckpoint c(CheckpointLayout::Gguf, {{"general.architecture", "llama"},
                                                {"llama.block_count", 1},
                                                {"llama.embedding_length", 8},
                                                {"llama.context_length", 64},
                                                {"llama.attention.head_count", 2},
                                                {"llama.attention.layer_norm_rms_epsilon", 1e-5},
                                                {"llama.rope.scaling.type", "yarn"},
                                                {"llama.rope.scaling.factor", 4.0},
                                                {"llama.feed_forward_length", 6}});
    c.add("token_embd.weight", {10, 8});
    c.add("output_norm.weight", {8});
    for (const char* name : {"attn_norm", "ffn_norm"}) {
        c.add("blk.0." + std::string(name) + ".weight", {8});
    }
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
        c.add("blk.0." + std::string(name) + ".weight", {8, 8});
    }
    c.add("blk.0.ffn_gate.weight", {6, 8});
    c.add("blk.0.ffn_up.weight", {6, 8});
    c.add("blk.0.ffn_down.weight", {8, 6});
    return c;
}

/// The message when `key` of a sound gpt-oss file becomes `value`.
std::string refusalOf(const std::string& key, const nlohmann::json& value) {
    MemoryCheckpoint c = tinyGptOssGguf();
    c.editConfig()[key] = value;
    return refusal(c);
}

}  // namespace

TEST_CASE("gpt-oss from GGUF is read completely") {
    const MemoryCheckpoint c = tinyGptOssGguf();
    const BoundModel model = bindModel(c);
    const ModelSpec& spec = model.spec;
    CHECK(spec.architecture == "gpt-oss");
    CHECK(spec.name == "tiny");
    CHECK(spec.nLayer == 2);
    CHECK(spec.vocab == 10);
    CHECK(spec.nExpert == 3);
    CHECK(spec.topK == 2);
    CHECK(spec.sinks);
    CHECK_FALSE(spec.tiedHead);
    CHECK(spec.scale() == Approx(0.5));
    CHECK(spec.layers[0].window == 4);
    CHECK(spec.layers[1].window == 0);
    CHECK(spec.layers[1].rope.yarn);
    CHECK_FALSE(spec.layers[1].rope.truncate);
    CHECK(spec.layers[1].rope.originalContext == 16);
    CHECK(spec.layers[0].rope.pairing == RopePairing::HalfSplit);
    CHECK(model.weights.layers[1].ffnNorm.name == "blk.1.post_attention_norm.weight");
    CHECK(model.weights.layers[1].postFfnNorm.empty());
}

TEST_CASE("the layouts of one model bind to the same numbers") {
    const Golden split = loadGolden("gpt_oss_mxfp4");
    const Golden records = loadGolden("gpt_oss_mxfp4", "model.gguf");
    const LayerWeights& a = split.model.weights.layers[1];
    const LayerWeights& b = records.model.weights.layers[1];
    CHECK(a.gate.type == DType::MXFP4Split);
    CHECK(b.gate.type == DType::MXFP4);
    const int experts = split.model.spec.nExpert;
    std::vector<float> left(64);
    std::vector<float> right(64);
    for (const auto& [x, y] : {std::pair{&a.gate, &b.gate}, std::pair{&a.up, &b.up}}) {
        for (int expert = 0; expert < experts; ++expert) {
            for (int row = 0; row < 96; row += 19) {
                dequantizeRow(*x, expert, row, left);
                dequantizeRow(*y, expert, row, right);
                CHECK(left == right);
            }
        }
    }
    const auto bias = [](const TensorView& t, int i) {
        return reinterpret_cast<const float*>(t.data)[i];
    };
    CHECK(a.upBias.type == DType::F32);
    for (int i = 0; i < experts * 96; ++i) CHECK(bias(a.upBias, i) == bias(b.upBias, i));
}

TEST_CASE("wrong dimensions are refused and the key is named") {
    CHECK_THAT(refusalOf("gpt-oss.block_count", 0), Catch::Contains("'gpt-oss.block_count'"));
    CHECK_THAT(refusalOf("gpt-oss.block_count", 1e18), Catch::Contains("'gpt-oss.block_count'"));
    CHECK_THAT(refusalOf("gpt-oss.block_count", "two"), Catch::Contains("must be a number"));
    CHECK_THAT(refusalOf("gpt-oss.block_count", nullptr), Catch::Contains("is missing"));
    CHECK_THAT(refusalOf("gpt-oss.embedding_length", -8), Catch::Contains("embedding_length"));
    CHECK_THAT(refusalOf("gpt-oss.attention.head_count", 2.5), Catch::Contains("whole number"));
    CHECK_THAT(refusalOf("gpt-oss.attention.head_count_kv", 3), Catch::Contains("evenly"));
    CHECK_THAT(refusalOf("gpt-oss.attention.head_count_kv", {2, 2}),
               Catch::Contains("must be a number"));
    CHECK_THAT(refusalOf("gpt-oss.attention.key_length", 5), Catch::Contains("key_length"));
    CHECK_THAT(refusalOf("gpt-oss.expert_used_count", 4), Catch::Contains("expert_used_count"));
    CHECK_THAT(refusalOf("gpt-oss.attention.layer_norm_rms_epsilon", 0.0),
               Catch::Contains("epsilon"));
    CHECK_THAT(refusalOf("gpt-oss.rope.scaling.type", "llama3"), Catch::Contains("'llama3'"));
    CHECK_THAT(refusalOf("gpt-oss.rope.scaling.factor", 0.0), Catch::Contains("scaling.factor"));
    CHECK_THAT(refusalOf("gpt-oss.rope.freq_base", 0.0), Catch::Contains("freq_base"));
    CHECK_THAT(refusalOf("gpt-oss.rope.dimension_count", 2), Catch::Contains("partial rotary"));
    CHECK_THAT(refusalOf("general.architecture", "mamba"),
               Catch::Contains("'mamba' (key 'general.architecture') is not supported"));
    CHECK_THAT(refusalOf("general.architecture", 7), Catch::Contains("general.architecture"));
}

TEST_CASE("RoPE keys that are not implemented are refused unless they change nothing") {
    for (const std::string key :
         {"gpt-oss.rope.scaling.attn_factor", "gpt-oss.rope.scaling.yarn_attn_factor",
          "gpt-oss.rope.scale_linear"}) {
        CHECK_THAT(refusalOf(key, 2.0), Catch::Contains("RoPE key"));
        CHECK(refusalOf(key, 1.0) == "accepted");
    }
    const Golden golden = loadGolden("llama_tied");
    nlohmann::json config = golden.checkpoint->config();
    config["partial_rotary_factor"] = 0.5;
    CHECK_THAT(refusal(MemoryCheckpoint(CheckpointLayout::HuggingFace, config)),
               Catch::Contains("partial_rotary_factor"));
    config = golden.checkpoint->config();
    config["rope_parameters"] = {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}};
    CHECK_THAT(refusal(MemoryCheckpoint(CheckpointLayout::HuggingFace, config)),
               Catch::Contains("partial_rotary_factor"));
}

TEST_CASE("YaRN of a llama file truncates its bounds in both layouts and gpt-oss in neither") {
    MemoryCheckpoint gguf(CheckpointLayout::Gguf, {{"llama.context_length", 64},
                                                   {"llama.rope.scaling.type", "yarn"},
                                                   {"llama.rope.scaling.factor", 4.0}});
    MemoryCheckpoint folder(CheckpointLayout::HuggingFace,
                            {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}});
    for (const bool truncate : {false, true}) {
        const RopeSpec a =
            readGgufRope(ConfigReader(gguf.config(), "x", "llama."), {.truncate = truncate}, {});
        const RopeSpec b = readHuggingFaceRope(ConfigReader(folder.config(), "x"), ModelSpec{},
                                               {.truncate = truncate}, {});
        CHECK(a.truncate == truncate);
        CHECK(b.truncate == truncate);
    }
    MemoryCheckpoint llama = tinyLlamaGguf();
    CHECK(bindModel(llama).spec.layers[0].rope.truncate);
    CHECK_FALSE(bindModel(tinyGptOssGguf()).spec.layers[0].rope.truncate);
}

TEST_CASE("a GGUF file that states a factor of RoPE without a type scales linearly") {
    MemoryCheckpoint c(CheckpointLayout::Gguf, {{"llama.rope.scaling.factor", 4.0}});
    const auto read = [&] { return readGgufRope(ConfigReader(c.config(), "x", "llama."), {}, {}); };
    CHECK(read().factor == 4.0);
    CHECK_FALSE(read().yarn);
    c.editConfig()["llama.rope.scaling.type"] = "none";
    CHECK(read().factor == 1.0);
}

TEST_CASE("RoPE of a folder that says nothing of it is that of transformers") {
    const auto ropeOf = [](const std::string& name) {
        const Golden golden = loadGolden(name);
        nlohmann::json config = golden.checkpoint->config();
        for (const char* key : {"rope_theta", "rope_scaling", "rope_parameters"}) config.erase(key);
        MemoryCheckpoint c(CheckpointLayout::HuggingFace, config);
        for (const TensorView& t : golden.checkpoint->tensors()) {
            if (t.rank == 1) c.add(t.name, {t.shape[0]});
            if (t.rank == 2) c.add(t.name, {t.shape[0], t.shape[1]});
            if (t.rank == 3) c.add(t.name, {t.shape[0], t.shape[1], t.shape[2]});
        }
        return bindModel(c).spec.layers.back().rope;
    };
    CHECK(ropeOf("olmo2_heads").theta == 10000.0);
    CHECK(ropeOf("olmo3_types").theta == 500000.0);
    const RopeSpec gptOss = ropeOf("gpt_oss_heads");
    CHECK(gptOss.theta == 150000.0);
    CHECK(gptOss.yarn);
    CHECK(gptOss.factor == 32.0);
    CHECK(gptOss.originalContext == 4096);
    CHECK_FALSE(gptOss.truncate);
}

TEST_CASE("a folder that ties its head to the embedding does so unless it stores another") {
    const Golden golden = loadGolden("llama_tied");
    REQUIRE(golden.checkpoint->config()["tie_word_embeddings"] == true);
    MemoryCheckpoint c(CheckpointLayout::HuggingFace, golden.checkpoint->config());
    for (const TensorView& t : golden.checkpoint->tensors()) {
        if (t.rank == 1) c.add(t.name, {t.shape[0]});
        if (t.rank == 2) c.add(t.name, {t.shape[0], t.shape[1]});
    }
    const ModelSpec& spec = golden.model.spec;
    const auto* values = reinterpret_cast<const float*>(c.edit("model.embed_tokens.weight").data);
    c.add("lm_head.weight", {spec.vocab, spec.dModel},
          {values, values + std::int64_t{spec.vocab} * spec.dModel});
    const BoundModel tied = bindModel(c);
    CHECK(tied.spec.tiedHead);
    CHECK(tied.weights.head.data == tied.weights.embedding.data);
    c.editConfig()["tie_word_embeddings"] = false;
    CHECK_FALSE(bindModel(c).spec.tiedHead);
    c.editConfig()["tie_word_embeddings"] = true;
    c.add("lm_head.weight", {spec.vocab, spec.dModel});  // other values
    const BoundModel apart = bindModel(c);
    CHECK_FALSE(apart.spec.tiedHead);
    CHECK(apart.weights.head.data != apart.weights.embedding.data);
}

TEST_CASE("a tensor of another shape or type is refused by name and shapes") {
    MemoryCheckpoint c = tinyGptOssGguf();
    c.add("blk.1.attn_k.weight", {8, 9});
    CHECK_THAT(refusal(c),
               Catch::StartsWith("memory.gguf: tensor 'blk.1.attn_k.weight' has shape [8, 9], "
                                 "expected [8, 8] by the configuration (gpt-oss.embedding_length "
                                 "8, ") &&
                   Catch::Contains("gpt-oss.attention.head_count_kv 2"));
    c = tinyGptOssGguf();
    c.add("blk.0.ffn_up_exps.weight", {6, 3, 8});
    CHECK_THAT(refusal(c), Catch::Contains("has shape [6, 3, 8], expected [3, 6, 8]"));
    c = tinyGptOssGguf();
    c.remove("blk.0.attn_sinks.weight");
    CHECK_THAT(refusal(c), Catch::Contains("'blk.0.attn_sinks.weight' is missing"));
    c = tinyGptOssGguf();
    c.edit("output_norm.weight").type = DType::I32;
    CHECK_THAT(refusal(c), Catch::Contains("'output_norm.weight' has type I32"));
    c = tinyGptOssGguf();
    c.edit("blk.0.attn_q.weight").type = DType::Q8_0;
    CHECK_THAT(refusal(c), Catch::Contains("not a multiple of Q8_0's block of 32"));
    c = tinyGptOssGguf();
    c.remove("token_embd.weight");
    CHECK_THAT(refusal(c), Catch::Contains("'token_embd.weight' is missing"));
}

TEST_CASE("a file without an output matrix ties the head to the embedding") {
    MemoryCheckpoint c = tinyGptOssGguf();
    c.remove("output.weight");
    const BoundModel model = bindModel(c);
    CHECK(model.spec.tiedHead);
    CHECK(model.weights.head.data == model.weights.embedding.data);
}

TEST_CASE("layer types that make no sense are refused") {
    const Golden golden = loadGolden("gpt_oss_heads");
    CHECK(golden.model.spec.layers[0].window == 0);
    CHECK(golden.model.spec.layers[2].window == 5);
    CHECK(golden.model.spec.swigluLimit == 1.5F);
    MemoryCheckpoint c(CheckpointLayout::HuggingFace, golden.checkpoint->config());
    c.editConfig()["layer_types"] = {"full_attention"};
    CHECK_THAT(refusal(c), Catch::Contains("must list 3 layers"));
    c.editConfig()["layer_types"] = {"full_attention", "other", "full_attention"};
    CHECK_THAT(refusal(c), Catch::Contains("layer_types[1]"));
}

TEST_CASE("GGUF llama files pair neighbours and Hugging Face ones halves") {
    const Golden gguf = loadGolden("llama_tied", "model.gguf");
    const Golden folder = loadGolden("llama_tied");
    CHECK(gguf.model.spec.layers[0].rope.pairing == RopePairing::Interleaved);
    CHECK(folder.model.spec.layers[0].rope.pairing == RopePairing::HalfSplit);
    CHECK(folder.model.spec.name == "llama_tied");
    CHECK(folder.model.spec.tiedHead);
}

TEST_CASE("every registered architecture has its names") {
    for (const Architecture& a : architectures()) {
        // There OLMo 3 is an olmo2 with a window, Mistral and Mixtral are llamas, and images are in
        // files of their own.
        const bool inGguf = a.tensor.empty() && a.name != "olmo3" && a.name != "mistral" &&
                            a.name != "mixtral" && a.huggingFaceName != "gemma3";
        CHECK(a.ggufName.empty() != inGguf);
        CHECK(a.huggingFaceName.empty() == !a.tensor.empty());
        CHECK(a.bind != nullptr);
    }
}

TEST_CASE("parameters are counted as the model card does") {
    const MemoryCheckpoint c = tinyGptOssGguf();
    const BoundModel model = bindModel(c);
    const ParameterCount count = countParameters(model.spec, model.weights);
    // norm 8 + q 128 + 16 + k, v 2 x (64 + 8) + o 128 + 8 + sinks 4
    CHECK(count.attention == 2 * 436);
    // norm 8 + router 24 + 3 + 3 experts x (48 + 48 + 48 + 6 + 6 + 8)
    CHECK(count.mlp == 2 * (35 + 3 * 164));
    CHECK(count.embedding == 160);
    CHECK(count.total == 872 + 1054 + 160 + 8);
    CHECK(count.active == 872 + 2 * (35 + 2 * 164) + 8 + 80);
}
