// SPDX-License-Identifier: Apache-2.0
// Special and added tokens in running text: whole strings that are taken before any merging.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/core/types.h"

namespace moescope::text {

/// How an added token is found in text (Hugging Face `tokenizers`, AddedToken). White space is the
/// property White_Space, a word character is \w.
struct LiteralRules {
    bool singleWord = false;  ///< not where a word character touches it
    bool leftStrip = false;   ///< takes the white space before it along, which is then lost
    bool rightStrip = false;  ///< and the white space after it
    bool normalized = false;  ///< looked for, itself normalised, in the normalised text
    bool special = false;     ///< a token only where the caller asks for special ones
};

/// Finds whole strings in text, the leftmost first and of those the longest. Thread-safe once
/// filled.
class LiteralMatcher {
public:
    /// An empty literal is never found; of two equal ones the first counts.
    void add(std::string literal, TokenId id, LiteralRules rules = {});

    bool empty() const noexcept { return literals_.empty(); }
    std::optional<TokenId> find(std::string_view literal) const;

    /// Calls `plain(offset, text)` for each stretch that is not empty and no literal, `token(id)`
    /// for each literal, in the order of the text. Where special ones are not asked for, one is
    /// plain text to its end, whatever other literals it holds. Linear in the text's length.
    template <typename Plain, typename Token>
    void split(std::string_view text, bool specials, const Plain& plain, const Token& token) const {
        Scan scan{text, specials};
        while (const auto match = next(scan)) {
            if (match->plainStart < match->start)
                plain(match->plainStart,
                      text.substr(match->plainStart, match->start - match->plainStart));
            token(match->id);
        }
        if (scan.taken < text.size()) plain(scan.taken, text.substr(scan.taken));
    }

private:
    struct Literal {
        TokenId id;
        LiteralRules rules;
    };
    struct Scan {
        std::string_view text;
        bool specials;
        std::size_t position = 0;  ///< where the next literal is looked for
        std::size_t taken = 0;     ///< end of the last literal with the space it took
        std::size_t spaceEnd = 0;  ///< end of the white space last looked at
    };
    struct Match {
        std::size_t plainStart, start;  ///< what lies between is plain text
        TokenId id;
    };
    /// Lets a piece of text be looked up without a copy of it.
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };

    /// The longest literal at `pos` and its length; null when there is none.
    std::pair<const Literal*, std::size_t> at(std::string_view text, std::size_t pos) const;
    std::optional<Match> next(Scan& scan) const;

    std::unordered_map<std::string, Literal, Hash, std::equal_to<>> literals_;
    std::array<std::vector<std::size_t>, 256> lengthsByFirst_;  ///< descending
    std::array<bool, 256> begins_{};  ///< some literal begins with this byte: most text passes by
    bool allSpecial_ = true;          ///< so nothing is found where those are not asked for
};

}  // namespace moescope::text
