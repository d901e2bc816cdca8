// SPDX-License-Identifier: Apache-2.0
// Which language a text is in, as far as a few short word lists can tell. IFEval asks langdetect,
// a classifier of n-grams whose answer is always a language and depends on a seed; here a text that
// is short, mixed, or of a language without a list is undecided. How often they agree is in
// docs/suites.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evals/instructions/reply_text.h"

namespace moescope::instructions {

/// Whether most of the text is in that language (ISO 639-1); absent: it cannot be told. First the
/// script that has most letters decides; among the languages that are written in it, words that no
/// text of the language is without (articles, particles, prepositions) and letters that few of them
/// have. Time and memory: linear in the text's length. code: one of languageCodes().
std::optional<bool> isInLanguage(Text text, std::string_view code);

/// The languages that an instruction may ask for, in the order of the alphabet.
std::vector<std::string> languageCodes();

}  // namespace moescope::instructions
