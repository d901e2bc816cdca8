// SPDX-License-Identifier: Apache-2.0
// Piece borders, each worked out from the regular expression.
#include <random>

#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

namespace {

using Pieces = std::vector<std::string>;

Pieces split(const std::string& name, const std::string& text) {
    std::vector<std::size_t> ends;
    findPreTokenizer(name)->split(text, ends);
    Pieces pieces;
    std::size_t start = 0;
    for (const std::size_t end : ends) {
        pieces.push_back(text.substr(start, end - start));
        start = end;
    }
    return pieces;
}

}  // namespace

TEST_CASE("gpt2 splits words with their leading space and keeps digits together") {
    CHECK(split("gpt2", "Hello world's 2025!") == Pieces{"Hello", " world", "'s", " 2025", "!"});
    CHECK(split("gpt2", "I'LL") == Pieces{"I", "'", "LL"});
    CHECK(split("gpt2", "a   b\n\n c ") == Pieces{"a", "  ", " b", "\n\n", " c", " "});
    CHECK(split("gpt2", "a\n\tb") == Pieces{"a", "\n", "\t", "b"});
}

TEST_CASE("smollm splits every digit before the words are looked at") {
    CHECK(split("smollm", "abc  123 x") == Pieces{"abc", "  ", "1", "2", "3", " x"});
    CHECK(split("smollm", "7") == Pieces{"7"});
    CHECK(split("smollm", "v1.2") == Pieces{"v", "1", ".", "2"});
    CHECK(split("smollm", "½ ") == Pieces{"½", " "});
}

TEST_CASE("qwen2 gives single digits and lets a punctuation mark join a word") {
    CHECK(split("qwen2", "(foo) 12") == Pieces{"(foo", ")", " ", "1", "2"});
    CHECK(split("qwen2", "I'LL go") == Pieces{"I", "'LL", " go"});
    CHECK(split("qwen2", "a!\n\nb") == Pieces{"a", "!\n\n", "b"});
    CHECK(split("qwen2", "a \n \n  b") == Pieces{"a", " \n \n", " ", " b"});
    CHECK(split("qwen2", "'ſo") == Pieces{"'ſ", "o"});
}

TEST_CASE("llama 3 keeps three digits together and is qwen2 else") {
    CHECK(split("llama-bpe", "(foo) 12345 I'LL") ==
          Pieces{"(foo", ")", " ", "123", "45", " I", "'LL"});
    CHECK(split("llama-bpe", "a!\n\nb  \n c") == Pieces{"a", "!\n\n", "b", "  \n", " c"});
}

TEST_CASE("qwen35 counts marks among the letters") {
    CHECK(split("qwen35", "e\u0301a") == Pieces{"e\u0301a"});
    CHECK(split("qwen2", "e\u0301a") == Pieces{"e", "\u0301a"});
    // The optional character before a word may be a mark too; alone it is a word.
    CHECK(split("qwen35", "\u0301 1") == Pieces{"\u0301", " ", "1"});
    CHECK(split("qwen35", "!\u0301!") == Pieces{"!\u0301", "!"});
}

TEST_CASE("tekken is o200k without contractions and with single digits") {
    CHECK(split("tekken", "Don't XMLHttp 12") == Pieces{"Don", "'t", " XMLHttp", " ", "1", "2"});
    CHECK(split("tekken", "x/\n") == Pieces{"x", "/\n"});
}

TEST_CASE("o200k splits at changes of case and takes three digits") {
    CHECK(split("gpt-4o", "XMLHttpRequest") == Pieces{"XMLHttp", "Request"});
    CHECK(split("gpt-4o", "12345 67") == Pieces{"123", "45", " ", "67"});
    CHECK(split("gpt-4o", "don't DON'T") == Pieces{"don't", " DON'T"});
    CHECK(split("gpt-4o", "http://a\n") == Pieces{"http", "://", "a", "\n"});
    CHECK(split("gpt-4o", "  \n x") == Pieces{"  \n", " x"});
}

TEST_CASE("o200k gives characters back as a greedy engine does") {
    // "[upper]*[lower]+" on a mark and two capitals: the mark is the only character of both groups.
    CHECK(split("gpt-4o", "\u0301AB") == Pieces{"\u0301", "AB"});
    // A letter without case ends the word when only capitals follow it.
    CHECK(split("gpt-4o", "日AB") == Pieces{"日", "AB"});
    CHECK(split("gpt-4o", "AB日c") == Pieces{"AB日c"});
}

TEST_CASE("pieces are never empty and cover any bytes") {
    std::mt19937 random(5);
    const std::vector<std::string> parts = {"a",    "B",    "'s", "'",      " ",      "\n",
                                            "\r",   "1",    "日", "\u0301", "/",      ".",
                                            "\xFF", "\xE2", "é",  "\t",     "\u00A0", "🙂"};
    for (const char* name : {"gpt2", "gpt-4o", "qwen2", "smollm", "llama-bpe", "qwen35", "tekken"})
        for (int round = 0; round < 2000; ++round) {
            std::string text;
            for (std::size_t i = random() % 24; i > 0; --i) text += parts[random() % parts.size()];
            std::string joined;
            for (const std::string& piece : split(name, text)) {
                REQUIRE_FALSE(piece.empty());
                joined += piece;
            }
            REQUIRE(joined == text);
        }
}

TEST_CASE("pre-tokenizers are found by their names and aliases") {
    CHECK(findPreTokenizer("gpt-2")->name == "gpt2");
    CHECK(findPreTokenizer("smaug-bpe")->name == "dbrx");
    CHECK(findPreTokenizer("superbpe") == nullptr);
    CHECK(findPreTokenizer("") == nullptr);
    CHECK(findPreTokenizerByPattern("", false, false) == nullptr);
    CHECK(preTokenizerNames().find("llama-bpe, llama-v3, llama3") != std::string::npos);
}

TEST_CASE("of pre-tokenizers that share a pattern the one that fits the rest is found") {
    const auto cl100k = findPreTokenizer("dbrx")->pattern;
    CHECK(findPreTokenizerByPattern(cl100k, false, false)->name == "dbrx");
    CHECK(findPreTokenizerByPattern(cl100k, false, true)->name == "llama-bpe");
    const auto gpt2 = findPreTokenizer("gpt2")->pattern;
    CHECK(findPreTokenizerByPattern(gpt2, false, false)->name == "gpt2");
    CHECK(findPreTokenizerByPattern(gpt2, true, false)->name == "olmo");
}
