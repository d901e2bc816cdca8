// SPDX-License-Identifier: Apache-2.0
#include "cli/scored_bytes.h"

#include <catch2/catch.hpp>
#include <string>

using namespace moescope;
using namespace moescope::cli;

namespace {

std::unique_ptr<Tokenizer> tokenizerOf(const std::string& name) {
    return tokenizerFromJson(std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                             "tests/golden/data/tokenizers" / (name + ".tokenizer.json"));
}

}  // namespace

TEST_CASE("bytes behind scored tokens are those of the text and not of its normal form") {
    const auto nfc = tokenizerOf("qwen2");
    const std::string text = "\u1112\u1161\u11ab\u1100\u1173\u11af";  // two syllables, decomposed
    const auto tokens = nfc->encode(text, SpecialTokens::AsText);
    const std::size_t whole = spelledBytes(*nfc, tokens);
    REQUIRE(text.size() == 18);
    REQUIRE(whole == 6);
    CHECK(textBytes(text.size(), whole, whole) == 18);
    CHECK(textBytes(text.size(), whole / 2, whole) == 9);
    CHECK(textBytes(text.size(), 0, whole) == 0);
}

TEST_CASE("bytes behind scored tokens leave out the space that a tokenizer puts in front") {
    const auto spaced = tokenizerOf("sentencepiece");
    const std::string text = "the cat";
    const std::size_t whole = spelledBytes(*spaced, spaced->encode(text, SpecialTokens::AsText));
    CHECK(textBytes(text.size(), whole, whole) == text.size());
}

TEST_CASE("bytes behind scored tokens are what they spell where nothing is normalised") {
    const auto plain = tokenizerOf("gpt2");
    const auto tokens = plain->encode("a caf\u00e9", SpecialTokens::AsText);
    const std::size_t whole = spelledBytes(*plain, tokens);
    CHECK(whole == 7);
    CHECK(textBytes(7, 5, whole) == 5);
}
