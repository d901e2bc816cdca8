// SPDX-License-Identifier: Apache-2.0
// Tokens in capitals. NLTK's tokenizer is a list of substitutions that put spaces into a sentence;
// what decides whether a word in capitals counts once, twice or not at all is kept of it.
#include <algorithm>
#include <array>
#include <utility>

#include "evals/instructions/sentences.h"

namespace moescope::instructions {

namespace {

/// Characters that are tokens of their own.
constexpr Text kAlone =
    U"\u00ab\u00bb\u201c\u201d\u2018\u2019\u201e`;@#$%&?!*[](){}<>\"\u2012\u2013\u2014\u2015";
/// Contractions that are two tokens wherever they are a whole word, as MacIntyre's list has them.
constexpr std::array<std::pair<Text, Text>, 8> kContractions = {{{U"can", U"not"},
                                                                 {U"d", U"'ye"},
                                                                 {U"gim", U"me"},
                                                                 {U"gon", U"na"},
                                                                 {U"got", U"ta"},
                                                                 {U"lem", U"me"},
                                                                 {U"more", U"'n"},
                                                                 {U"wan", U"na"}}};

/// Whether a token ends behind `at`, between two characters of a word.
bool splitsBehind(Text sentence, std::size_t at) {
    const char32_t c = sentence[at];
    const char32_t next = sentence[at + 1];
    if (kAlone.find(c) != Text::npos || kAlone.find(next) != Text::npos) return true;
    if ((c == U':' || c == U',') && !isDigit(next)) return true;
    if ((next == U':' || next == U',') && (at + 2 == sentence.size() || !isDigit(sentence[at + 2])))
        return true;
    for (const Text run : {U"--", U"..", U"''"}) {
        const bool inside = sentence.substr(at).starts_with(run);
        const bool behind = at > 0 && sentence.substr(at - 1).starts_with(run);
        const bool before = sentence.substr(at + 1).starts_with(run);
        if (!inside && (behind || before)) return true;
    }
    return false;
}

/// Where "'s", "'m", "'d", "'ll", "'re", "'ve" or "n't" begins at the end of the word; else its
/// end.
std::size_t cliticStart(Text word) {
    static constexpr std::array<Text, 14> kClitics = {U"'s",  U"'S",  U"'m",  U"'M",  U"'d",
                                                      U"'D",  U"'ll", U"'LL", U"'re", U"'RE",
                                                      U"'ve", U"'VE", U"n't", U"N'T"};
    for (const Text clitic : kClitics) {
        const bool there = word.size() > clitic.size() && word.ends_with(clitic);
        if (there && word[word.size() - clitic.size() - 1] != U'\'')
            return word.size() - clitic.size();
    }
    return word.size();
}

/// Where the second part of a contraction begins; npos: it is none.
std::size_t contractionSplit(Text word) {
    const std::u32string low = lowered(word);
    for (const auto& [first, second] : kContractions)
        if (low.size() == first.size() + second.size() && low.starts_with(first) &&
            low.ends_with(second))
            return first.size();
    return Text::npos;
}

std::size_t capitals(Text word) {
    return allUpper(word) ? 1 : 0;
}

std::size_t capitalsOfToken(Text word) {
    const std::size_t clitic = cliticStart(word);
    const Text base = word.substr(0, clitic);
    const std::size_t split = contractionSplit(base);
    const std::size_t ofBase = split == Text::npos
                                   ? capitals(base)
                                   : capitals(base.substr(0, split)) + capitals(base.substr(split));
    return ofBase + capitals(word.substr(clitic));
}

/// The sentence without the period that ends it, and what closes behind that.
Text withoutFinalPeriod(Text sentence) {
    constexpr Text kClosing = U"])}>\"' \u00bb\u201d\u2019";
    Text rest = stripped(sentence);
    while (!rest.empty() && kClosing.find(rest.back()) != Text::npos) rest.remove_suffix(1);
    if (!rest.ends_with(U'.') || rest.ends_with(U"..")) return stripped(sentence);
    rest.remove_suffix(1);
    return rest;
}

}  // namespace

std::size_t capitalWords(Text text) {
    std::size_t count = 0;
    for (const Text whole : sentencesOf(text)) {
        const Text sentence = withoutFinalPeriod(whole);
        std::size_t start = 0;
        for (std::size_t at = 0; at < sentence.size(); ++at) {
            const bool last = at + 1 == sentence.size();
            if (isSpace(sentence[at])) {
                start = at + 1;
            } else if (last || isSpace(sentence[at + 1]) || splitsBehind(sentence, at)) {
                count += capitalsOfToken(sentence.substr(start, at + 1 - start));
                start = at + 1;
            }
        }
    }
    return count;
}

}  // namespace moescope::instructions
