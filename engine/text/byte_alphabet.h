// SPDX-License-Identifier: Apache-2.0
// The printable alphabet in which byte-level BPE vocabularies write raw bytes (GPT-2's
// bytes_to_unicode: printable Latin-1 stands for itself, the other 68 bytes for U+0100 upward).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "engine/text/unicode.h"

namespace moescope::text {

/// Index: byte; value: its letter.
constexpr std::array<char32_t, 256> byteAlphabet() {
    std::array<char32_t, 256> letters{};
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
        const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
        letters[b] = printable ? b : next++;
    }
    return letters;
}

/// Raw bytes of a vocabulary entry; nothing when a character is outside the alphabet.
inline std::optional<std::string> bytesFromAlphabet(std::string_view letters) {
    constexpr char32_t kLetters = 0x144;
    static const auto reverse = [] {
        std::array<std::int16_t, kLetters> table;
        table.fill(-1);
        const auto forward = byteAlphabet();
        for (std::size_t b = 0; b < 256; ++b) table[forward[b]] = static_cast<std::int16_t>(b);
        return table;
    }();
    std::string raw;
    raw.reserve(letters.size());
    for (std::size_t pos = 0; pos < letters.size();) {
        const auto next = unicode::decodeUtf8(letters, pos);
        if (next.codePoint >= kLetters || reverse[next.codePoint] < 0) return std::nullopt;
        raw.push_back(static_cast<char>(reverse[next.codePoint]));
        pos += next.length;
    }
    return raw;
}

}  // namespace moescope::text
