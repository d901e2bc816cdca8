// SPDX-License-Identifier: Apache-2.0
// OpenAI's .tiktoken rank files: one "base64 rank" a line; special tokens are known by encoding.
#include <algorithm>
#include <charconv>

#include "engine/core/base64.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/bpe_tokenizer.h"
#include "engine/text/tokenizer.h"
#include "engine/text/vocabulary_builder.h"

namespace moescope {
namespace {

using namespace text;

struct NamedToken {
    std::string_view name;
    TokenId id;
};

// openai/harmony src/tiktoken_ext/public_encodings.rs; the ids between are <|reserved_ID|>.
constexpr NamedToken kHarmonyTokens[] = {
    {"<|startoftext|>", 199998}, {"<|endoftext|>", 199999}, {"<|return|>", 200002},
    {"<|constrain|>", 200003},   {"<|channel|>", 200005},   {"<|start|>", 200006},
    {"<|end|>", 200007},         {"<|message|>", 200008},   {"<|call|>", 200012},
};
constexpr NamedToken kO200kTokens[] = {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}};
constexpr NamedToken kGpt2Tokens[] = {{"<|endoftext|>", 50256}};

struct Encoding {
    std::string_view name;
    std::string_view preTokenizer;
    std::size_t ranks;  ///< lines of the file
    std::span<const NamedToken> specials;
    TokenId
        reservedEnd;  ///< ids from `ranks` to this that have no name are <|reserved_ID|>; 0: none
    std::string_view bos;
};
constexpr Encoding kEncodings[] = {
    {"o200k_harmony", "gpt-4o", 199998, kHarmonyTokens, 201088, "<|startoftext|>"},
    {"o200k_base", "gpt-4o", 199998, kO200kTokens, 0, ""},
    {"gpt2", "gpt2", 50256, kGpt2Tokens, 0, "<|endoftext|>"},
};

const Encoding& findEncoding(std::string_view name) {
    for (const Encoding& e : kEncodings)
        if (e.name == name) return e;
    throw Error("unknown encoding '" + std::string(name) + "'",
                "known are o200k_harmony, o200k_base and gpt2");
}

void readRank(std::string_view line, std::size_t number, const std::string& origin,
              VocabularyBuilder& builder) {
    const std::size_t space = line.find(' ');
    TokenId rank = -1;
    if (space != std::string_view::npos) {
        const auto [end, error] =
            std::from_chars(line.data() + space + 1, line.data() + line.size(), rank);
        if (error != std::errc() || end != line.data() + line.size()) rank = -1;
    }
    auto bytes = rank >= 0 ? decodeBase64(line.substr(0, space)) : std::nullopt;
    if (!bytes)
        throw Error(
            origin + ": line " + std::to_string(number) + " is not a base64 token and its rank",
            "is this a .tiktoken file?");
    builder.put(rank, std::move(*bytes), TokenKind::Normal);
}

void readRanks(std::string_view text, const Encoding& encoding, TokenizerData& data) {
    VocabularyBuilder builder(data.vocabulary, data.origin, encoding.ranks);
    std::size_t lines = 0;
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty()) readRank(line, ++lines, data.origin, builder);
    }
    // A missing rank would silently give other tokens.
    const auto& kinds = data.vocabulary.kinds;
    const bool holes = std::find(kinds.begin(), kinds.end(), TokenKind::Unused) != kinds.end();
    if (lines != encoding.ranks || kinds.size() != encoding.ranks || holes)
        throw Error(data.origin + ": " + std::to_string(lines) + " ranks where " +
                        std::string(encoding.name) + " has " + std::to_string(encoding.ranks),
                    "is the file truncated, or of another encoding?");
}

void addSpecials(const Encoding& encoding, TokenizerData& data) {
    const auto reserved = [](TokenId id) { return "<|reserved_" + std::to_string(id) + "|>"; };
    VocabularyBuilder builder(data.vocabulary, data.origin, encoding.ranks);
    for (auto id = static_cast<TokenId>(encoding.ranks); id < encoding.reservedEnd; ++id)
        builder.put(id, reserved(id), TokenKind::Control);
    for (const NamedToken& token : encoding.specials) {
        builder.put(token.id, std::string(token.name), TokenKind::Control);
        if (token.name == encoding.bos) data.bos = token.id;
    }
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizerFromTiktoken(const std::filesystem::path& ranks,
                                                 std::string_view encoding) {
    const Encoding& known = findEncoding(encoding);
    TokenizerData data;
    data.origin = ranks.string();
    data.preTokenizer = findPreTokenizer(known.preTokenizer);
    data.vocabulary.ranksAreIds = true;
    data.vocabulary.ignoreMerges = true;
    readRanks(readFile(ranks, 64ULL << 20), known, data);
    addSpecials(known, data);
    return makeTokenizer(std::move(data));
}

}  // namespace moescope
