// SPDX-License-Identifier: Apache-2.0
// Byte-level byte-pair encoding of one piece, from merges or from ranks, independent of any file.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/types.h"

namespace moescope::text {

enum class TokenKind : std::uint8_t {
    Normal,   ///< produced by merging
    Control,  ///< special: parsed only from templates, left out of decoded text on request
    Added,    ///< whole strings outside the merges that plain text may contain (<think>, runs of
              ///< spaces)
    Byte,     ///< one byte that no character token holds ("<0x0A>" of SentencePiece)
    Unused,   ///< padding: can be decoded, is never produced
};

struct Merge {
    TokenId left, right, result;
};

/// What a vocabulary file says, in one form for all of them.
struct Vocabulary {
    std::vector<std::string> tokens;  ///< raw bytes by id, for every kind
    std::vector<TokenKind> kinds;     ///< same length
    std::vector<Merge> merges;        ///< in order of rank; unused when ranksAreIds
    bool ranksAreIds = false;      ///< .tiktoken: two symbols merge when their bytes together are a
                                   ///< token and the lowest id goes first
    bool ignoreMerges = false;     ///< a piece that is a token is taken whole
    bool lastMergeCounts = false;  ///< of one listed twice: tokenizer.json; else the first (GGUF)
    std::optional<TokenId> unknown;  ///< for bytes without a token; none: they are left out
    bool fuseUnknown = false;        ///< one for a run of such bytes
};

/// Thread-safe after construction. Cost O(n log n) for a piece of n bytes.
class Bpe {
public:
    /// Keeps a pointer to `vocabulary`, which must outlive the object and not move.
    explicit Bpe(const Vocabulary& vocabulary);

    /// Appends the tokens of `piece`. Bytes for which the vocabulary has no token (SmolLM2 lacks 21
    /// that valid English never needs) become the unknown token; where there is none they are left
    /// out, as llama.cpp and tokenizers do.
    void encode(std::string_view piece, std::vector<TokenId>& out) const;

    std::optional<TokenId> find(std::string_view bytes) const;

private:
    struct Joined {
        std::uint32_t rank;
        TokenId id;  ///< -1: the two do not merge
    };

    bool fuses(std::string_view piece, std::size_t at) const;
    TokenId initial(char byte) const;
    Joined join(TokenId left, TokenId right, std::string_view bytes) const;
    bool mergesToItself(TokenId id) const;
    void merge(std::string_view piece, std::vector<TokenId>& out) const;
    void mergeShort(std::string_view piece, std::vector<TokenId>& out) const;
    void mergeLong(std::string_view piece, std::vector<TokenId>& out) const;

    const Vocabulary& vocabulary_;
    std::array<TokenId, 256> byteTokens_;
    std::unordered_map<std::string_view, TokenId> byBytes_;
    std::unordered_map<std::uint64_t, Joined> byPair_;
    /// Whether merging a token's bytes gives the token back, found out when first asked.
    mutable std::unique_ptr<std::atomic<std::uint8_t>[]> wholeState_;
};

}  // namespace moescope::text
