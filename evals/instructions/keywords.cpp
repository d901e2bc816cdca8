// SPDX-License-Identifier: Apache-2.0
// keywords: and punctuation:, words and characters that are to occur, or not to. A keyword is a
// text, not the regular expression that IFEval makes of it: no published one holds any.
#include <algorithm>

#include "evals/instructions/instruction.h"

namespace moescope::instructions {

/// All of them, also inside other words.
Verdict keywordExistence(Text reply, const Arguments& arguments) {
    const std::vector<std::u32string>& words = arguments.texts("keywords");
    return verdictOf(std::all_of(words.begin(), words.end(), [&](const std::u32string& word) {
        return occurrences(reply, word) > 0;
    }));
}

/// Inside other words, too.
Verdict keywordFrequency(Text reply, const Arguments& arguments) {
    return arguments.compare(occurrences(reply, arguments.text("keyword")), "frequency",
                             "relation");
}

/// None of them as a word of its own.
Verdict forbiddenWords(Text reply, const Arguments& arguments) {
    const std::vector<std::u32string>& words = arguments.texts("forbidden_words");
    return verdictOf(std::none_of(words.begin(), words.end(), [&](const std::u32string& word) {
        return occurrences(reply, word, true) > 0;
    }));
}

/// A small letter stands for the capital, too. IFEval draws a letter at random where the data ask
/// for another character (two prompts, "!" and "#"): here that character is counted.
Verdict letterFrequency(Text reply, const Arguments& arguments) {
    const char32_t letter = lowerOf(arguments.text("letter").front());
    const auto count =
        std::count_if(reply.begin(), reply.end(), [&](char32_t c) { return lowerOf(c) == letter; });
    return arguments.compare(static_cast<std::size_t>(count), "let_frequency", "let_relation");
}

Verdict noComma(Text reply, const Arguments&) {
    return verdictOf(reply.find(U',') == Text::npos);
}

}  // namespace moescope::instructions
