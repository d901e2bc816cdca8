// SPDX-License-Identifier: Apache-2.0
// tokenizer.json: ids of Hugging Face's own library (tests/golden/make_tokenizer_golden.py), the
// files beside it, and refusals.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;
using nlohmann::json;

namespace {

const std::filesystem::path kGolden =
    std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/tokenizers";

/// A folder of its own for every test case, removed at the end.
struct Folder {
    explicit Folder(const std::string& name)
        : path(std::filesystem::temp_directory_path() /
               ("moescope-json-" + name + std::to_string(::getpid()))) {
        std::filesystem::remove_all(path);
        std::filesystem::create_directories(path);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

json gpt2Document() {
    return json::parse(readFile(kGolden / "gpt2.tokenizer.json"));
}

std::unique_ptr<Tokenizer> load(const Folder& folder, const json& document) {
    writeFile(folder.path / "tokenizer.json", document.dump());
    return tokenizerFromJson(folder.path / "tokenizer.json");
}

}  // namespace

TEST_CASE("tokenizer json files give the ids of their own library") {
    for (const std::string name : {"gpt2", "gpt-4o", "qwen2", "smollm"}) {
        INFO(name);
        const auto t = tokenizerFromJson(kGolden / (name + ".tokenizer.json"));
        CHECK(t->preTokenizer() == name);
        int broken = 0;
        const auto vectors = readVectors(kGolden / (name + ".vectors.jsonl"), broken);
        CHECK(broken == 0);
        CHECK(vectors.size() == 35);
        for (const Vector& v : vectors) {
            INFO(v.text);
            CHECK(t->encode(v.text, v.special ? SpecialTokens::Parse : SpecialTokens::AsText) ==
                  v.ids);
            if (name != "qwen2") CHECK(t->decode(v.ids) == v.text);
        }
    }
}

TEST_CASE("files beside tokenizer json name bos and eos and template") {
    const Folder folder("sidecars");
    writeFile(folder.path / "tokenizer_config.json",
              R"({"bos_token": {"content": "<|start|>"}, "eos_token": "<|end|>",
                  "add_bos_token": true, "chat_template": "from config"})");
    writeFile(folder.path / "generation_config.json", R"({"eos_token_id": [601, 7]})");
    const auto t = load(folder, gpt2Document());
    CHECK(t->bos() == t->find("<|start|>"));
    CHECK(t->addBos());
    CHECK(t->chatTemplate() == "from config");
    CHECK(t->endOfText() == Ids{7, *t->find("<|end|>")});
    writeFile(folder.path / "chat_template.jinja", "from jinja");
    CHECK(tokenizerFromJson(folder.path / "tokenizer.json")->chatTemplate() == "from jinja");
    writeFile(folder.path / "generation_config.json", R"({"eos_token_id": 99999})");
    CHECK_THROWS_WITH(tokenizerFromJson(folder.path / "tokenizer.json"),
                      Catch::Contains("99999 is outside the vocabulary"));
}

TEST_CASE("a template post-processor that begins with a special token means a leading bos") {
    const Folder folder("bos");
    json document = gpt2Document();
    document["post_processor"] = {{"type", "TemplateProcessing"},
                                  {"single",
                                   {{{"SpecialToken", {{"id", "<|start|>"}, {"type_id", 0}}}},
                                    {{"Sequence", {{"id", "A"}}}}}}};
    const auto t = load(folder, document);
    CHECK(t->addBos());
    CHECK(t->bos() == t->find("<|start|>"));
}

TEST_CASE("what a tokenizer json asks for and we lack is refused by name") {
    const Folder folder("refusals");
    const auto refused = [&](const std::string& pointer, const json& value,
                             const std::string& cause) {
        json document = gpt2Document();
        document[json::json_pointer(pointer)] = value;
        INFO(pointer);
        CHECK_THROWS_WITH(load(folder, document), Catch::Contains(cause));
    };
    refused("/pre_tokenizer", {{"type", "Metaspace"}},
            "unknown pre-tokenizer {\"type\":\"Metaspace\"}");
    refused("/pre_tokenizer", nullptr, "unknown pre-tokenizer null");
    refused("/pre_tokenizer/add_prefix_space", true, "add_prefix_space");
    refused("/normalizer", {{"type", "Lowercase"}}, "normalizer 'Lowercase'");
    for (const std::string model : {"Unigram", "WordPiece", "WordLevel"})
        refused("/model/type", model, "tokenizer model '" + model + "' is not supported");
    refused("/model/byte_fallback", true, "with byte fallback is not supported");
    refused("/model/end_of_word_suffix", "</w>", "end_of_word_suffix");
    refused("/model/dropout", 0.1, "dropout");
    refused("/model/merges/3", "one", "merge 3 is not two tokens");
    refused("/model/merges/3", json::array({"a"}), "merge 3 is not two tokens");
    refused("/model/merges/3", "a zzzz", "merge 3 uses a token that is not in the vocabulary");
    refused("/model/vocab/a", -1, "token id -1 is out of range");
    refused("/model/vocab/a", 2000000000, "token id 2000000000 is out of range");
    refused("/model/vocab/a", "x", "a token id is not an integer");
    refused("/model/vocab", json::object(), "the vocabulary is missing");
    refused("/model/merges", nullptr, "the merges are missing");
    refused("/model", nullptr, "not a tokenizer.json");
    refused("/added_tokens/0/id", 1LL << 40, "out of range");
    refused("/added_tokens/0/content", "", "no content");
    writeFile(folder.path / "tokenizer.json", "{\"model\": ");
    CHECK_THROWS_WITH(tokenizerFromJson(folder.path / "tokenizer.json"),
                      Catch::Contains("tokenizer.json"));
    writeFile(folder.path / "tokenizer.json", "{\"model\": 1e999}");  // found by the fuzz target
    CHECK_THROWS_AS(tokenizerFromJson(folder.path / "tokenizer.json"), Error);
    CHECK_THROWS_AS(tokenizerFromJson(folder.path / "absent.json"), Error);
}

TEST_CASE("a rank file that is damaged or of another encoding is refused") {
    const Folder folder("tiktoken");
    const auto file = folder.path / "x.tiktoken";
    const auto refused = [&](const std::string& content, const std::string& cause) {
        writeFile(file, content);
        CHECK_THROWS_WITH(tokenizerFromTiktoken(file, "o200k_base"), Catch::Contains(cause));
    };
    refused("IQ== 0\nIg== 1\n", "2 ranks where o200k_base has 199998");
    refused("IQ== 0\nI!== 1\n", "line 2 is not a base64 token and its rank");
    refused("IQ==\n", "line 1 is not");
    refused("IQ== 1x\n", "line 1 is not");
    refused("IQ== 999999999\n", "out of range");
    refused("", "0 ranks");
    CHECK_THROWS_WITH(tokenizerFromTiktoken(file, "cl100k"), Catch::Contains("'cl100k'"));
}
