// SPDX-License-Identifier: Apache-2.0
#include "engine/model/synth.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "engine/core/file.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/gguf.h"
#include "engine/formats/half.h"
#include "engine/model/synth_fill.h"
#include "engine/model/synth_tokenizer.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

namespace {

SynthConfig tiny() {
    SynthConfig config = synthConfig("demo-synthetic");
    config.layers = 2;
    config.experts = 4;
    config.vocab = 1024;
    return config;
}

double rmsOf(const TensorView& t) {
    double sum = 0.0;
    std::vector<float> row(static_cast<std::size_t>(t.cols()));
    for (std::int64_t s = 0; s < t.stack(); ++s) {
        for (std::int64_t r = 0; r < t.rows(); ++r) {
            dequantizeRow(t, s, r, row);
            for (const float x : row) sum += static_cast<double>(x) * x;
        }
    }
    return std::sqrt(sum / static_cast<double>(t.elements()));
}

}  // namespace

TEST_CASE("a synthetic checkpoint has the names and types and scale of a gpt-oss GGUF") {
    const TemporaryFolder folder;
    const auto path = folder / "x.gguf";
    std::uint64_t last = 0;
    SynthOptions options;
    options.progress = [&](std::uint64_t done, std::uint64_t) {
        CHECK(done >= last);
        last = done;
    };
    const SynthResult result = synthesize(tiny(), path, options);
    CHECK(result.fileBytes == std::filesystem::file_size(path));
    CHECK(last == result.fileBytes);
    const auto file = openCheckpoint(path);
    CHECK(file->synthetic());
    CHECK(file->config()["gpt-oss.block_count"] == 2);
    CHECK(file->config()["gpt-oss.rope.scaling.type"] == "yarn");
    CHECK(static_cast<std::int32_t>(file->tensors().size()) == result.tensors);
    const auto shape = [&](const char* name, DType type, std::array<std::int64_t, 4> wanted) {
        const TensorView* t = file->find(name);
        REQUIRE(t != nullptr);
        CHECK(t->type == type);
        CHECK(t->shape == wanted);
    };
    shape("token_embd.weight", DType::Q8_0, {1024, 224, 1, 1});
    shape("blk.1.attn_q.weight", DType::Q8_0, {256, 224, 1, 1});
    shape("blk.1.attn_k.bias", DType::F32, {64, 1, 1, 1});
    shape("blk.1.attn_sinks.weight", DType::F32, {8, 1, 1, 1});
    shape("blk.1.post_attention_norm.weight", DType::F32, {224, 1, 1, 1});
    shape("blk.1.ffn_gate_inp.weight", DType::F32, {4, 224, 1, 1});
    shape("blk.1.ffn_gate_exps.weight", DType::MXFP4, {4, 64, 224, 1});
    shape("blk.1.ffn_down_exps.weight", DType::MXFP4, {4, 224, 64, 1});
    shape("blk.1.ffn_down_exps.bias", DType::F32, {4, 224, 1, 1});
    CHECK(rmsOf(*file->find("token_embd.weight")) == Approx(1.0).epsilon(0.02));
    CHECK(rmsOf(*file->find("blk.0.ffn_up_exps.weight")) ==
          Approx(1 / std::sqrt(224.0)).epsilon(0.02));
    CHECK(rmsOf(*file->find("blk.0.ffn_down_exps.weight")) ==
          Approx(1 / std::sqrt(64.0 * 4.0)).epsilon(0.02));
    CHECK_NOTHROW(refuseNotFinite(*file->find("blk.0.ffn_up_exps.weight")));
}

TEST_CASE("synthetic bytes depend on the seed and not on the threads") {
    const TemporaryFolder folder;
    const auto bytes = [&](std::uint64_t seed, int threads) {
        SynthOptions options;
        options.seed = seed;
        options.threads = threads;
        synthesize(tiny(), folder / "x.gguf", options);
        return readFile(folder / "x.gguf");
    };
    const std::string one = bytes(7, 1);
    CHECK(bytes(7, 3) == one);
    CHECK(bytes(8, 1) != one);
}

TEST_CASE("blocks are the same however a tensor is cut") {
    for (const DType type : {DType::F32, DType::BF16, DType::Q8_0, DType::MXFP4}) {
        const SynthTensor t{"t", type, {4, 64}, 0.1, 0.0};
        const auto size = static_cast<std::size_t>(dtypeInfo(type).blockBytes);
        const auto blocks = static_cast<std::size_t>(t.blocks());
        std::vector<std::byte> whole(blocks * size);
        std::vector<std::byte> parts(blocks * size);
        fillBlocks(t, 42, 0, whole);
        for (std::size_t b = 0; b < blocks; ++b) {
            fillBlocks(t, 42, static_cast<std::int64_t>(b),
                       std::span(parts).subspan(b * size, size));
        }
        CHECK(whole == parts);
    }
}

TEST_CASE("dense matrices in bf16 are the float32 draws, rounded") {
    const TemporaryFolder folder;
    SynthConfig config = tiny();
    config.dense = DType::BF16;
    const SynthResult result = synthesize(config, folder / "x.gguf");
    CHECK(result.fileBytes == std::filesystem::file_size(folder / "x.gguf"));
    const auto file = openCheckpoint(folder / "x.gguf");
    for (const char* name : {"token_embd.weight", "output.weight", "blk.0.attn_q.weight"}) {
        CHECK(file->find(name)->type == DType::BF16);
    }
    CHECK(file->find("blk.0.ffn_gate_exps.weight")->type == DType::MXFP4);
    CHECK(file->find("blk.0.ffn_gate_inp.weight")->type == DType::F32);
    CHECK(rmsOf(*file->find("token_embd.weight")) == Approx(1.0).epsilon(0.02));

    SynthTensor t{"t", DType::F32, {2, 64}, 0.1, 0.0};
    std::vector<float> exact(128);
    fillBlocks(t, 42, 0, std::as_writable_bytes(std::span(exact)));
    t.type = DType::BF16;
    std::vector<std::uint16_t> rounded(128);
    fillBlocks(t, 42, 0, std::as_writable_bytes(std::span(rounded)));
    for (std::size_t i = 0; i < exact.size(); ++i) CHECK(rounded[i] == floatToBf16(exact[i]));
}

TEST_CASE("an interrupted synthesis leaves no file") {
    const TemporaryFolder folder;
    StopFlag stop{false};
    SynthOptions options;
    options.stop = &stop;
    options.progress = [&](std::uint64_t, std::uint64_t) { stop = true; };
    CHECK_THROWS_AS(synthesize(tiny(), folder / "x.gguf", options), Interrupted);
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("the synthetic vocabulary holds each text once with specials in place") {
    const SynthVocabulary v = synthVocabulary(synthConfig("gpt-oss-20b-2layer"));
    REQUIRE(v.tokens.size() == 201088);
    REQUIRE(v.types.size() == v.tokens.size());
    CHECK(std::set<std::string>(v.tokens.begin(), v.tokens.end()).size() == v.tokens.size());
    CHECK(v.tokens[199998] == "<|startoftext|>");
    CHECK(v.tokens[200002] == "<|return|>");
    CHECK(v.tokens[200006] == "<|start|>");
    CHECK(v.tokens[200012] == "<|call|>");
    CHECK(v.tokens[200013] == "<|reserved_200013|>");
    CHECK(v.eos == 200002);
    CHECK(v.types[200002] == 3);
    CHECK(v.types[65] == 1);
    CHECK(v.types[150000] == 5);
    CHECK(v.merges.size() > 1000);
}

TEST_CASE("ranks of a tiktoken file become tokens and merges") {
    const TemporaryFolder folder;
    // "a" "b" "ab" "c" "abc": merges a+b and ab+c.
    writeQuickly(folder / "r.tiktoken", "YQ== 0\nYg== 1\nYWI= 2\nYw== 3\nYWJj 4\n");
    const SynthVocabulary v = synthVocabulary(tiny(), folder / "r.tiktoken");
    CHECK(v.tokens[4] == "abc");
    CHECK(v.merges == std::vector<std::string>{"a b", "ab c"});
    writeQuickly(folder / "r.tiktoken", "YQ== 0\nYg== 2\n");
    CHECK(errorOf([&] {
              synthVocabulary(tiny(), folder / "r.tiktoken");
          }).ends_with("r.tiktoken: line 2 is not a base64 token and its rank in order"));
}

TEST_CASE("synth configurations come by name or from strict JSON") {
    const TemporaryFolder folder;
    const auto path = (folder / "mine.json").string();
    writeQuickly(path, R"({"base":"gpt-oss-20b","n_layer":1,"vocab":1024})");
    const SynthConfig config = synthConfig(path);
    CHECK(config.name == "mine");
    CHECK(config.layers == 1);
    CHECK(config.dModel == 2880);
    CHECK(config.dense == DType::Q8_0);
    writeQuickly(path, R"({"base":"gpt-oss-20b","dense":"bf16"})");
    CHECK(synthConfig(path).dense == DType::BF16);
    const auto complaint = [&](const char* json) {
        writeQuickly(path, json);
        return errorOf([&] { synthConfig(path); }).substr(path.size());
    };
    CHECK(complaint(R"({"base":"gpt-oss-20b","layers":1})") == ": unknown field \"layers\"");
    CHECK(complaint(R"({"n_layer":2})") == ": \"d_model\" is missing");
    CHECK(complaint(R"({"base":"gpt-oss-20b","d_model":100})") ==
          ": \"d_model\" is not a multiple of 32");
    CHECK(complaint(R"({"base":"gpt-oss-20b","dense":"f16"})") ==
          ": \"dense\" is \"f16\", not \"q8_0\" or \"bf16\"");
    CHECK(complaint(R"({"base":"gpt-oss-20b","n_layer":-1})") ==
          ": \"n_layer\" is -1, not an integer from 1 to 1024");
    CHECK(errorOf([] { synthConfig("nonsense"); }) ==
          "'nonsense' is neither a built-in configuration nor a .json file");
}
