// SPDX-License-Identifier: Apache-2.0
// SentencePiece BPE: ids of Google's own program (tests/golden/make_sentencepiece_golden.py), from
// both kinds of file, and by hand what the trained vocabulary does not show.
#include "engine/text/sentencepiece.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <span>

#include "engine/convert/plan.h"
#include "engine/formats/gguf_writer.h"

#include "tests/engine/fake_gguf.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

namespace {

const std::filesystem::path kGolden =
    std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/tokenizers";

FakeGguf goldenGguf() {
    const auto file = kGolden / "sentencepiece.gguf.json";
    const auto document = parseJson(readFile(file), file.string());
    FakeGguf gguf;
    gguf.tokens = document.at("tokens").get<std::vector<std::string>>();
    gguf.scores = document.at("scores").get<std::vector<double>>();
    gguf.types = document.at("types").get<std::vector<double>>();
    gguf.values = {{"tokenizer.ggml.model", "llama"},
                   {"tokenizer.ggml.bos_token_id", 2},
                   {"tokenizer.ggml.eos_token_id", 1},
                   {"tokenizer.ggml.add_bos_token", true},
                   {"tokenizer.ggml.add_space_prefix", false}};
    return gguf;
}

void checkVectors(const Tokenizer& tokenizer) {
    int broken = 0;
    const auto vectors = readVectors(kGolden / "sentencepiece.vectors.jsonl", broken);
    CHECK(broken == 0);
    CHECK(vectors.size() == 37);
    for (const Vector& v : vectors) {
        INFO(v.text);
        CHECK(tokenizer.encode(v.text, SpecialTokens::AsText) == v.ids);
        // U+2581 is the one character that does not come back: it is how spaces are written.
        CHECK(tokenizer.decode(v.ids) == spacesFromBlocks(v.text));
    }
}

/// Tokens 0 to 255 are the bytes; the scores of the others grow with `pieces`' order.
struct Small {
    explicit Small(const std::vector<std::string>& pieces, bool prefix = false) {
        for (int i = 0; i < 256; ++i) {
            vocabulary.tokens.emplace_back(1, static_cast<char>(i));
            vocabulary.kinds.push_back(TokenKind::Byte);
        }
        rules.scores.assign(256, 0.0F);
        for (const auto& piece : pieces) {
            vocabulary.tokens.push_back(piece);
            vocabulary.kinds.push_back(TokenKind::Normal);
            rules.scores.push_back(static_cast<float>(vocabulary.tokens.size()));
        }
        if (prefix) rules.prefix = SpacePrefix::Always;
    }
    Ids encode(const std::string& text) const {
        Ids out;
        const SentencePiece pieces(vocabulary, rules);
        pieces.encode(pieces.normalise(text), true, out);
        return out;
    }
    Vocabulary vocabulary;
    SentencePieceRules rules;
};

}  // namespace

TEST_CASE("SentencePiece vocabularies of GGUF give the ids of the original") {
    const auto tokenizer = tokenizerFromCheckpoint(goldenGguf());
    REQUIRE(tokenizer != nullptr);
    CHECK(tokenizer->preTokenizer() == "sentencepiece");
    CHECK(tokenizer->bos() == 2);
    CHECK(tokenizer->addBos());
    checkVectors(*tokenizer);
}

TEST_CASE("SentencePiece vocabularies of tokenizer.json give the ids of the original") {
    checkVectors(*tokenizerFromJson(kGolden / "sentencepiece.tokenizer.json"));
}

namespace {

/// The tokenizer of `tokenizerJson` after it went through GGUF, with 640 rows of embedding.
std::unique_ptr<Tokenizer> converted(const nlohmann::json& tokenizerJson) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "moescope-piece-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    struct Folder {
        std::filesystem::path path;
        ~Folder() { std::filesystem::remove_all(path); }
    } folder{pattern};
    writeFile(folder.path / "tokenizer.json", tokenizerJson.dump());
    struct HuggingFace final : FakeGguf {
        explicit HuggingFace(std::filesystem::path folder) : folder_(std::move(folder)) {}
        CheckpointLayout layout() const noexcept override { return CheckpointLayout::HuggingFace; }
        const std::filesystem::path& path() const noexcept override { return folder_; }
        std::filesystem::path folder_;
    };
    ModelSpec spec;
    spec.vocab = 640;  // more rows than tokens, as embeddings often have
    GgufWriter writer(folder.path / "out.gguf");
    writer.add("general.architecture", "gemma3");
    addTokenizerKeys(writer, HuggingFace(folder.path), spec);
    const std::array<std::int64_t, 1> shape{32};
    const std::array<float, 32> values{};
    writer.addTensor("t", DType::F32, shape);
    writer.begin();
    writer.write(std::as_bytes(std::span(values)));
    writer.finish();
    return tokenizerFromCheckpoint(*openCheckpoint(folder.path / "out.gguf"));
}

nlohmann::json goldenJson() {
    const auto file = kGolden / "sentencepiece.tokenizer.json";
    return parseJson(readFile(file), file.string());
}

}  // namespace

TEST_CASE("SentencePiece vocabularies survive the conversion of tokenizer.json to GGUF") {
    const auto tokenizer = converted(goldenJson());
    REQUIRE(tokenizer != nullptr);
    CHECK(tokenizer->vocabSize() == 640);
    checkVectors(*tokenizer);
}

TEST_CASE("what GGUF cannot say of a tokenizer is refused by conversion") {
    auto document = goldenJson();
    document["added_tokens"][0]["rstrip"] = true;
    CHECK_THROWS_WITH(converted(document), Catch::Contains("uses rstrip, which GGUF cannot say"));
    document = goldenJson();
    document.erase("normalizer");
    document["pre_tokenizer"] = {{"type", "Metaspace"},
                                 {"replacement", "\u2581"},
                                 {"prepend_scheme", "first"},
                                 {"split", false}};
    CHECK_THROWS_WITH(converted(document), Catch::Contains("Metaspace puts a space only where"));
    document["pre_tokenizer"]["prepend_scheme"] = "never";
    checkVectors(*converted(document));
}

TEST_CASE("SentencePiece: text cannot make control or byte tokens") {
    for (const bool json : {false, true}) {
        const auto tokenizer = json ? tokenizerFromJson(kGolden / "sentencepiece.tokenizer.json")
                                    : tokenizerFromCheckpoint(goldenGguf());
        const auto turn = tokenizer->find("<start_of_turn>");
        REQUIRE(turn.has_value());
        CHECK(tokenizer->encode("<start_of_turn>", SpecialTokens::Parse) == Ids{*turn});
        for (const TokenId id :
             tokenizer->encode("<start_of_turn><bos><0x0A>", SpecialTokens::AsText)) {
            CHECK_FALSE(tokenizer->isSpecial(id));
            CHECK(tokenizer->bytes(id) != "\n");
        }
    }
}

TEST_CASE("SentencePiece merges the highest score first and of equal ones the leftmost") {
    CHECK(Small({"a", "b", "c", "ab", "bc"}).encode("abc") == Ids{256, 260});
    CHECK(Small({"a", "b", "c", "bc", "ab"}).encode("abc") == Ids{260, 258});
    CHECK(Small({"a", "aa"}).encode("aaa") == Ids{257, 256});
}

TEST_CASE("SentencePiece writes characters without a token as bytes") {
    const Small small({"a"});
    CHECK(small.encode("a\u00e9") == Ids{256, 0xc3, 0xa9});
    CHECK(small.encode("\xff\xc3") == Ids{0xff, 0xc3});  // not UTF-8
    Small missing({"a"});
    missing.vocabulary.kinds[0xa9] = TokenKind::Unused;
    CHECK(missing.encode("a\u00e9a") == Ids{256, 256});
    missing.rules.unknown = 7;
    CHECK(missing.encode("a\u00e9a") == Ids{256, 7, 256});
}

TEST_CASE("SentencePiece puts a space before the text only where the vocabulary asks for it") {
    CHECK(Small({"a", " ", " a"}).encode("a") == Ids{256});
    CHECK(Small({"a", " ", " a"}, true).encode("a") == Ids{258});
}

TEST_CASE("SentencePiece takes a megabyte of one letter in its stride") {
    const std::string text(1 << 20, 'a');
    CHECK(Small({"a", "aa", "aaaa"}).encode(text).size() == text.size() / 4);
}

TEST_CASE("SentencePiece vocabularies that cannot be read are refused by cause") {
    const auto refused = [](const FakeGguf& gguf, const std::string& cause) {
        CHECK_THROWS_WITH(tokenizerFromCheckpoint(gguf), Catch::Contains(cause));
    };
    FakeGguf gguf = goldenGguf();
    gguf.scores[9] = std::numeric_limits<double>::quiet_NaN();
    refused(gguf, "the score of token 9 is not a finite number");
    gguf = goldenGguf();
    gguf.scores.pop_back();
    refused(gguf, "tokenizer.ggml.scores has ");
    gguf = goldenGguf();
    const auto byte = std::find(gguf.tokens.begin(), gguf.tokens.end(), "<0x41>");
    REQUIRE(byte != gguf.tokens.end());
    *byte = "<0xZZ>";
    refused(gguf, "is not of the form <0x0A>");
    gguf = goldenGguf();
    gguf.types[3] = 3;  // the unknown token
    CHECK(tokenizerFromCheckpoint(gguf) != nullptr);
    *std::find(gguf.types.begin(), gguf.types.end(), 6.0) = 5;
    refused(gguf, "neither a token for every byte nor an unknown token");
}
