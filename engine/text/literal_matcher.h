// SPDX-License-Identifier: Apache-2.0
// Special and added tokens in running text: whole strings that are taken before any merging.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/core/types.h"

namespace moescope::text {

/// Finds whole strings in text, the longest first.
class LiteralMatcher {
public:
    void add(std::string literal, TokenId id) {
        if (literal.empty()) return;
        auto& lengths = lengthsByFirst_[static_cast<unsigned char>(literal[0])];
        if (std::find(lengths.begin(), lengths.end(), literal.size()) == lengths.end()) {
            lengths.push_back(literal.size());
            std::sort(lengths.rbegin(), lengths.rend());
        }
        ids_.emplace(std::move(literal), id);
    }

    /// The longest literal at `pos`: its id and length, or length 0.
    std::pair<TokenId, std::size_t> at(std::string_view text, std::size_t pos) const {
        for (const std::size_t length : lengthsByFirst_[static_cast<unsigned char>(text[pos])]) {
            if (length > text.size() - pos) continue;
            const auto found = ids_.find(text.substr(pos, length));
            if (found != ids_.end()) return {found->second, length};
        }
        return {-1, 0};
    }

    bool empty() const { return ids_.empty(); }
    std::optional<TokenId> find(std::string_view literal) const {
        const auto found = ids_.find(literal);
        if (found == ids_.end()) return std::nullopt;
        return found->second;
    }

private:
    /// Lets a piece of text be looked up without a copy of it.
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
    std::array<std::vector<std::size_t>, 256> lengthsByFirst_;
};

}  // namespace moescope::text
