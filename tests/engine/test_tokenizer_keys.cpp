// SPDX-License-Identifier: Apache-2.0
// Tokenizers of Hugging Face folders in GGUF: the same ids and the same ends of a reply, or
// refused.
#include <functional>

#include "engine/convert/convert.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "engine/text/pretokenizer.h"
#include "tests/engine/golden.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::testing;
using namespace moescope::text;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kRows = 400;  ///< of the embedding

/// A small model with a tokenizer of this test's own, in a folder that is removed at the end.
class Source {
public:
    Source() {
        std::string pattern = (fs::temp_directory_path() / "moescope-keys-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
        const auto golden = openCheckpoint(goldenFolder("qwen3_tied"));
        json config = golden->config();
        config["vocab_size"] = kRows;
        write("config.json", config);
        json header;
        std::string data;
        for (const TensorView& t : golden->tensors()) {
            const std::size_t begin = data.size();
            data.append(reinterpret_cast<const char*>(t.data),
                        static_cast<std::size_t>(t.stackStride * t.stack()));
            std::vector<std::int64_t> shape(t.shape.begin(), t.shape.begin() + t.rank);
            if (t.name == "model.embed_tokens.weight") {
                shape[0] = kRows;
                data.resize(begin + static_cast<std::size_t>(kRows * t.rowStride));
            }
            header[t.name] = {{"dtype", dtypeInfo(t.type).name},
                              {"shape", shape},
                              {"data_offsets", {begin, data.size()}}};
        }
        const std::string text = header.dump();
        const std::uint64_t length = text.size();
        writeFile(path_ / "model.safetensors",
                  std::string(reinterpret_cast<const char*>(&length), 8) + text + data);
    }
    ~Source() { fs::remove_all(path_); }
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    void write(const char* name, const json& content) const {
        writeFile(path_ / name, content.dump());
    }
    std::unique_ptr<Tokenizer> original() const {
        return tokenizerFromCheckpoint(*openCheckpoint(path_));
    }
    std::unique_ptr<Tokenizer> converted() const {
        ConvertOptions options;
        options.type = DType::F32;
        options.part = ConvertPart::All;
        options.threads = 1;
        options.startOver = true;
        convertCheckpoint(path_, path_ / "out.gguf", options);
        return tokenizerFromCheckpoint(*openCheckpoint(path_ / "out.gguf"));
    }
    std::string refusal() const {
        try {
            converted();
        } catch (const Error& e) {
            return e.what();
        }
        return "converted";
    }

private:
    fs::path path_;
};

json added(int id, const std::string& content, bool special, bool normalised) {
    return {{"id", id},        {"content", content},   {"special", special},      {"lstrip", false},
            {"rstrip", false}, {"single_word", false}, {"normalized", normalised}};
}

/// A token for every byte, their ids the bytes; pre-tokenizer by pattern.
json byteLevel(std::string_view pre) {
    json vocab = json::object();
    const auto alphabet = byteAlphabet();
    for (std::size_t b = 0; b < 256; ++b) {
        std::string letter;
        unicode::appendUtf8(letter, alphabet[b]);
        vocab[letter] = b;
    }
    const json split = {{"type", "Split"},
                        {"pattern", {{"Regex", findPreTokenizer(pre)->pattern}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
    const json bytes = {{"type", "ByteLevel"},
                        {"add_prefix_space", false},
                        {"trim_offsets", true},
                        {"use_regex", false}};
    return {{"added_tokens", json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}},
            {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}}}};
}

/// SentencePiece BPE of a, b, c and the space.
json pieces() {
    json vocab = {{"<unk>", 0}};
    constexpr char kHex[] = "0123456789ABCDEF";
    for (int b = 0; b < 256; ++b)
        vocab[std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">"] = b + 1;
    for (const char* text : {"a", "b", "c", "\u2581", "ab"}) vocab[text] = vocab.size();
    return {{"added_tokens", {added(0, "<unk>", true, false)}},
            {"normalizer",
             {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}},
            {"pre_tokenizer", nullptr},
            {"model",
             {{"type", "BPE"},
              {"byte_fallback", true},
              {"unk_token", "<unk>"},
              {"vocab", vocab},
              {"merges", json::array({"a b"})}}}};
}

}  // namespace

TEST_CASE("a converted tokenizer ends replies at the same tokens and keeps its own eos") {
    const Source source;
    json document = byteLevel("dbrx");
    document["added_tokens"] = {added(256, "<|endoftext|>", true, false),
                                added(257, "</s>", true, false), added(258, "<stop>", true, false),
                                added(259, "<halt>", true, false),
                                added(260, "<enough>", true, false)};
    source.write("tokenizer.json", document);
    source.write("tokenizer_config.json", {{"eos_token", "</s>"}});
    source.write("generation_config.json", {{"eos_token_id", {258, 257, 259}}});
    CHECK(source.original()->eos() == 257);
    const auto after = source.converted();
    CHECK(after->eos() == 257);
    CHECK(after->endOfText() == Ids{256, 257, 258, 259});
    CHECK(after->endOfText() == source.original()->endOfText());
    source.write("generation_config.json", {{"eos_token_id", {257, 258, 259, 260}}});
    CHECK_THAT(source.refusal(),
               Catch::Contains("more tokens that end a reply than GGUF has keys"));
    source.write("tokenizer_config.json", json::object());
    source.write("generation_config.json", {{"eos_token_id", {258, 257}}});
    CHECK(source.converted()->eos() == 258);
}

TEST_CASE("a tokenizer whose pre-tokenizer's name would say something else is not converted") {
    const Source source;
    const auto refusal = [&](const char* pre, bool nfc, bool ignoreMerges) {
        json document = byteLevel(pre);
        document["model"]["vocab"]["aba"] = 256;  // no merge makes it
        document["model"]["ignore_merges"] = ignoreMerges;
        if (nfc) document["normalizer"] = {{"type", "NFC"}};
        source.write("tokenizer.json", document);
        return source.refusal();
    };
    CHECK_THAT(refusal("dbrx", true, false), Catch::Contains("its normalisation of text"));
    CHECK_THAT(refusal("gpt-4o", true, true), Catch::Contains("its normalisation of text"));
    CHECK_THAT(refusal("qwen2", false, false), Catch::Contains("its normalisation of text"));
    CHECK_THAT(refusal("gpt-4o", false, false),
               Catch::Contains("its treatment of token 256 'aba' would differ"));
    CHECK_THAT(refusal("qwen2", true, true), Catch::Contains("its treatment of token 256"));
    CHECK(refusal("qwen2", true, false) == "converted");
    CHECK(refusal("gpt-4o", false, true) == "converted");
    CHECK(refusal("dbrx", false, false) == "converted");
}

TEST_CASE("an unknown token that is not special is none in GGUF either") {
    const Source source;
    json document = pieces();
    document["added_tokens"] = json::array();
    source.write("tokenizer.json", document);
    const auto after = source.converted();
    CHECK_FALSE(after->isSpecial(0));
    for (const auto specials : {SpecialTokens::AsText, SpecialTokens::Parse})
        CHECK(after->encode("a<unk>b", specials) == source.original()->encode("a<unk>b", specials));
}

TEST_CASE("pieces that no merge makes are not given scores that do") {
    const Source source;
    json document = pieces();
    source.write("tokenizer.json", document);
    CHECK(source.converted()->encode("ab c", SpecialTokens::AsText) ==
          source.original()->encode("ab c", SpecialTokens::AsText));
    document["model"]["vocab"]["bc"] = document["model"]["vocab"].size();
    source.write("tokenizer.json", document);
    CHECK_THAT(source.refusal(), Catch::Contains("'bc' would differ"));
}

TEST_CASE("added tokens of normalised text are carried only where that is the same") {
    const Source source;
    const auto refusal = [&](json document, const std::string& token, const char* raw = "<raw>") {
        document["added_tokens"].push_back(added(300, token, false, true));
        document["added_tokens"].push_back(added(301, raw, false, false));
        source.write("tokenizer.json", document);
        return source.refusal();
    };
    const std::string refused = "is looked for in normalised text, which GGUF cannot say";
    json nfc = byteLevel("qwen2");
    nfc["normalizer"] = {{"type", "NFC"}};
    CHECK(refusal(nfc, "    ") == "converted");
    CHECK(refusal(nfc, "|||MAIL|||") == "converted");
    CHECK_THAT(refusal(nfc, "cafe\u0301"), Catch::Contains("'cafe\u0301' " + refused));
    CHECK_THAT(refusal(nfc, "caf\u00e9"), Catch::Contains(refused));  // U+0302 may follow the e
    CHECK_THAT(refusal(nfc, "stop>"), Catch::Contains(refused));      // U+226F
    CHECK_THAT(refusal(nfc, "|\u00e9|"), Catch::Contains(refused));   // of e and U+0301
    CHECK_THAT(refusal(nfc, "|K|"), Catch::Contains(refused));        // of U+212A
    CHECK(refusal(byteLevel("dbrx"), "cafe\u0301") == "converted");
    CHECK_THAT(refusal(byteLevel("dbrx"), "ab<"), Catch::Contains(refused));  // "ab<raw>"
    CHECK(refusal(pieces(), "<one>") == "converted");
    CHECK_THAT(refusal(pieces(), "<one two>"), Catch::Contains(refused));
    json prepend = pieces();
    prepend["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers", {{{"type", "Prepend"}, {"prepend", "\u2581"}}, prepend["normalizer"]}}};
    CHECK_THAT(refusal(prepend, "<one>"), Catch::Contains(refused));
}

TEST_CASE("an unknown token of bytes is used and not lost in a conversion") {
    const Source source;
    json document = byteLevel("dbrx");
    document["model"]["vocab"].erase("\u0107");  // byte 7
    document["model"]["unk_token"] = "<unk>";
    source.write("tokenizer.json", document);
    CHECK_THROWS_WITH(source.original(),
                      Catch::Contains("lacks its unknown token '<unk>' and a token for some byte"));
    document["model"]["vocab"]["<unk>"] = 300;
    source.write("tokenizer.json", document);
    // tokenizers 0.23 gives these.
    CHECK(source.original()->encode("a\x07"
                                    "b",
                                    SpecialTokens::AsText) == Ids{'a', 300, 'b'});
    CHECK(source.original()->encode("\x07\x07", SpecialTokens::AsText) == Ids{300, 300});
    CHECK_THAT(source.refusal(), Catch::Contains("its treatment of byte 7 would differ"));
    document["model"]["fuse_unk"] = true;
    source.write("tokenizer.json", document);
    CHECK(source.original()->encode("\x07\x07", SpecialTokens::AsText) == Ids{300});
}

TEST_CASE("a merge listed twice keeps its rank in a conversion") {
    const Source source;
    json document = byteLevel("dbrx");
    document["model"]["vocab"]["ab"] = 256;
    document["model"]["vocab"]["bc"] = 257;
    document["model"]["merges"] = {"a b", "b c", "a b"};
    source.write("tokenizer.json", document);
    CHECK(source.original()->encode("abc", SpecialTokens::AsText) == Ids{'a', 257});
    CHECK(source.converted()->encode("abc", SpecialTokens::AsText) == Ids{'a', 257});
}
