// SPDX-License-Identifier: Apache-2.0
// Every pre-tokenizer, normaliser and rule of added tokens against Hugging Face's `tokenizers` and
// llama.cpp (tests/golden/make_tokenizer_configs_golden.py).
#include <unistd.h>

#include <algorithm>

#include "tests/engine/fake_gguf.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;
using nlohmann::json;

namespace {

const json& golden() {
    static const json document = [] {
        const auto file = std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                          "tests/golden/data/tokenizers/configs.json";
        return parseJson(readFile(file), file.string());
    }();
    return document;
}

std::unique_ptr<Tokenizer> load(const json& config) {
    json document = golden()["bases"][config["base"].get<std::string>()];
    document.merge_patch(config["patch"]);
    std::string pattern =
        (std::filesystem::temp_directory_path() / "moescope-configs-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    const std::filesystem::path folder = pattern;
    writeFile(folder / "tokenizer.json", document.dump());
    auto tokenizer = tokenizerFromJson(folder / "tokenizer.json");
    std::filesystem::remove_all(folder);
    return tokenizer;
}

/// The byte-level vocabulary as a GGUF file holds it.
FakeGguf byteLevelGguf(const std::string& pre) {
    const json& model = golden()["bases"]["bytes"]["model"];
    FakeGguf gguf;
    gguf.values = {{"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.pre", pre}};
    gguf.tokens.resize(model["vocab"].size());
    for (const auto& [letters, id] : model["vocab"].items())
        gguf.tokens.at(id.get<std::size_t>()) = letters;
    gguf.types.assign(gguf.tokens.size(), 1.0);
    gguf.merges.clear();
    for (const json& merge : model["merges"])
        gguf.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    return gguf;
}

const json& configNamed(const std::string& name) {
    for (const json& config : golden()["configs"])
        if (config["name"] == name) return config;
    throw std::logic_error("no configuration " + name);
}

}  // namespace

TEST_CASE("every tokenizer configuration gives the ids of Hugging Face") {
    std::size_t compared = 0;
    for (const json& config : golden()["configs"]) {
        INFO(config["name"]);
        const auto tokenizer = load(config);
        const json& texts = golden()[config["texts"].get<std::string>()];
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const auto text = texts[i].get<std::string>();
            INFO(json(text));
            CHECK(tokenizer->encode(text, SpecialTokens::Parse) == config["ids"][i].get<Ids>());
            const Ids asText = tokenizer->encode(text, SpecialTokens::AsText);
            if (config.contains("as_text")) CHECK(asText == config["as_text"][i].get<Ids>());
            CHECK(std::none_of(asText.begin(), asText.end(),
                               [&](TokenId id) { return tokenizer->isSpecial(id); }));
            ++compared;
        }
    }
    CHECK(compared == 14 * 200 + 6 * 120);
}

TEST_CASE("every pre-tokenizer name of GGUF gives the ids of llama.cpp") {
    for (const json& row : golden()["llama.cpp"]) {
        INFO(row["pre"]);
        const auto tokenizer = tokenizerFromCheckpoint(byteLevelGguf(row["pre"]));
        const json& config = configNamed(row["same_as"]);
        const json& texts = golden()["plain"];
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const auto text = texts[i].get<std::string>();
            INFO(json(text));
            CHECK(tokenizer->encode(text, SpecialTokens::AsText) == config["ids"][i].get<Ids>());
        }
        // llama.cpp tells capitals from small letters in ASCII only; Hugging Face and tiktoken are
        // the witnesses beyond it. No other pattern looks at case.
        const bool byCase = row["same_as"] == "gpt-4o" || row["same_as"] == "tekken";
        CHECK((byCase || row["differing"].empty()));
        for (const json& i : row["differing"]) {
            const auto text = texts[i.get<std::size_t>()].get<std::string>();
            CHECK(std::any_of(text.begin(), text.end(),
                              [](char c) { return static_cast<unsigned char>(c) >= 0x80; }));
        }
    }
}
