// SPDX-License-Identifier: Apache-2.0
#include "evals/instructions/sentences.h"

#include <algorithm>
#include <array>

namespace moescope::instructions {

namespace {

/// Abbreviations that seldom end a sentence, without their period; so are pairs of letters, "U.S."
/// and "p.m.". "e.g.", "i.e." and "etc." are none to Punkt's English model: newspapers trained it,
/// and behind them it begins a sentence.
constexpr std::array kAbbreviations = {
    U"adm",  U"ala",  U"ariz", U"aug", U"ave",    U"bros", U"calif", U"co",    U"col",
    U"colo", U"conn", U"corp", U"cos", U"ct",     U"dec",  U"dr",    U"feb",   U"fla",
    U"fri",  U"ft",   U"ga",   U"gen", U"ill",    U"inc",  U"jan",   U"jr",    U"kan",
    U"ky",   U"ltd",  U"lt",   U"maj", U"mg",     U"mich", U"minn",  U"mr",    U"mrs",
    U"ms",   U"nev",  U"nov",  U"oct", U"okla",   U"ore",  U"pa",    U"ph.d",  U"prof",
    U"rep",  U"reps", U"sen",  U"sep", U"sept",   U"sr",   U"st",    U"tenn",  U"tues",
    U"va",   U"vs",   U"wash", U"wed", U"messrs", U"wis",  U"yr",    U"u.s.a",
};
/// Letters that are abbreviations, not initials.
constexpr Text kAbbreviationLetters = U"cdghklmnrstvw";

/// Words that, with a capital, begin a sentence behind an abbreviation, an ellipsis or an initial:
/// they are written small inside one.
constexpr std::array kStarters = {
    U"a",     U"after",   U"all",     U"also",    U"although", U"an",      U"and",       U"another",
    U"are",   U"as",      U"at",      U"because", U"before",   U"but",     U"by",        U"can",
    U"could", U"did",     U"do",      U"does",    U"don't",    U"each",    U"even",      U"every",
    U"few",   U"finally", U"for",     U"from",    U"have",     U"he",      U"her",       U"here",
    U"his",   U"how",     U"however", U"if",      U"in",       U"instead", U"is",        U"it",
    U"it's",  U"its",     U"just",    U"let",     U"many",     U"maybe",   U"meanwhile", U"more",
    U"most",  U"my",      U"never",   U"no",      U"not",      U"now",     U"of",        U"on",
    U"once",  U"one",     U"only",    U"or",      U"other",    U"our",     U"perhaps",   U"please",
    U"she",   U"since",   U"so",      U"some",    U"such",     U"that",    U"the",       U"their",
    U"then",  U"there",   U"these",   U"they",    U"this",     U"those",   U"though",    U"thus",
    U"to",    U"too",     U"two",     U"under",   U"until",    U"was",     U"we",        U"well",
    U"were",  U"what",    U"when",    U"where",   U"which",    U"while",   U"who",       U"why",
    U"with",  U"without", U"would",   U"yes",     U"yet",      U"you",     U"your",
};

template <std::size_t N>
bool isOneOf(const std::array<const char32_t*, N>& words, Text word) {
    return std::any_of(words.begin(), words.end(), [&](Text one) { return one == word; });
}

bool isOneOf(Text characters, char32_t c) {
    return characters.find(c) != Text::npos;
}

constexpr Text kEnds = U".?!";
/// Punkt's characters that no word holds, and those that no word begins with.
constexpr Text kNoWord = U")\";}]*:@'({[\u2018\u2019\u201c\u201d\u00ab\u00bb?!";
constexpr Text kNoStart = U"(\"`{[:;&#*@)}]-,";
/// What belongs to the sentence before it.
constexpr Text kClosing = U"\"')]}\u2018\u2019\u201c\u201d\u00ab\u00bb";

bool spaceAt(Text text, std::size_t at) {
    return at < text.size() && isSpace(text[at]);
}

/// Length of two or more hyphens, two or more periods, or ". . ." at `at`; 0: there are none.
std::size_t multiMark(Text text, std::size_t at) {
    const char32_t mark = text[at];
    if (mark != U'-' && mark != U'.') return 0;
    std::size_t end = at;
    while (end < text.size() && text[end] == mark) ++end;
    if (end - at >= 2) return end - at;
    if (mark == U'-') return 0;
    std::size_t pairs = 0;
    for (end = at; end + 1 < text.size() && text[end] == U'.' && isSpace(text[end + 1]); end += 2)
        ++pairs;
    if (end < text.size() && text[end] == U'.' && pairs >= 2) return end + 1 - at;
    return pairs >= 3 ? end - 1 - at : 0;
}

bool wordEnds(Text text, std::size_t at) {
    const auto breaks = [&](std::size_t i) {
        return i == text.size() || isSpace(text[i]) || isOneOf(kNoWord, text[i]) ||
               multiMark(text, i) > 0;
    };
    return breaks(at) || (text[at] == U',' && breaks(at + 1));
}

std::size_t tokenLength(Text text, std::size_t at) {
    if (const std::size_t marks = multiMark(text, at)) return marks;
    if (isOneOf(kNoStart, text[at])) return 1;
    std::size_t end = at + 1;
    while (!wordEnds(text, end)) ++end;
    return end - at;
}

bool isNumber(Text token) {
    if (token.starts_with(U'-')) token.remove_prefix(1);
    if (token.starts_with(U'.') || token.starts_with(U',')) token.remove_prefix(1);
    return !token.empty() && isDigit(token.front()) &&
           std::all_of(token.begin(), token.end(),
                       [](char32_t c) { return isDigit(c) || isOneOf(U",.-", c); });
}

bool isInitial(Text token) {
    return token.size() == 2 && token[1] == U'.' && isWord(token[0]) && !isDigit(token[0]);
}

/// "u.s", but none of those that Punkt begins a sentence behind and replies often hold.
bool isPairOfLetters(Text word) {
    if (word == U"e.g" || word == U"i.e" || word == U"p.s") return false;
    return word.size() == 3 && isLetter(word[0]) && word[1] == U'.' && isLetter(word[2]);
}

bool isAbbreviation(Text token) {
    const std::u32string low = lowered(token.substr(0, token.size() - 1));
    const auto known = [](Text word) {
        return isOneOf(kAbbreviations, word) || isPairOfLetters(word) ||
               (word.size() == 1 && isOneOf(kAbbreviationLetters, word.front()));
    };
    // Of "vice-adm." the last part.
    const std::size_t hyphen = low.rfind(U'-');
    return known(low) || (hyphen != Text::npos && known(Text(low).substr(hyphen + 1)));
}

/// Whether `token` ends a sentence before `next`.
bool endsSentence(Text token, Text next) {
    if (token.size() == 1 && isOneOf(kEnds, token.front())) return true;
    if (!token.ends_with(U'.')) return false;
    const bool ellipsis = token.ends_with(U"..");
    const bool abbreviation = !ellipsis && isAbbreviation(token);
    const bool initial = isInitial(token);
    const std::u32string low = lowered(next);
    const bool capital = isUpper(next.front());
    const bool starter = capital && isOneOf(kStarters, low);
    const bool goesOn = isLower(next.front()) || (next.size() == 1 && isOneOf(U";:,.!?", next[0]));
    if (initial) return !abbreviation && !goesOn && !(capital && !starter);
    if (ellipsis || abbreviation) return starter;
    return !(isNumber(token) && goesOn);
}

/// Whether one of the tokens ends a sentence before another.
bool holdsBreak(Text context) {
    Text before;
    for (std::size_t at = 0; at < context.size();) {
        if (isSpace(context[at])) {
            ++at;
            continue;
        }
        const Text token = context.substr(at, tokenLength(context, at));
        if (!before.empty() && endsSentence(before, token)) return true;
        before = token;
        at += token.size();
    }
    return false;
}

/// A mark that may end a sentence, with what is looked at to tell: from the white space before the
/// word that it closes to the end of the next.
struct Candidate {
    std::size_t word = 0, mark = 0;
    std::size_t next = 0;  ///< where the next sentence would begin
    std::size_t end = 0;   ///< of the context
};

/// Where there is no white space between several, the last.
std::vector<Candidate> candidatesOf(Text text) {
    std::vector<Candidate> all;
    std::size_t space = Text::npos;  // the last one seen; Punkt looks for those of ASCII
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] < 0x80 && isSpace(text[at])) space = at;
        if (!isOneOf(kEnds, text[at]) || at + 1 == text.size()) continue;
        Candidate one;
        one.mark = at;
        if (isOneOf(kNoWord, text[at + 1])) {
            one.next = at + 1;
            one.end = at + 2;
        } else if (isSpace(text[at + 1])) {
            one.next = at + 1;
            while (spaceAt(text, one.next)) ++one.next;
            if (one.next == text.size()) break;
            one.end = one.next;
            while (one.end < text.size() && !isSpace(text[one.end])) ++one.end;
        } else {
            continue;
        }
        const bool joined = !all.empty() && (space == Text::npos || space < all.back().mark);
        if (joined) {
            one.word = all.back().word;
            all.back() = one;
        } else {
            one.word = space == Text::npos ? 0 : space + 1;
            all.push_back(one);
        }
    }
    return all;
}

/// Length of the closing marks that `text` begins with, with the white space behind them; 0 where
/// something else follows them.
std::size_t closingLength(Text text) {
    std::size_t end = 0;
    while (end < text.size() && isOneOf(kClosing, text[end])) {
        ++end;
        const Text rest = text.substr(end);
        if (rest.empty() || rest.starts_with(U"--")) return end;
        if (!isSpace(rest.front())) continue;
        while (spaceAt(text, end)) ++end;
        return end;
    }
    return 0;
}

}  // namespace

std::vector<Text> sentencesOf(Text text) {
    std::vector<Text> sentences;
    std::size_t start = 0;
    const auto add = [&](std::size_t end) {
        const Text sentence = stripped(text.substr(start, end - start));
        if (!sentence.empty()) sentences.push_back(sentence);
    };
    for (const Candidate& one : candidatesOf(text)) {
        if (!holdsBreak(text.substr(one.word, one.end - one.word))) continue;
        const std::size_t closing = closingLength(text.substr(one.next));
        add(one.next + closing);
        start = one.next + closing;
    }
    add(text.size());
    return sentences;
}

}  // namespace moescope::instructions
