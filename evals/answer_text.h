// SPDX-License-Identifier: Apache-2.0
// Answers in texts that models write. What is read, in which order, is in docs/suites.md.
//
// What a model has marked as its answer ("Answer: X", "the answer is X") comes first, the last
// such line of several. A line that marks several answers ("'Answer: yes' or 'Answer: no'") marks
// none. Lines that begin with "Answer:" go before others, and markers behind "if", "might" or
// "can't" are none. Behind a line end only a line that is nothing but the answer counts: else the
// marker was a heading. Of a text that was cut off only a marked answer counts, and only where its
// line is complete: its last number, its first letter and the end of a marked one may be half of
// what was to come.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace moescope {

/// An answer and the rule that found it: "marker", "hashes", "box", "stated", "whole", "last",
/// "named".
struct ReadAnswer {
    std::string text;
    std::string_view rule;
};

/// A letter. `shown`: the choices in the order of their letters, at most kMostChoices. Marked: the
/// text of a choice, with or without an article and its letter behind it, else a letter. Else the
/// last "\boxed{X}"; the one letter that sentences call correct ("Option B is correct", "The
/// correct choice is (B)"); a text that is the letter or begins with it and ".", ")" or ":", unless
/// a line begins so with another letter (it repeats the question); a text that is a choice
/// ("named").
std::optional<ReadAnswer> readChoice(std::string_view text, std::span<const std::string> shown,
                                     bool cutOff);
/// "yes" or "no": marked; else the word that the text begins with.
std::optional<ReadAnswer> readYesNo(std::string_view text, bool cutOff);
/// A decimal number (evals/number_text.h): marked; else the last line "#### N"; the last
/// "\boxed{N}"; the last number.
std::optional<ReadAnswer> readNumber(std::string_view text, bool cutOff);
/// Of a published solution: the number behind its last "####", else readNumber.
std::optional<ReadAnswer> readSolution(std::string_view text);

}  // namespace moescope
