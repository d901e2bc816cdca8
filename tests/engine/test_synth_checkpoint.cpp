// SPDX-License-Identifier: Apache-2.0
#include "engine/model/synth_checkpoint.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/model/spec.h"
#include "engine/run/model_names.h"
#include "engine/run/session.h"
#include "engine/text/tokenizer.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

namespace {

SynthConfig tiny(int layers, DType dense = DType::Q8_0) {
    SynthConfig config = synthConfig("demo-synthetic");
    config.layers = layers;
    config.experts = 6;
    config.vocab = 1024;
    config.dense = dense;
    return config;
}

bool sameBytes(const TensorView& a, const TensorView& b) {
    return storedBytes(a) == storedBytes(b) && std::memcmp(a.data, b.data, storedBytes(a)) == 0;
}

std::vector<float> logits(const Checkpoint& checkpoint, const std::vector<TokenId>& tokens) {
    const BoundModel model = bindModel(checkpoint);
    const auto backend = makeReferenceBackend(model);
    Session session(*backend, static_cast<int>(tokens.size()));
    std::vector<float> out;
    session.append(tokens, [&](int, std::span<const float> row) {
        out.insert(out.end(), row.begin(), row.end());
    });
    return out;
}

}  // namespace

TEST_CASE("a synthetic checkpoint in memory is the file that synth writes") {
    const TemporaryFolder folder;
    const DType dense = GENERATE(DType::Q8_0, DType::BF16);
    for (const int layers : {1, 2}) {
        const SynthConfig config = tiny(layers, dense);
        const SynthResult written = synthesize(config, folder / "x.gguf");
        const auto file = openCheckpoint(folder / "x.gguf");
        const SynthCheckpoint memory(config, "synth:tiny", 2);
        CHECK(memory.synthetic());
        CHECK(memory.config() == file->config());
        CHECK(memory.fileBytes() == written.fileBytes);
        for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "none"}) {
            CHECK(memory.stringArray(key) == file->stringArray(key));
        }
        CHECK(memory.numberArray("tokenizer.ggml.token_type") ==
              file->numberArray("tokenizer.ggml.token_type"));
        CHECK(memory.stringArray("tokenizer.ggml.token_type").empty());
        CHECK(memory.numberArray("tokenizer.ggml.tokens").empty());
        const std::string text = "The router chose an expert: 7 of 24.";
        CHECK(tokenizerFromCheckpoint(memory)->encode(text, SpecialTokens::AsText) ==
              tokenizerFromCheckpoint(*file)->encode(text, SpecialTokens::AsText));
        REQUIRE(memory.tensors().size() == file->tensors().size());
        for (const TensorView& t : file->tensors()) {
            INFO(t.name);
            const TensorView* mine = memory.find(t.name);
            REQUIRE(mine != nullptr);
            CHECK(mine->type == t.type);
            CHECK(mine->shape == t.shape);
            if (!t.name.starts_with("blk.1.")) CHECK(sameBytes(*mine, t));
        }
        if (layers == 1) {
            const std::vector<TokenId> tokens{3, 700, 41, 41, 999};
            CHECK(logits(memory, tokens) == logits(*file, tokens));
        }
    }
}

TEST_CASE("the layers of a synthetic checkpoint in memory share their bytes") {
    const SynthCheckpoint memory(tiny(3), "synth:tiny", 1);
    for (const char* name : {"attn_q.weight", "ffn_up_exps.weight", "ffn_gate_inp.bias"}) {
        const TensorView* first = memory.find(std::string("blk.0.") + name);
        const TensorView* last = memory.find(std::string("blk.2.") + name);
        REQUIRE(last != nullptr);
        CHECK(last->data == first->data);
        CHECK(last->name != first->name);
        memory.release(*first);
        CHECK(last->data[0] == first->data[0]);
    }
    CHECK(memory.find("blk.3.attn_q.weight") == nullptr);
    for (const float x : logits(memory, {1, 2, 3})) REQUIRE(std::isfinite(x));
}

TEST_CASE("the identity of a synthetic checkpoint in memory is its configuration's") {
    const auto identity = [](const SynthConfig& config, int threads) {
        return SynthCheckpoint(config, "synth:tiny", threads).identity();
    };
    CHECK(identity(tiny(2), 1) == identity(tiny(2), 2));
    CHECK(identity(tiny(2), 1) != identity(tiny(3), 1));
    CHECK(identity(tiny(2), 1) != identity(tiny(2, DType::BF16), 1));
    const TemporaryFolder folder;
    synthesize(tiny(2), folder / "x.gguf");
    CHECK(identity(tiny(2), 1) != openCheckpoint(folder / "x.gguf")->identity());
}

TEST_CASE("synthetic checkpoints in memory are models by name") {
    const auto typeOf = [](const std::string& name) {
        const auto checkpoint = openModel(name);
        CHECK(checkpoint->path() == name);
        return checkpoint->find("output.weight")->type;
    };
    CHECK(typeOf("synth:demo-synthetic") == DType::Q8_0);
    CHECK(typeOf("synth:demo-synthetic:bf16") == DType::BF16);
    const TemporaryFolder folder;
    const std::string shape = (folder / "mine.json").string();
    writeQuickly(shape, R"({"base":"demo-synthetic","n_layer":1,"dense":"bf16"})");
    CHECK(typeOf("synth:" + shape) == DType::BF16);
    CHECK(typeOf("synth:" + shape + ":q8_0") == DType::Q8_0);

    CHECK_THROWS_AS(openModel("synth:demo-synthetic:f16"), UsageError);
    CHECK(errorOf([] { openModel("synth:demo-synthetic:f16"); }) ==
          "'synth:demo-synthetic:f16' is not a model name: 'f16' is neither q8_0 nor bf16");
    try {
        openModel("synth:gpt-oss-20");
        FAIL("an unknown configuration was accepted");
    } catch (const Error& e) {
        CHECK(std::string(e.what()) ==
              "'gpt-oss-20' is neither a built-in configuration nor a .json file");
        CHECK(e.hint().starts_with("Did you mean 'gpt-oss-20b'? Built in: "));
    }
    CHECK(errorOf([] {
              resolveModel("synth:demo-synthetic");
          }).ends_with("this model is in memory only, here a file is needed"));
}

TEST_CASE("weights that do not fit into memory are refused before they are drawn") {
    SynthConfig config = synthConfig("gpt-oss-120b");
    config.dModel = config.ffn = 1 << 17;
    config.experts = 4096;
    const std::string message = errorOf([&] { SynthCheckpoint(config, "synth:huge"); });
    CHECK(message.starts_with("synth:huge needs "));
}
