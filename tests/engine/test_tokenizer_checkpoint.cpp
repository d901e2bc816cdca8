// SPDX-License-Identifier: Apache-2.0
// Tokenizers out of GGUF keys: a checkpoint made in memory, and SmolLM2's where it is installed.
#include <cstdlib>

#include "tests/engine/fake_gguf.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;
using nlohmann::json;

namespace {

void refused(const FakeGguf& gguf, const std::string& cause) {
    CHECK_THROWS_WITH(tokenizerFromCheckpoint(gguf), Catch::Contains(cause));
}

/// A file below $MOESCOPE_MODELS or models/; empty when it is not installed.
std::filesystem::path installed(const std::string& name) {
    const char* folder = std::getenv("MOESCOPE_MODELS");
    const std::filesystem::path models =
        folder != nullptr ? folder : std::filesystem::path(MOESCOPE_SOURCE_DIR) / "models";
    if (!std::filesystem::is_directory(models)) return {};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(models))
        if (entry.path().filename() == name) return entry.path();
    return {};
}

}  // namespace

TEST_CASE("GGUF keys make a tokenizer") {
    const FakeGguf gguf;
    const auto t = tokenizerFromCheckpoint(gguf);
    REQUIRE(t != nullptr);
    CHECK(t->preTokenizer() == "gpt2");
    CHECK(t->vocabSize() == 261);
    CHECK(t->encode("ab abc", SpecialTokens::AsText) == Ids{256, ' ', 256, 'c'});
    CHECK(t->encode("<|endoftext|><tool>", SpecialTokens::Parse) == Ids{258, 259});
    CHECK(t->encode("<tool>", SpecialTokens::AsText) == Ids{259});
    CHECK(t->encode("[PAD]", SpecialTokens::Parse) == Ids{'[', 'P', 'A', 'D', ']'});
    CHECK(t->bytes(257) == "ab ");
    CHECK(t->bytes(260) == "[PAD]");
    CHECK(t->bos() == 258);
    CHECK(t->addBos());
    CHECK(t->endOfText() == Ids{258});
    CHECK(t->chatTemplate() == "T");
}

TEST_CASE("GGUF with an empty list of merges has a tokenizer of single tokens") {
    FakeGguf gguf;
    gguf.merges.clear();
    gguf.values["tokenizer.ggml.merges"] = json::array();
    CHECK(tokenizerFromCheckpoint(gguf)->encode("ab", SpecialTokens::AsText) == Ids{'a', 'b'});
}

TEST_CASE("ids between the tokens and the rows of the embedding are padding") {
    FakeGguf gguf;  // 261 tokens
    gguf.embedding.rank = 2;
    gguf.embedding.shape = {300, 8, 1, 1};
    const auto t = tokenizerFromCheckpoint(gguf);
    CHECK(t->vocabSize() == 261);
    for (const TokenId id : {261, 299}) {
        CHECK(t->isSpecial(id));
        CHECK(t->bytes(id).empty());
    }
    CHECK(t->decode(Ids{'a', 261, 'b', 299}) == "ab");
    CHECK_FALSE(t->isSpecial(300));
    CHECK_THROWS_WITH(t->bytes(300), "fake.gguf: token 300 is outside the vocabulary of 300");
    CHECK_THROWS_AS(t->decode(Ids{-1}), Error);
    CHECK(t->isSpecial(260));  // an unused token of the file: shown by name, never text
    CHECK(t->decode(Ids{'a', 260}, false) == "a");
    gguf.embedding.shape = {100, 8, 1, 1};  // contradicts the tokens: those keep their ids
    CHECK(tokenizerFromCheckpoint(gguf)->bytes(256) == "ab");
}

TEST_CASE("GGUF that does not say whether bos leads follows the kind of its vocabulary") {
    FakeGguf gguf;
    gguf.values.erase("tokenizer.ggml.add_bos_token");
    CHECK_FALSE(tokenizerFromCheckpoint(gguf)->addBos());
    gguf.values["tokenizer.ggml.pre"] = "llama-bpe";
    CHECK(tokenizerFromCheckpoint(gguf)->addBos());
    gguf.values["tokenizer.ggml.add_bos_token"] = false;
    CHECK_FALSE(tokenizerFromCheckpoint(gguf)->addBos());
}

TEST_CASE("GGUF tokenizers that cannot be read are refused by cause") {
    FakeGguf gguf;
    gguf.values["tokenizer.ggml.pre"] = "superbpe";
    refused(gguf, "fake.gguf: tokenizer.ggml.pre 'superbpe' is no known pre-tokenizer");
    gguf.values.erase("tokenizer.ggml.pre");
    refused(gguf, "no pre-tokenizer is named");
    gguf = FakeGguf();
    for (const std::string model : {"t5", "bert", "rwkv", "plamo2", "gemma4"}) {
        gguf.values["tokenizer.ggml.model"] = model;
        refused(gguf, "fake.gguf: tokenizer.ggml.model '" + model + "' is not supported");
    }
    gguf.values["tokenizer.ggml.model"] = "none";
    CHECK(tokenizerFromCheckpoint(gguf) == nullptr);
    gguf.values["tokenizer.ggml.model"] = "llama";
    refused(gguf, "scores");
    gguf.values.erase("tokenizer.ggml.model");
    CHECK(tokenizerFromCheckpoint(gguf) == nullptr);
    gguf = FakeGguf();
    gguf.types.pop_back();
    refused(gguf, "token_type has 260 entries for 261 tokens");
    gguf = FakeGguf();
    gguf.merges.push_back("x y");
    refused(gguf, "merge 2 uses a token");
    gguf = FakeGguf();
    gguf.merges.push_back("xy");
    refused(gguf, "merge 2 is not two tokens");
    gguf = FakeGguf();
    gguf.merges.clear();
    refused(gguf, "merges");
    gguf = FakeGguf();
    gguf.tokens.clear();
    refused(gguf, "vocabulary");
    gguf = FakeGguf();
    gguf.values["tokenizer.ggml.eos_token_id"] = 261;
    refused(gguf, "eos_token_id 261 is outside the vocabulary");
}

TEST_CASE("SmolLM2 gives the ids and conversations of llama.cpp") {
    const auto file = installed("SmolLM2-135M-Instruct.Q4_1.gguf");
    if (file.empty()) {
        WARN("skipped: SmolLM2 is not installed (scripts/get-model smollm2)");
        return;
    }
    const auto checkpoint = openCheckpoint(file);
    const auto t = tokenizerFromCheckpoint(*checkpoint);
    REQUIRE(t != nullptr);
    CHECK(t->preTokenizer() == "smollm");
    CHECK(t->vocabSize() == 49152);
    CHECK(t->endOfText() == Ids{0, 2});
    CHECK_FALSE(t->addBos());
    const auto format = chatFormatFor(*t);
    REQUIRE(format != nullptr);
    CHECK(format->name() == "smollm");
    const std::string vectors = readFile(std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                                         "tests/golden/data/tokenizers/smollm2.vectors.jsonl");
    std::istringstream lines(vectors);
    int conversations = 0;
    for (std::string line; std::getline(lines, line);) {
        const json row = json::parse(line);
        const auto text = row["text"].get<std::string>();
        INFO(text);
        CHECK(t->encode(text, row["special"].get<bool>()
                                  ? SpecialTokens::Parse
                                  : SpecialTokens::AsText) == row["ids"].get<Ids>());
        if (!row.contains("messages")) continue;
        std::vector<ChatMessage> messages;
        for (const json& m : row["messages"]) {
            const auto role = m["role"].get<std::string>();
            messages.push_back({role == "user"     ? Role::User
                                : role == "system" ? Role::System
                                                   : Role::Assistant,
                                m["content"].get<std::string>(), "", "", "", ""});
        }
        CHECK(format->render(messages, {}) == row["ids"].get<Ids>());
        ++conversations;
    }
    CHECK(conversations == 2);
}

TEST_CASE("Gemma 3 gives the ids of llama.cpp and the text back", "[slow]") {
    const auto file = installed("gemma-3-270m.Q4_K_M.gguf");
    if (file.empty()) {
        WARN("skipped: Gemma 3 270M is not installed (scripts/get-model gemma3)");
        return;
    }
    const auto t = tokenizerFromCheckpoint(*openCheckpoint(file));
    REQUIRE(t != nullptr);
    CHECK(t->vocabSize() == 262144);
    CHECK(t->bos() == 2);
    CHECK(t->addBos());
    int broken = 0;
    const auto vectors = readVectors(std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                                         "tests/golden/data/tokenizers/gemma3.vectors.jsonl",
                                     broken);
    CHECK(broken == 0);
    CHECK(vectors.size() > 350);
    for (const Vector& v : vectors) {
        INFO(v.text);
        CHECK(t->encode(v.text, SpecialTokens::AsText) == v.ids);
        CHECK(t->decode(v.ids) == v.text);
    }
    CHECK(t->encode("<start_of_turn>user\n", SpecialTokens::Parse) == Ids{105, 2364, 107});
}
