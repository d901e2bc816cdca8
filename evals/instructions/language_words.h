// SPDX-License-Identifier: Apache-2.0
// What languages are told apart by.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace moescope::instructions {

enum class Script : std::uint8_t {
    Latin,
    Cyrillic,
    Arabic,
    Devanagari,
    Greek,
    Hebrew,
    Bengali,
    Gurmukhi,
    Gujarati,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Thai,
    Hangul,
    Kana,
    Han,
    Other,
};

struct LanguageWords {
    std::string_view code;  ///< ISO 639-1
    Script script;
    /// Small letters, UTF-8, by spaces; "-x" is how words end, "x-" how they begin.
    std::string_view words;
    /// Letters that few languages of the script have.
    std::string_view letters;
};

/// At most 64. A language without words is the only one of its script here.
std::span<const LanguageWords> languageWords();

}  // namespace moescope::instructions
