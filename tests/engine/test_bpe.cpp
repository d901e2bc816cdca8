// SPDX-License-Identifier: Apache-2.0
// Merging and special tokens on vocabularies small enough to work out by hand.
#include <chrono>
#include <random>

#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

namespace {

Ids encodePiece(const TokenizerData& data, const std::string& piece) {
    Ids out;
    Bpe(data.vocabulary).encode(piece, out);
    return out;
}

/// The definition: again and again merge the leftmost of the lowest-ranked neighbours.
Ids slowMerge(const Vocabulary& v, const std::string& piece) {
    Ids ids;
    for (const char c : piece) ids.push_back(static_cast<unsigned char>(c));
    while (true) {
        std::size_t bestRank = v.merges.size();
        std::size_t bestAt = 0;
        for (std::size_t i = 0; i + 1 < ids.size(); ++i)
            for (std::size_t r = 0; r < bestRank; ++r)
                if (v.merges[r].left == ids[i] && v.merges[r].right == ids[i + 1]) {
                    bestRank = r;
                    bestAt = i;
                }
        if (bestRank == v.merges.size()) return ids;
        ids[bestAt] = v.merges[bestRank].result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(bestAt) + 1);
    }
}

TokenizerData lettersData() {
    return smallData("gpt2",
                     {{"a", "a"}, {"b", "a"}, {"aa", "b"}, {"aa", "aa"}, {"ba", "aa"}, {"c", "c"}},
                     {"<|x|>", "<|xx|>", "<|x|>y"});
}

}  // namespace

TEST_CASE("the lowest rank merges first and of equal ranks the leftmost") {
    const auto data = lettersData();  // 256 aa, 257 ba, 258 aab, 259 aaaa, 260 baaa, 261 cc
    CHECK(encodePiece(data, "aaa") == Ids{256, 'a'});
    CHECK(encodePiece(data, "aab") == Ids{258});
    // aa (rank 0) twice, then ba cannot form, aa+b (2) before aa+aa (3).
    CHECK(encodePiece(data, "aabaa") == Ids{258, 256});
    CHECK(encodePiece(data, "baaa") == Ids{'b', 256, 'a'});
    CHECK(encodePiece(data, "ccc") == Ids{261, 'c'});
}

TEST_CASE("a whole token that merging does not give is taken only when merges are ignored") {
    auto data = lettersData();  // "baaa" is token 260, but merging gives b, aa, a
    CHECK(encodePiece(data, "baaa") == Ids{'b', 256, 'a'});
    data.vocabulary.ignoreMerges = true;
    CHECK(encodePiece(data, "baaa") == Ids{260});
}

TEST_CASE("with ranks any two neighbours merge whose bytes are a token") {
    auto data = lettersData();
    data.vocabulary.ranksAreIds = true;
    data.vocabulary.ignoreMerges = true;
    // ids are ranks: aa 256, then aab 258; "ba" 257 is lower than "aab" but needs a free a.
    CHECK(encodePiece(data, "aab") == Ids{258});
    CHECK(encodePiece(data, "caab") == Ids{'c', 258});
    CHECK(encodePiece(data, "cba") == Ids{'c', 257});
}

TEST_CASE("short and long pieces merge by the definition") {
    const auto data = lettersData();
    const Bpe bpe(data.vocabulary);
    std::mt19937 random(7);
    for (int round = 0; round < 400; ++round) {
        std::string piece(1 + random() % 120, 'a');
        for (char& c : piece) c = "aaabc"[random() % 5];
        Ids out;
        bpe.encode(piece, out);
        INFO(piece);
        REQUIRE(out == slowMerge(data.vocabulary, piece));
    }
}

TEST_CASE("a megabyte of one letter takes no quadratic time") {
    const auto t = makeTokenizer(lettersData());
    for (const char c : {'a', ' ', '!', 'z', '\n'}) {
        const std::string text(1 << 20, c);
        const auto start = std::chrono::steady_clock::now();
        const auto ids = t->encode(text, SpecialTokens::AsText);
        CHECK(t->decode(ids) == text);
        // Quadratic work would be 10^12 steps; this is 20 merges deep at most.
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
    }
}

TEST_CASE("special tokens are parsed longest first and only when asked") {
    const auto t = makeTokenizer(lettersData());  // 262 <|x|>, 263 <|xx|>, 264 <|x|>y
    CHECK(t->encode("<|x|>z<|xx|><|x|>y", SpecialTokens::Parse) == Ids{262, 'z', 263, 264});
    CHECK(t->encode("<|x|>", SpecialTokens::AsText) == Ids{'<', '|', 'x', '|', '>'});
    CHECK(t->encode("<|x", SpecialTokens::Parse) == Ids{'<', '|', 'x'});
    CHECK(t->find("<|xx|>") == 263);
    CHECK_FALSE(t->find("aa").has_value());
    CHECK(t->isSpecial(262));
    CHECK_FALSE(t->isSpecial(256));
    CHECK_FALSE(t->isSpecial(-1));
}

TEST_CASE("text never makes a special token, whatever the merge list says") {
    auto data = lettersData();
    auto& v = data.vocabulary;
    v.kinds[261] = TokenKind::Control;  // "cc", although a merge makes it
    const auto t = makeTokenizer(std::move(data));
    CHECK(t->encode("cc", SpecialTokens::AsText) == Ids{'c', 'c'});
    CHECK(t->encode("cc", SpecialTokens::Parse) == Ids{261});
    std::mt19937 random(3);
    for (int round = 0; round < 500; ++round) {
        std::string text;
        for (int i = 0; i < 40; ++i) text += "<|x>yc a"[random() % 8];
        for (const TokenId id : t->encode(text, SpecialTokens::AsText))
            REQUIRE_FALSE(t->isSpecial(id));
        REQUIRE(t->decode(t->encode(text, SpecialTokens::Parse)) == text);
    }
}

TEST_CASE("every pre-tokenizer gives random bytes back") {
    std::mt19937 random(11);
    for (const char* name : {"gpt2", "gpt-4o", "qwen2", "smollm", "dbrx", "qwen35", "tekken"}) {
        auto data = lettersData();
        data.preTokenizer = findPreTokenizer(name);
        const auto t = makeTokenizer(std::move(data));
        for (int round = 0; round < 500; ++round) {
            std::string text(random() % 64, '\0');
            for (char& c : text) c = static_cast<char>(random() % 256);
            REQUIRE(t->decode(t->encode(text, SpecialTokens::AsText)) == text);
        }
    }
}

TEST_CASE("bytes that have no token become the unknown token where there is one") {
    // Ids of tokenizers 0.23: BPE with unk_token, fuse_unk off and on.
    auto data = smallData("gpt2", {{"a", "b"}}, {});
    data.vocabulary.kinds[7] = data.vocabulary.kinds[8] = TokenKind::Unused;
    data.vocabulary.unknown = 0;
    const TokenId ab = data.vocabulary.merges[0].result;
    for (const std::size_t padding : {0, 60}) {  // short and long pieces
        const std::string tail(padding, 'c');
        const Ids end(padding, 'c');
        const auto with = [&](Ids ids) {
            ids.insert(ids.end(), end.begin(), end.end());
            return ids;
        };
        data.vocabulary.fuseUnknown = false;
        CHECK(encodePiece(data,
                          "\x07\x08"
                          "ab\x07" +
                              tail) == with({0, 0, ab, 0}));
        data.vocabulary.fuseUnknown = true;
        CHECK(encodePiece(data,
                          "\x07\x08"
                          "ab\x07\x07" +
                              tail) == with({0, ab, 0}));
        CHECK(encodePiece(data,
                          "a\x07"
                          "b" +
                              tail) == with({'a', 0, 'b'}));
    }
}

TEST_CASE("of a merge listed twice the first counts in GGUF and the last in tokenizer json") {
    auto data = smallData("gpt2", {{"a", "b"}, {"b", "c"}, {"a", "b"}}, {});
    const auto& merges = data.vocabulary.merges;
    CHECK(encodePiece(data, "abc") == Ids{merges[0].result, 'c'});
    data.vocabulary.lastMergeCounts = true;
    CHECK(encodePiece(data, "abc") == Ids{'a', merges[1].result});
}

TEST_CASE("bytes that have no token are left out") {
    auto data = lettersData();
    data.vocabulary.kinds['q'] = TokenKind::Unused;
    const auto t = makeTokenizer(std::move(data));
    CHECK(t->encode("aqa", SpecialTokens::AsText) == Ids{'a', 'a'});
}

TEST_CASE("decoding leaves special tokens out on request and refuses unknown ids") {
    const auto t = makeTokenizer(lettersData());
    const Ids ids = {262, 256, 'b', 263};
    CHECK(t->decode(ids) == "<|x|>aab<|xx|>");
    CHECK(t->decode(ids, false) == "aab");
    CHECK(t->bytes(260) == "baaa");
    CHECK_THROWS_WITH(t->bytes(265), Catch::Contains("265 is outside the vocabulary of 265"));
    CHECK_THROWS_AS(t->decode(Ids{-1}), Error);
}

TEST_CASE("added tokens that are not special belong to plain text") {
    auto data = lettersData();
    data.vocabulary.kinds[262] = TokenKind::Added;
    const auto t = makeTokenizer(std::move(data));
    CHECK(t->encode("a<|x|>", SpecialTokens::AsText) == Ids{'a', 262});
    CHECK_FALSE(t->isSpecial(262));
}
