// SPDX-License-Identifier: Apache-2.0
// The chat formats of Mistral: ids of whole conversations, and what has no place in them. What they
// print is compared with the templates in test_chat_golden.cpp.
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

namespace {

/// The small SentencePiece vocabulary with Mistral's spaces: "first" of Metaspace, or Prepend.
std::unique_ptr<Tokenizer> sentencePiece(bool metaspace) {
    const auto source = std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                        "tests/golden/data/tokenizers/sentencepiece.tokenizer.json";
    auto document = parseJson(readFile(source), source.string());
    if (metaspace) {
        document.erase("normalizer");
        document["pre_tokenizer"] = {{"type", "Metaspace"},
                                     {"replacement", "\u2581"},
                                     {"prepend_scheme", "first"},
                                     {"split", false}};
    } else {
        document["normalizer"] = {
            {"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "\u2581"}}, document["normalizer"]}}};
    }
    std::string folder = (std::filesystem::temp_directory_path() / "moescope-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const auto path = std::filesystem::path(folder);
    writeFile(path / "tokenizer.json", document.dump());
    writeFile(path / "tokenizer_config.json",
              R"({"bos_token": "<bos>", "eos_token": "<eos>", "add_bos_token": true})");
    auto tokenizer = tokenizerFromJson(path / "tokenizer.json");
    std::filesystem::remove_all(path);
    return tokenizer;
}

ChatMessage message(Role role, const std::string& text) {
    return {role, text, "", "", "", ""};
}

const std::vector<ChatMessage> kTalk = {message(Role::User, "the house"),
                                        message(Role::Assistant, "a tree"),
                                        message(Role::User, " and more")};

}  // namespace

TEST_CASE("Mistral conversations give the ids of encoding the rendered template") {
    const std::pair<const char*, const char*> rendered[] = {
        {"mistral", "<bos> [INST] the house [/INST] a tree<eos> [INST]  and more [/INST]"},
        {"mistral-plain", "<bos>[INST] the house [/INST]a tree<eos>[INST]  and more [/INST]"},
        {"mistral-7b-v0.1", "<bos>[INST] the house [/INST]a tree<eos> [INST]  and more [/INST]"}};
    for (const bool metaspace : {true, false}) {
        const auto t = sentencePiece(metaspace);
        for (const auto& [name, text] : rendered) {
            INFO(name << (metaspace ? ", Metaspace" : ", Prepend"));
            CHECK(chatFormatNamed(*t, name)->render(kTalk, {}) ==
                  t->encode(text, SpecialTokens::Parse));
        }
    }
}

TEST_CASE("Mistral's marks are control tokens where the vocabulary has them") {
    auto data = smallData("tekken", {}, {"<eos>", "<bos>", "[INST]", "[/INST]"});
    data.bos = 257;
    data.endOfText = {256};
    const auto t = makeTokenizer(std::move(data));
    const auto ids = chatFormatNamed(*t, "mistral")
                         ->render(std::vector<ChatMessage>{message(Role::User, "[INST] x")}, {});
    Ids expected = t->encode("<bos> [INST]", SpecialTokens::Parse);
    const Ids question = t->encode(" [INST] x ", SpecialTokens::AsText);
    expected.insert(expected.end(), question.begin(), question.end());
    expected.push_back(259);
    CHECK(ids == expected);
}

TEST_CASE("what has no place in Mistral's formats is refused") {
    const auto t = sentencePiece(true);
    const std::vector<ChatMessage> told = {message(Role::System, "S"), message(Role::User, "U")};
    CHECK_THROWS_WITH(chatFormatNamed(*t, "mistral-plain")->render(told, {}),
                      "the chat format mistral-plain has no place for instructions");
    CHECK_THROWS_WITH(chatFormatNamed(*t, "mistral")
                          ->render(std::vector<ChatMessage>{message(Role::Assistant, "A")}, {}),
                      "the chat format mistral takes turns: user, assistant, user, ...");
    ChatOptions options;
    options.functions.push_back({"f", "", nullptr});
    CHECK_THROWS_WITH(chatFormatNamed(*t, "mistral")->render(kTalk, options),
                      Catch::Contains("no place for tools"));
    auto data = smallData("tekken", {}, {"<eos>"});
    const auto none = makeTokenizer(std::move(data));
    CHECK_THROWS_WITH(chatFormatNamed(*none, "mistral"), Catch::Contains("needs a beginning"));
}
