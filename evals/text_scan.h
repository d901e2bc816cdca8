// SPDX-License-Identifier: Apache-2.0
// What reading an answer out of a text is made of: UTF-8 texts, places in bytes. A place may be the
// end of the text.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace moescope {

using Places = std::span<const std::string_view>;

// UTF-8: no-break space, narrow no-break space.
inline constexpr std::array<std::string_view, 6> kSpaces = {" ",  "\t",     "\r",
                                                            "\n", "\u00a0", "\u202f"};
inline constexpr std::array<std::string_view, 4> kBlanks = {" ", "\t", "\u00a0", "\u202f"};
// What Markdown, LaTeX and typography put before an answer.
inline constexpr std::array<std::string_view, 22> kOpening = {
    " ",        "\t",       "\u00a0", "\u202f", "*",      "_",        "\"",       "'",
    "`",        "(",        "[",      "{",      "$",      "\\boxed{", "\\textbf", "\\text",
    "\\mathrm", "\\mathbf", "\u2018", "\u2019", "\u201c", "\\("};
inline constexpr std::array<std::string_view, 18> kClosing = {
    " ", "\t", "\u00a0", "\u202f", "*",      "_",      "\"",     "'",   "`",
    ")", "]",  "}",      "$",      "\u2018", "\u2019", "\u201d", "\\)", "\r"};
inline constexpr std::array<std::string_view, 9> kMarks = {"*", "_", "\"", "'",     "`",
                                                           "]", "}", "$",  "\u2019"};

inline bool isDigit(char c) {
    return c >= '0' && c <= '9';
}
std::string lowered(std::string_view text);  ///< of ASCII letters
/// Whether a word goes on at `at`: general punctuation (dashes, quotes) and no-break spaces end it.
bool wordGoesOn(std::string_view text, std::size_t at);
/// Whether a word ends directly before `at`.
bool wordBefore(std::string_view text, std::size_t at);
/// Behind all of `what` that stands at `at`.
std::size_t skip(std::string_view text, std::size_t at, Places what);
/// Whether nothing but decoration and a full stop is left of the line.
bool lineEnds(std::string_view line, std::size_t at);
/// Of the line that `at` is in.
std::size_t lineEnd(std::string_view text, std::size_t at);

/// A reading of the line from some place on: the answer and where it ends.
struct Reading {
    std::string answer;  ///< empty: none
    std::size_t end = 0;
    bool whole = false;  ///< nothing behind `end` can make it another
};

/// Whether another of what `isAnother` knows follows behind "or", a comma or the like: a list, no
/// answer.
template <typename IsAnother>
bool isListed(std::string_view line, std::size_t end, IsAnother isAnother) {
    const std::size_t at = skip(line, end, kClosing);
    for (const std::string_view word :
         {"or ", "and ", "to ", "/", ",", ";", "|", "&", "\u2013", "\\text{ or }"})
        if (lowered(line.substr(at, word.size())) == word &&
            isAnother(skip(line, at + word.size(), kOpening)))
            return true;
    return false;
}

}  // namespace moescope
