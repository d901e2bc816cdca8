// SPDX-License-Identifier: Apache-2.0
// Any vocabulary a GGUF file could carry: a tokenizer that keeps its promises, or an Error. The
// file format itself is fuzz_gguf's; here the bytes are lines, each one statement about the
// vocabulary:
//   M<model>  P<pre>  T<type><score><token>  Y<type>  S<score>  R<merge>  I<key><number>
//   A: a token for every byte, as letters   B: the same, as <0x0A>   X<text to encode>
// Types and scores are single characters; Y and S make the lists disagree in length.
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"
#include "tests/engine/fake_gguf.h"

namespace {

using namespace moescope;

struct Vocabulary {
    explicit Vocabulary(std::string_view input) {
        gguf.tokens.clear();
        gguf.types.clear();
        gguf.merges.clear();
        gguf.values = nlohmann::json::object();
        while (!input.empty()) {
            const std::string_view line = input.substr(0, input.find('\n'));
            input.remove_prefix(std::min(line.size() + 1, input.size()));
            if (!line.empty()) add(line[0], line.substr(1));
        }
    }

    static double type(char c) { return c - '0'; }
    static double score(char c) {
        if (c == '~') return std::numeric_limits<double>::quiet_NaN();
        return c == '}' ? std::numeric_limits<double>::infinity() : c;
    }

    void token(std::string text, double type, double score) {
        gguf.tokens.push_back(std::move(text));
        gguf.types.push_back(type);
        gguf.scores.push_back(score);
    }

    void add(char statement, std::string_view rest) {
        if (statement == 'M') gguf.values["tokenizer.ggml.model"] = rest;
        if (statement == 'P') gguf.values["tokenizer.ggml.pre"] = rest;
        if (statement == 'T' && rest.size() >= 2)
            token(std::string(rest.substr(2)), type(rest[0]), score(rest[1]));
        if (statement == 'Y' && !rest.empty()) gguf.types.push_back(type(rest[0]));
        if (statement == 'S' && !rest.empty()) gguf.scores.push_back(score(rest[0]));
        if (statement == 'R') gguf.merges.emplace_back(rest);
        if (statement == 'I' && !rest.empty()) number(rest);
        if (statement == 'A') bytes(true);
        if (statement == 'B') bytes(false);
        if (statement == 'X') text = rest;
    }

    void number(std::string_view rest) {
        static constexpr const char* kKeys[] = {"bos_token_id", "eos_token_id", "unknown_token_id",
                                                "add_bos_token", "add_space_prefix"};
        std::int64_t value = 0;
        std::from_chars(rest.data() + 1, rest.data() + rest.size(), value);
        const auto key = static_cast<std::size_t>(static_cast<unsigned char>(rest[0])) % 5;
        nlohmann::json& entry = gguf.values[std::string("tokenizer.ggml.") + kKeys[key]];
        if (key < 3)
            entry = value;
        else
            entry = value != 0;
    }

    void bytes(bool letters) {
        constexpr char kHex[] = "0123456789ABCDEF";
        const auto alphabet = text::byteAlphabet();
        allBytes = allBytes || letters;
        for (std::size_t b = 0; b < 256; ++b) {
            std::string name;
            if (letters)
                unicode::appendUtf8(name, alphabet[b]);
            else
                name = {'<', '0', 'x', kHex[b / 16], kHex[b % 16], '>'};
            token(std::move(name), letters ? 1 : 6, 0);
        }
    }

    text::FakeGguf gguf;
    std::string text;
    bool allBytes = false;  ///< no byte can get lost
};

void check(bool kept) {
    if (!kept) __builtin_trap();
}

void use(const Vocabulary& vocabulary, const Tokenizer& tokenizer) {
    check(tokenizer.vocabSize() == static_cast<std::int32_t>(vocabulary.gguf.tokens.size()));
    const auto& values = vocabulary.gguf.values;
    const auto mayAppear = [&](TokenId id) {  // the unknown token, for what has no other
        return !tokenizer.isSpecial(id) ||
               vocabulary.gguf.types[static_cast<std::size_t>(id)] == 2 ||
               values.value("tokenizer.ggml.unknown_token_id", std::int64_t{-1}) == id;
    };
    const auto plain = tokenizer.encode(vocabulary.text, SpecialTokens::AsText);
    for (const TokenId id : plain) check(mayAppear(id));
    const auto parsed = tokenizer.encode(vocabulary.text, SpecialTokens::Parse);
    (void)tokenizer.decode(parsed, false);
    for (TokenId id = 0; id < tokenizer.vocabSize(); ++id) {
        (void)tokenizer.bytes(id);
        (void)tokenizer.isSpecial(id);
    }
    const auto* split = text::findPreTokenizer(tokenizer.preTokenizer());
    if (!vocabulary.allBytes || split == nullptr || split->nfc) return;
    check(tokenizer.decode(plain) == vocabulary.text);
    check(tokenizer.decode(parsed) == vocabulary.text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Vocabulary vocabulary({reinterpret_cast<const char*>(data), size});
    try {
        if (const auto tokenizer = tokenizerFromCheckpoint(vocabulary.gguf))
            use(vocabulary, *tokenizer);
    } catch (const Error&) {
        // Refused with a sentence: what a malformed vocabulary must get.
    }
    return 0;
}
