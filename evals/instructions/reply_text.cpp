// SPDX-License-Identifier: Apache-2.0
#include "evals/instructions/reply_text.h"

#include <algorithm>

#include "engine/text/unicode.h"

namespace moescope::instructions {

namespace {

bool hasClass(char32_t c, unsigned classes) noexcept {
    return (unicode::charClass(c) & classes) != 0;
}

/// Blocks whose capitals and small letters alternate: a capital has this parity.
struct Alternating {
    char32_t first, last;
    char32_t capital;  ///< 0: even code points, 1: odd ones
};
constexpr Alternating kAlternating[] = {
    {0x100, 0x137, 0}, {0x139, 0x148, 1}, {0x14A, 0x177, 0},   {0x179, 0x17E, 1},
    {0x1A0, 0x1A5, 0}, {0x1AF, 0x1B0, 1}, {0x1CD, 0x1DC, 1},   {0x1DE, 0x1EF, 0},
    {0x1F8, 0x21F, 0}, {0x222, 0x233, 0}, {0x370, 0x373, 0},   {0x460, 0x481, 0},
    {0x48A, 0x4BF, 0}, {0x4D0, 0x52F, 0}, {0x1E00, 0x1E95, 0}, {0x1EA0, 0x1EFF, 0},
};

/// Blocks whose small letters follow their capitals at a distance.
struct Shifted {
    char32_t first, last, distance;
};
constexpr Shifted kShifted[] = {
    {'A', 'Z', 32},     {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},   {0x391, 0x3A1, 32},
    {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80}, {0x410, 0x42F, 32}, {0x531, 0x556, 48},
};

}  // namespace

std::u32string decoded(std::string_view utf8) {
    std::u32string text;
    text.reserve(utf8.size());
    for (std::size_t at = 0; at < utf8.size();) {
        const unicode::Decoded one = unicode::decodeUtf8(utf8, at);
        text.push_back(one.codePoint);
        at += one.length;
    }
    return text;
}

std::string encoded(Text text) {
    std::string utf8;
    for (const char32_t c : text) unicode::appendUtf8(utf8, c);
    return utf8;
}

bool isSpace(char32_t c) noexcept {
    // Python counts the separators of information, which Unicode does not.
    return hasClass(c, unicode::kSpace) || (c >= 0x1C && c <= 0x1F);
}

bool isDigit(char32_t c) noexcept {
    return hasClass(c, unicode::kNumber) && hasClass(c, unicode::kWord);
}

bool isWord(char32_t c) noexcept {
    return c == '_' || hasClass(c, unicode::kLetter | unicode::kNumber);
}

bool isLetter(char32_t c) noexcept {
    return hasClass(c, unicode::kLetter);
}

bool isMark(char32_t c) noexcept {
    return hasClass(c, unicode::kMark);
}

bool isUpper(char32_t c) noexcept {
    return hasClass(c, unicode::kUpper);
}

bool isLower(char32_t c) noexcept {
    return hasClass(c, unicode::kLower);
}

char32_t lowerOf(char32_t c) noexcept {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (!isUpper(c)) return c;
    if (c == 0x130) return 'i';    // dotted I
    if (c == 0x178) return 0xFF;   // Y with two dots
    if (c == 0x1E9E) return 0xDF;  // sharp s
    if (c == 0x212A) return 'k';   // Kelvin
    for (const Shifted& block : kShifted)
        if (c >= block.first && c <= block.last) return c + block.distance;
    for (const Alternating& block : kAlternating)
        if (c >= block.first && c <= block.last) return c % 2 == block.capital ? c + 1 : c;
    return c;
}

std::u32string lowered(Text text) {
    std::u32string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lowerOf);
    return out;
}

bool allUpper(Text text) noexcept {
    return std::none_of(text.begin(), text.end(), isLower) &&
           std::any_of(text.begin(), text.end(), isUpper);
}

bool allLower(Text text) noexcept {
    return std::none_of(text.begin(), text.end(), isUpper) &&
           std::any_of(text.begin(), text.end(), isLower);
}

Text stripped(Text text) noexcept {
    while (!text.empty() && isSpace(text.front())) text.remove_prefix(1);
    while (!text.empty() && isSpace(text.back())) text.remove_suffix(1);
    return text;
}

bool isBlank(Text text) noexcept {
    return std::all_of(text.begin(), text.end(), isSpace);
}

std::size_t lineEnd(Text text, std::size_t at) noexcept {
    return std::min(text.find(U'\n', at), text.size());
}

std::vector<Text> splitAt(Text text, Text separator) {
    std::vector<Text> parts;
    for (std::size_t at = 0;;) {
        const std::size_t end = text.find(separator, at);
        parts.push_back(text.substr(at, end - at));
        if (end == Text::npos) return parts;
        at = end + separator.size();
    }
}

std::size_t occurrences(Text text, Text word, bool wholeWord) {
    if (word.empty()) return 0;
    const std::u32string low = lowered(text), wanted = lowered(word);
    const auto boundary = [&](std::size_t at) {
        const bool before = at > 0 && isWord(low[at - 1]);
        const bool after = at < low.size() && isWord(low[at]);
        return before != after;
    };
    std::size_t count = 0;
    for (std::size_t at = 0; (at = low.find(wanted, at)) != Text::npos;) {
        if (wholeWord && !(boundary(at) && boundary(at + wanted.size()))) {
            ++at;
            continue;
        }
        ++count;
        at += wanted.size();
    }
    return count;
}

std::size_t wordCount(Text text) noexcept {
    std::size_t count = 0;
    bool inside = false;
    for (const char32_t c : text) {
        const bool word = isWord(c);
        if (word && !inside) ++count;
        inside = word;
    }
    return count;
}

}  // namespace moescope::instructions
