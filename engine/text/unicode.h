// SPDX-License-Identifier: Apache-2.0
// Character classes, UTF-8 decoding that tolerates garbage, and canonical composition (NFC).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace moescope::unicode {

/// Bits, so that the bracket expressions of pre-tokeniser patterns are single masks.
enum CharClass : std::uint8_t {
    kUpper = 1,        ///< Lu, Lt
    kLower = 2,        ///< Ll
    kOtherLetter = 4,  ///< Lm, Lo
    kMark = 8,         ///< Mn, Mc, Me
    kNumber = 16,      ///< Nd, Nl, No
    kSpace = 32,       ///< White_Space, line ends included
    kNewline = 64,     ///< CR, LF
    kWord = 128,       ///< \w of UTS 18: Alphabetic, marks, Nd, connectors, joiners
    kLetter = kUpper | kLower | kOtherLetter,
};

/// Code points above U+10FFFF stand for one undecodable byte each: kInvalidByte + byte.
inline constexpr char32_t kInvalidByte = 0x110000;

struct Decoded {
    char32_t codePoint;
    std::uint32_t length;  ///< bytes consumed, 1 to 4
};

/// The character at `text[pos]` (pos < size). A byte that starts no valid sequence (overlong and
/// surrogate forms included) is returned alone as kInvalidByte + byte.
Decoded decodeUtf8(std::string_view text, std::size_t pos) noexcept;

/// Appends UTF-8; kInvalidByte + b becomes the byte b again.
void appendUtf8(std::string& out, char32_t codePoint);

/// CharClass bits; 0 for punctuation, symbols, unassigned code points and invalid bytes.
std::uint8_t charClass(char32_t codePoint) noexcept;

/// Normalization Form C (Unicode Standard Annex 15). Invalid bytes pass through unchanged.
std::string toNfc(std::string_view text);

/// Length of the longest prefix of `bytes` that does not end inside a character which further bytes
/// could still complete. Invalid bytes count as complete.
std::size_t completePrefix(std::string_view bytes) noexcept;

}  // namespace moescope::unicode
