// SPDX-License-Identifier: Apache-2.0
// length_constraints: sentences, words and paragraphs.
#include <algorithm>

#include "evals/instructions/instruction.h"
#include "evals/instructions/sentences.h"

namespace moescope::instructions {

namespace {

/// The first word of a text that is not blank: up to white space or one of IFEval's six marks, in
/// small letters. Quotes that it begins with are no part of it.
std::u32string firstWord(Text text) {
    constexpr Text kMarks = U".,?!'\"";
    std::size_t at = 0;
    for (const char32_t quote : {U'\'', U'"'})
        while (at < text.size() && text[at] == quote) ++at;
    std::size_t end = at;
    while (end < text.size() && !isSpace(text[end]) && kMarks.find(text[end]) == Text::npos) ++end;
    return lowered(text.substr(at, end - at));
}

}  // namespace

Verdict numberSentences(Text reply, const Arguments& arguments) {
    return arguments.compare(sentencesOf(reply).size(), "num_sentences", "relation");
}

Verdict numberWords(Text reply, const Arguments& arguments) {
    return arguments.compare(wordCount(reply), "num_words", "relation");
}

/// Exactly so many, with "***" between them; before the first and behind the last is allowed.
Verdict numberParagraphs(Text reply, const Arguments& arguments) {
    const std::vector<Text> paragraphs = splitAt(reply, U"***");
    std::int64_t count = 0;
    for (std::size_t i = 0; i < paragraphs.size(); ++i) {
        if (!isBlank(paragraphs[i]))
            ++count;
        else if (i > 0 && i + 1 < paragraphs.size())
            return Verdict::NotFollowed;
    }
    return verdictOf(count == arguments.count("num_paragraphs"));
}

/// Exactly so many, with an empty line between them, and the n-th begins with the word. Blank
/// paragraphs do not count, but do in what is the n-th: so does IFEval.
Verdict nthParagraphFirstWord(Text reply, const Arguments& arguments) {
    const std::vector<Text> paragraphs = splitAt(reply, U"\n\n");
    const std::int64_t count = std::count_if(paragraphs.begin(), paragraphs.end(),
                                             [](Text text) { return !isBlank(text); });
    const std::int64_t nth = arguments.count("nth_paragraph");
    if (count != arguments.count("num_paragraphs") || nth > count) return Verdict::NotFollowed;
    const Text paragraph = stripped(paragraphs[static_cast<std::size_t>(nth) - 1]);
    return verdictOf(!paragraph.empty() &&
                     firstWord(paragraph) == lowered(arguments.text("first_word")));
}

}  // namespace moescope::instructions
