// SPDX-License-Identifier: Apache-2.0
// Puts tokens into a Vocabulary by id, with every id checked before anything is sized by it.
#pragma once

#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/bpe.h"
#include "engine/text/byte_alphabet.h"

namespace moescope::text {

class VocabularyBuilder {
public:
    /// `entries`: tokens the file really holds. Ids may leave holes, but not more holes than
    /// entries.
    VocabularyBuilder(Vocabulary& vocabulary, std::string origin, std::size_t entries)
        : vocabulary_(vocabulary), origin_(std::move(origin)), limit_(2 * entries + 4096) {}

    void put(std::int64_t id, std::string bytes, TokenKind kind) {
        if (id < 0 || static_cast<std::uint64_t>(id) >= limit_)
            throw Error(origin_ + ": token id " + std::to_string(id) + " is out of range");
        const auto index = static_cast<std::size_t>(id);
        if (index >= vocabulary_.tokens.size()) {
            vocabulary_.tokens.resize(index + 1);
            vocabulary_.kinds.resize(index + 1, TokenKind::Unused);
        }
        vocabulary_.tokens[index] = std::move(bytes);
        vocabulary_.kinds[index] = kind;
    }

    /// A token written in the byte alphabet. One that is not (padding such as "<extra 1>") keeps
    /// its characters and is never produced.
    void putLetters(std::int64_t id, std::string_view letters) {
        if (auto raw = bytesFromAlphabet(letters))
            put(id, std::move(*raw), TokenKind::Normal);
        else
            put(id, std::string(letters), TokenKind::Unused);
    }

private:
    Vocabulary& vocabulary_;
    std::string origin_;
    std::uint64_t limit_;
};

/// Splits the "left right" form of a merge. Throws Error, with its number, when it is not two
/// words.
inline std::pair<std::string_view, std::string_view> splitMerge(std::string_view line,
                                                                std::size_t number,
                                                                const std::string& origin) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos)
        throw Error(origin + ": merge " + std::to_string(number) + " is not two tokens");
    return {line.substr(0, space), line.substr(space + 1)};
}

/// Looks the three tokens of a merge up. `find`: string -> std::optional<TokenId>.
template <typename Find>
Merge resolveMerge(std::string_view left, std::string_view right, std::size_t number,
                   const std::string& origin, const Find& find) {
    const auto l = find(std::string(left));
    const auto r = find(std::string(right));
    const auto joined = find(std::string(left) + std::string(right));
    if (!l || !r || !joined)
        throw Error(origin + ": merge " + std::to_string(number) +
                    " uses a token that is not in the vocabulary");
    return {*l, *r, *joined};
}

}  // namespace moescope::text
