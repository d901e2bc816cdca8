// SPDX-License-Identifier: Apache-2.0
// What instructions look at in a reply: its characters, words and lines. The classes are those of
// Python's `re` and `str`, which IFEval's own checkers are written in; all work is linear in the
// reply's length, however long it is and whatever it holds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace moescope::instructions {

/// Code points of a reply or an argument. Bytes that are no UTF-8 stand for themselves
/// (unicode::kInvalidByte) and are of no class.
using Text = std::u32string_view;

std::u32string decoded(std::string_view utf8);
std::string encoded(Text text);

bool isSpace(char32_t c) noexcept;   ///< \s
bool isDigit(char32_t c) noexcept;   ///< \d
bool isWord(char32_t c) noexcept;    ///< \w: letters, numbers, "_"; no marks
bool isLetter(char32_t c) noexcept;  ///< any category L
bool isMark(char32_t c) noexcept;    ///< any category M
bool isUpper(char32_t c) noexcept;
bool isLower(char32_t c) noexcept;
/// One to one, of the Latin, Greek, Cyrillic and Armenian letters; others are returned as they are.
char32_t lowerOf(char32_t c) noexcept;
std::u32string lowered(Text text);
/// Every letter that has a case has this one, and there is such a letter (str.isupper, islower).
bool allUpper(Text text) noexcept;
bool allLower(Text text) noexcept;

Text stripped(Text text) noexcept;  ///< without white space at both ends
bool isBlank(Text text) noexcept;
/// Of the line that `at` is in.
std::size_t lineEnd(Text text, std::size_t at) noexcept;
/// The parts between the separators, which do not overlap; at least one.
std::vector<Text> splitAt(Text text, Text separator);
/// How often `word` occurs, without overlaps, whatever the case of either. `wholeWord`: between
/// word boundaries (\b).
std::size_t occurrences(Text text, Text word, bool wholeWord = false);
/// Runs of \w.
std::size_t wordCount(Text text) noexcept;

}  // namespace moescope::instructions
