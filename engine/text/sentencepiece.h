// SPDX-License-Identifier: Apache-2.0
// BPE over characters as SentencePiece does it (Kudo and Richardson 2018, arXiv 1808.06226): no
// pre-tokeniser, spaces are part of tokens, and a character without a token becomes its bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/types.h"
#include "engine/text/bpe.h"

namespace moescope::text {

/// When a space is put before a piece of text. It stays when decoded.
enum class SpacePrefix : std::uint8_t {
    None,           ///< Gemma
    Always,         ///< before the text and after every special token: GGUF, normaliser Prepend
    IfNone,         ///< so, but not where white space is already: Metaspace "always"
    AtStartIfNone,  ///< so, but before the whole text only: Metaspace "first"
};

struct SentencePieceRules {
    /// By token id. Two neighbours merge when their text together is a token; the highest score
    /// goes first. Empty: the vocabulary's merges in their order decide (tokenizer.json).
    std::vector<float> scores;
    SpacePrefix prefix = SpacePrefix::None;
    /// Metaspace: spaces are still spaces where normalized added tokens are looked for. Else they
    /// are U+2581 by then, which is no white space that a token could strip.
    bool metaspace = false;
    std::optional<TokenId> unknown;  ///< for characters that have no token, nor their bytes
};

/// A token as the file writes it, to the bytes it stands for: U+2581 is a space.
std::string spacesFromBlocks(std::string_view piece);
/// 10 for "<0x0A>"; nothing for any other text.
std::optional<std::uint8_t> byteOfPiece(std::string_view piece);

/// Thread-safe after construction. Cost O(n log n) for a text of n bytes.
class SentencePiece {
public:
    /// Keeps pointers to both, which must outlive the object and not move. Tokens hold the bytes
    /// they stand for; only those of kind Normal are ever produced by merging.
    SentencePiece(const Vocabulary& vocabulary, const SentencePieceRules& rules);

    /// False: there is no token for some byte and none for the unknown either, so that text could
    /// get lost.
    bool complete() const noexcept;

    /// The text in which normalized added tokens are looked for: what comes before encode().
    std::string normalise(std::string_view text) const;
    /// Appends the tokens of normalised text. U+2581 is read as a space, as the original does.
    /// `atStart`: nothing comes before it. Throws Error for more than 1 GiB.
    void encode(std::string_view normalised, bool atStart, std::vector<TokenId>& out) const;

private:
    struct Joined {
        double score;
        TokenId id;  ///< -1: the two do not merge
    };

    TokenId find(std::string_view text) const;
    Joined join(TokenId left, TokenId right, std::string_view text) const;
    void fallBack(std::string_view character, std::vector<TokenId>& out) const;
    void merge(std::string_view text, std::vector<TokenId>& out) const;

    const Vocabulary& vocabulary_;
    const SentencePieceRules& rules_;
    std::array<TokenId, 256> byteTokens_;
    std::unordered_map<std::string_view, TokenId> byText_;
    std::unordered_map<std::uint64_t, Joined> byPair_;  // of the merges, when there are no scores
};

}  // namespace moescope::text
