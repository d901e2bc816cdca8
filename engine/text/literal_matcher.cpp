// SPDX-License-Identifier: Apache-2.0
// The rules of added tokens, as Hugging Face `tokenizers` 0.23 has them in added_vocabulary.rs
// (tests/golden/make_tokenizer_configs_golden.py compares).
#include "engine/text/literal_matcher.h"

#include <algorithm>

#include "engine/text/unicode.h"

namespace moescope::text {
namespace {

using unicode::charClass;
using unicode::decodeUtf8;

/// Offset of the last character of text[0, end), end > 0.
std::size_t lastCharacter(std::string_view text, std::size_t end) noexcept {
    for (std::size_t length = 2; length <= std::min<std::size_t>(4, end); ++length)
        if (decodeUtf8(text.substr(0, end), end - length).length == length) return end - length;
    return end - 1;
}

bool endsWithWord(std::string_view text) noexcept {
    if (text.empty()) return false;
    const std::size_t last = lastCharacter(text, text.size());
    return (charClass(decodeUtf8(text, last).codePoint) & unicode::kWord) != 0;
}

bool startsWithWord(std::string_view text) noexcept {
    return !text.empty() && (charClass(decodeUtf8(text, 0).codePoint) & unicode::kWord) != 0;
}

/// Start of the white space that ends at `end`, not below `floor`.
std::size_t spaceStart(std::string_view text, std::size_t end, std::size_t floor) noexcept {
    while (end > floor) {
        const std::size_t last = lastCharacter(text, end);
        if ((charClass(decodeUtf8(text, last).codePoint) & unicode::kSpace) == 0) break;
        end = last;
    }
    return std::max(end, floor);
}

std::size_t spaceEnd(std::string_view text, std::size_t start) noexcept {
    while (start < text.size()) {
        const auto next = decodeUtf8(text, start);
        if ((charClass(next.codePoint) & unicode::kSpace) == 0) break;
        start += next.length;
    }
    return start;
}

}  // namespace

void LiteralMatcher::add(std::string literal, TokenId id, LiteralRules rules) {
    if (literal.empty()) return;
    allSpecial_ = allSpecial_ && rules.special;
    begins_[static_cast<unsigned char>(literal[0])] = true;
    auto& lengths = lengthsByFirst_[static_cast<unsigned char>(literal[0])];
    if (std::find(lengths.begin(), lengths.end(), literal.size()) == lengths.end()) {
        lengths.push_back(literal.size());
        std::sort(lengths.rbegin(), lengths.rend());
    }
    literals_.emplace(std::move(literal), Literal{id, rules});
}

std::optional<TokenId> LiteralMatcher::find(std::string_view literal) const {
    const auto found = literals_.find(literal);
    if (found == literals_.end()) return std::nullopt;
    return found->second.id;
}

std::pair<const LiteralMatcher::Literal*, std::size_t> LiteralMatcher::at(std::string_view text,
                                                                          std::size_t pos) const {
    for (const std::size_t length : lengthsByFirst_[static_cast<unsigned char>(text[pos])]) {
        if (length > text.size() - pos) continue;
        const auto found = literals_.find(text.substr(pos, length));
        if (found != literals_.end()) return {&found->second, length};
    }
    return {nullptr, 0};
}

std::optional<LiteralMatcher::Match> LiteralMatcher::next(Scan& scan) const {
    const std::string_view text = scan.text;
    if (literals_.empty() || (allSpecial_ && !scan.specials)) return std::nullopt;
    while (true) {
        while (scan.position < text.size() &&
               !begins_[static_cast<unsigned char>(text[scan.position])])
            ++scan.position;
        if (scan.position == text.size()) return std::nullopt;
        const std::size_t begin = scan.position;
        const auto [literal, length] = at(text, begin);
        if (literal == nullptr) {
            ++scan.position;
            continue;
        }
        const std::size_t end = begin + length;
        // What a token may not be is no other token either: a shorter one is not tried.
        scan.position = end;
        const LiteralRules& rules = literal->rules;
        if (rules.special && !scan.specials) continue;
        if (rules.singleWord &&
            (endsWithWord(text.substr(0, begin)) || startsWithWord(text.substr(end))))
            continue;
        Match match{scan.taken, begin, literal->id};
        if (rules.leftStrip && begin > scan.taken)
            match.start = spaceStart(text, begin, scan.taken);
        scan.taken = end;
        if (rules.rightStrip) {
            // A run of white space is walked once, however many tokens of white space it holds.
            if (end >= scan.spaceEnd) scan.spaceEnd = spaceEnd(text, end);
            scan.taken = scan.spaceEnd;
        }
        return match;
    }
}

}  // namespace moescope::text
