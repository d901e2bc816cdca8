// SPDX-License-Identifier: Apache-2.0
// config.json of published models, cut to what is read, and the run that one completes.
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/model_config.h"
#include "profiler/runfile/run_reader.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::TempDir;
using test::thrownBy;

namespace {

const json kQwen{{"hidden_size", 2048},          {"intermediate_size", 6144},
                 {"moe_intermediate_size", 768}, {"num_experts", 128},
                 {"num_experts_per_tok", 8},     {"num_hidden_layers", 48},
                 {"torch_dtype", "bfloat16"}};

ModelFacts factsOf(const json& config) {
    const TempDir dir;
    writeFile(dir / "config.json", config.dump());
    return factsOfConfig(dir / "config.json");
}

std::string refusal(const json& config) {
    return thrownBy<Error>([&] { factsOf(config); });
}

}  // namespace

TEST_CASE("architectures name their experts differently") {
    const ModelFacts qwen = factsOf(kQwen);
    CHECK(qwen.experts == 128);
    CHECK(qwen.topK == 8);
    CHECK(qwen.layers == 48);
    CHECK(qwen.width == 2048);
    CHECK(qwen.ffn == 768);
    CHECK(qwen.expertBytes == 3 * 2048 * 768 * 2);
    const ModelFacts gptOss = factsOf({{"hidden_size", 2880},
                                       {"intermediate_size", 2880},
                                       {"num_local_experts", 32},
                                       {"num_experts_per_tok", 4},
                                       {"num_hidden_layers", 24},
                                       {"quantization_config", {{"quant_method", "mxfp4"}}}});
    CHECK(gptOss.experts == 32);
    CHECK(gptOss.expertBytes == 3 * 2880 * 2880 / 32 * 17);
    json deepseek = kQwen;
    deepseek.erase("num_experts");
    deepseek["n_routed_experts"] = 256;
    deepseek["quantization_config"] = {{"quant_method", "awq"}};
    const ModelFacts odd = factsOf({{"text_config", deepseek}});
    CHECK(odd.experts == 256);
    CHECK(odd.expertBytes == 0);  // how many bits is not said
}

TEST_CASE("of a multimodal model the type of the weights may stand outside") {
    json text = kQwen;
    text.erase("torch_dtype");
    constexpr std::int64_t kWeights = 3 * 2048 * 768;
    const json fp8{{"quant_method", "fp8"}}, awq{{"quant_method", "awq"}};
    const std::pair<json, std::int64_t> cases[] = {
        {{{"text_config", text}, {"torch_dtype", "bfloat16"}}, kWeights * 2},
        {{{"text_config", text}, {"dtype", "float32"}}, kWeights * 4},
        {{{"text_config", kQwen}, {"torch_dtype", "float32"}}, kWeights * 2},
        {{{"text_config", text}, {"quantization_config", fp8}}, kWeights},
        {{{"text_config", kQwen}, {"quantization_config", fp8}}, kWeights},
        {{{"text_config", kQwen}, {"quantization_config", awq}}, 0},
        {{{"text_config", text}}, 0},
    };
    for (const auto& [config, bytes] : cases) CHECK(factsOf(config).expertBytes == bytes);
}

TEST_CASE("a config.json that describes no mixture of experts is refused") {
    CHECK_THAT(refusal({{"hidden_size", 2048}}), Contains("describes no mixture of experts"));
    CHECK_THAT(refusal(json::array()), Contains("is no config.json of a model"));
    CHECK_THAT(refusal({{"text_config", 3}}), Contains("is no config.json of a model"));
    json bad = kQwen;
    bad["num_experts"] = 1'000'000;
    CHECK_THAT(refusal(bad), Contains("\"num_experts\" is 1000000, no number from 1 to 32767"));
    bad["num_experts"] = "many";
    CHECK_THAT(refusal(bad), Contains("\"num_experts\" is \"many\""));
}

TEST_CASE("a config.json completes what replies do not say, options before it") {
    const TempDir dir;
    json config = kQwen;
    config["num_experts_per_tok"] = 2;
    writeFile(dir / "config.json", config.dump());
    writeFile(dir / "f.jsonl", R"({"routed_experts": [[[0, 5]], [[1, 2]]]})");
    ImportRequest request{
        "routed-experts",   {dir / "f.jsonl"}, dir / "r.moescope", {}, true, nullptr, {},
        dir / "config.json"};
    importFiles(request);
    const json model = RunReader(dir / "r.moescope").metaJson("model");
    CHECK(model["experts"] == 128);
    CHECK(model["layers"] == 1);  // those of the array
    CHECK(model["d_model"] == 2048);
    CHECK(model["expert_bytes"] == 3 * 2048 * 768 * 2);
    request.facts.experts = 64;
    importFiles(request);
    CHECK(RunReader(dir / "r.moescope").metaJson("routing")["experts"] == 64);
    // Of another model: a token has 8 experts there.
    writeFile(dir / "config.json", kQwen.dump());
    CHECK_THAT(
        thrownBy<Error>([&] { importFiles(request); }),
        Contains("line 1: the array is of top-2, not of top-8 as ") && Contains("config.json"));
    request.kind = "sglang";
    request.facts = {};
    request.files = {std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                     "tests/fuzz/corpus/fuzz_routing_import/stat.pt"};
    CHECK_THAT(thrownBy<Error>([&] { importFiles(request); }),
               Contains("stat.pt: is of 4 experts, but ") && Contains("config.json of 128"));
    request.kind = "nsys";
    CHECK(thrownBy<UsageError>([&] { importFiles(request); }) == "'import nsys' takes no --config");
}
