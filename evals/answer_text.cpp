// SPDX-License-Identifier: Apache-2.0
// Plain scanning instead of std::regex, whose recursion a long text overflows.
#include "evals/answer_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace moescope {

namespace {

using Places = std::span<const std::string_view>;

// UTF-8: no-break space, narrow no-break space.
constexpr std::array<std::string_view, 6> kSpaces = {" ", "\t", "\r", "\n", "\u00a0", "\u202f"};
constexpr std::array<std::string_view, 4> kBlanks = {" ", "\t", "\u00a0", "\u202f"};
// What Markdown, LaTeX and typography put before an answer.
constexpr std::array<std::string_view, 21> kOpening = {
    " ",        "\t",     "\u00a0",   "\u202f", "*",      "_",      "\"",
    "'",        "`",      "(",        "[",      "{",      "$",      "\\boxed{",
    "\\textbf", "\\text", "\\mathrm", "\u2018", "\u2019", "\u201c", "\\("};
constexpr std::array<std::string_view, 17> kClosing = {
    " ", "\t", "\u00a0", "\u202f", "*",      "_",      "\"",     "'",  "`",
    ")", "]",  "}",      "$",      "\u2018", "\u2019", "\u201d", "\\)"};

bool isDigit(char c) {
    return c >= '0' && c <= '9';
}

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// Whether a word goes on at `at`: general punctuation (dashes, quotes) and no-break spaces end it.
bool wordGoesOn(std::string_view text, std::size_t at) {
    if (at >= text.size()) return false;
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) return std::isalnum(byte) != 0 || text[at] == '_';
    const std::string_view rest = text.substr(at);
    return !rest.starts_with("\u00a0") && !rest.starts_with("\xe2\x80");
}

/// Whether a word ends directly before `at`.
bool wordBefore(std::string_view text, std::size_t at) {
    if (at == 0) return false;
    if (static_cast<unsigned char>(text[at - 1]) < 0x80) return wordGoesOn(text, at - 1);
    std::size_t start = at - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0U) == 0x80U) --start;
    return wordGoesOn(text, start);
}

std::size_t skip(std::string_view text, std::size_t at, Places what) {
    for (bool more = true; more && at < text.size();) {
        more = false;
        for (const std::string_view one : what) {
            if (!text.substr(at).starts_with(one)) continue;
            at += one.size();
            more = true;
        }
    }
    return std::min(at, text.size());
}

/// Whether nothing but decoration and a full stop is left of the line.
bool lineEnds(std::string_view line, std::size_t at) {
    at = skip(line, at, kClosing);
    if (at < line.size() && (line[at] == '.' || line[at] == '!')) ++at;
    return skip(line, at, kClosing) == line.size();
}

/// A reading of the line from `at` on: the answer and where it ends.
struct Reading {
    std::string answer;  ///< empty: none
    std::size_t end = 0;
};

std::size_t lineEnd(std::string_view text, std::size_t at) {
    return std::min(text.find('\n', at), text.size());
}

/// Where what is marked as the answer begins, behind each "answer:" and "answer is" of the line.
std::vector<std::size_t> markersOf(std::string_view line) {
    const std::string text = lowered(line);
    constexpr std::string_view kMarker = "answer";
    constexpr std::array<std::string_view, 6> kBetween = {" ", "\t", "*", "_", "\u00a0", "\u202f"};
    std::vector<std::size_t> places;
    for (std::size_t at = 0; (at = text.find(kMarker, at)) != std::string::npos;) {
        const bool word = !wordBefore(text, at);
        at += kMarker.size();
        if (!word) continue;
        std::size_t next = skip(text, at, kBetween);
        // "The answer to this question is X"
        if (text.compare(next, 3, "to ") == 0) {
            constexpr std::size_t kFarthest = 60;
            const std::size_t stop = std::min(text.find_first_of(".:;?!,", next), text.size());
            const std::size_t verb = text.find(" is", next);
            if (verb < stop && verb - next < kFarthest) next = verb + 1;
        }
        const bool is = text.compare(next, 2, "is") == 0 && !wordGoesOn(text, next + 2);
        if (is) next = skip(text, next + 2, kBetween);
        const bool colon = next < text.size() && text[next] == ':';
        if (!is && !colon) continue;
        places.push_back(colon ? next + 1 : next);
    }
    return places;
}

/// The next line that is not blank, from `at` on; empty when there is none.
std::string_view nextLine(std::string_view text, std::size_t at) {
    at = skip(text, std::min(at, text.size()), kSpaces);
    return text.substr(at, lineEnd(text, at) - at);
}

/// What the last line that marks one answer marks. `read` takes a line and a place in it.
template <typename Read>
std::optional<ReadAnswer> marked(std::string_view text, bool cutOff, Read read) {
    std::optional<ReadAnswer> last;
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = lineEnd(text, start);
        const std::string_view line = text.substr(start, end - start);
        std::string answer;
        bool several = false;
        for (const std::size_t place : markersOf(line)) {
            const std::size_t at = skip(line, place, kOpening);
            Reading found;
            bool whole = true;  // nothing of it can be missing
            if (at < line.size()) {
                found = read(line, at);
                whole = line.find_first_not_of(".,", found.end) != std::string_view::npos ||
                        end < text.size();
            } else {
                const std::string_view next = nextLine(text, end);
                const std::size_t first = skip(next, 0, kOpening);
                found = read(next, first);
                whole = next.data() + next.size() < text.data() + text.size();
                if (!lineEnds(next, found.end)) found = {};
            }
            if (found.answer.empty() || (cutOff && !whole)) continue;
            several = several || (!answer.empty() && answer != found.answer);
            answer = std::move(found.answer);
        }
        if (!answer.empty() && !several) last = ReadAnswer{std::move(answer), "marker"};
        start = end + 1;
    }
    return last;
}

/// What is behind the last `opening` that `read` makes anything of.
template <typename Read>
std::optional<ReadAnswer> behindLast(std::string_view text, std::string_view opening,
                                     std::string_view rule, Read read) {
    for (std::size_t at = text.rfind(opening); at != std::string_view::npos;
         at = at == 0 ? std::string_view::npos : text.rfind(opening, at - 1)) {
        const std::size_t start = at + opening.size();
        const std::string_view line = text.substr(start, lineEnd(text, start) - start);
        Reading found = read(line, skip(line, 0, kOpening));
        if (!found.answer.empty()) return ReadAnswer{std::move(found.answer), rule};
    }
    return std::nullopt;
}

/// Whether "or" or "and" and another of what `isAnother` knows follow: a list, no answer.
template <typename IsAnother>
bool isListed(std::string_view line, std::size_t end, IsAnother isAnother) {
    const std::size_t at = skip(line, end, kClosing);
    for (const std::string_view word : {"or ", "and ", "/", ", "})
        if (lowered(line.substr(at, word.size())) == word &&
            isAnother(skip(line, at + word.size(), kOpening)))
            return true;
    return false;
}

bool isLetterAt(std::string_view line, std::size_t at, int letters) {
    return at < line.size() && line[at] >= 'A' && line[at] < 'A' + letters &&
           !wordGoesOn(line, at + 1);
}

Reading letterAt(std::string_view line, std::size_t at, int letters) {
    for (const std::string_view word : {"option ", "choice ", "letter "})
        if (lowered(line.substr(at, word.size())) == word)
            at = skip(line, at + word.size(), kOpening);
    const auto another = [&](std::size_t place) { return isLetterAt(line, place, letters); };
    if (another(at))
        return isListed(line, at + 1, another) ? Reading{}
                                               : Reading{std::string(1, line[at]), at + 1};
    // "a" is a word more often than a letter: it has to be the end.
    const bool small = at < line.size() && line[at] >= 'a' && line[at] < 'a' + letters;
    if (!small || wordGoesOn(line, at + 1) || !lineEnds(line, at + 1)) return {};
    return {std::string(1, static_cast<char>(line[at] - 'a' + 'A')), at + 1};
}

/// Lower case without article, decoration and full stop.
std::string plainChoice(std::string_view text) {
    text.remove_prefix(skip(text, 0, kOpening));
    std::string out = lowered(text);
    const auto stripped = [&] {
        for (const std::string_view one : kClosing)
            if (out.ends_with(one)) {
                out.resize(out.size() - one.size());
                return true;
            }
        if (!out.ends_with('.') && !out.ends_with('!')) return false;
        out.pop_back();
        return true;
    };
    while (!out.empty() && stripped()) {
    }
    for (const std::string_view article : {"a ", "an ", "the "})
        if (out.starts_with(article)) return out.substr(article.size());
    return out;
}

/// The letter of the choice whose text this is; empty: of none, or of several.
std::string letterNamed(std::string_view text, std::span<const std::string> shown) {
    const std::string said = plainChoice(text);
    std::string letter;
    if (said.empty()) return letter;
    for (std::size_t i = 0; i < shown.size(); ++i) {
        if (plainChoice(shown[i]) != said) continue;
        if (!letter.empty()) return {};
        letter = std::string(1, static_cast<char>('A' + i));
    }
    return letter;
}

Reading yesNoAt(std::string_view line, std::size_t at) {
    const auto wordAt = [&](std::size_t place) -> std::string_view {
        for (const std::string_view word : {"yes", "no"})
            if (lowered(line.substr(std::min(place, line.size()), word.size())) == word &&
                !wordGoesOn(line, place + word.size()))
                return word;
        return {};
    };
    const std::string_view word = wordAt(at);
    if (word.empty()) return {};
    const std::size_t end = at + word.size();
    if (isListed(line, end, [&](std::size_t place) { return !wordAt(place).empty(); })) return {};
    return {std::string(word), end};
}

/// Length of a separator of thousands at `at`, which three digits and no fourth follow; 0: none.
std::size_t separatorAt(std::string_view text, std::size_t at, bool spaces) {
    for (const std::string_view one : {"{,}", "\\,", ",\\!", ",", "\u00a0", "\u202f", " "}) {
        if (!text.substr(std::min(at, text.size())).starts_with(one) || (one == " " && !spaces))
            continue;
        const std::size_t next = at + one.size();
        const auto digit = [&](std::size_t i) { return i < text.size() && isDigit(text[i]); };
        if (digit(next) && digit(next + 1) && digit(next + 2) && !digit(next + 3))
            return one.size();
    }
    return 0;
}

/// A number in canonical form. `spaces`: a space may separate thousands.
Reading plainNumberAt(std::string_view text, std::size_t at, bool spaces) {
    const auto digitAt = [&](std::size_t i) { return i < text.size() && isDigit(text[i]); };
    std::string whole, fraction;
    bool negative = false;
    for (const std::string_view sign : {"-", "\u2212", "+"}) {
        if (!text.substr(std::min(at, text.size())).starts_with(sign)) continue;
        negative = sign != "+";
        at += sign.size();
        break;
    }
    for (const std::string_view currency : {"\\$", "$", "\u20ac", "\u00a3"})
        if (text.substr(std::min(at, text.size())).starts_with(currency)) {
            at += currency.size();
            break;
        }
    for (bool grouped = false; digitAt(at);) {
        const std::size_t start = at;
        while (digitAt(at)) whole += text[at++];
        const std::size_t digits = at - start;
        const std::size_t separator = separatorAt(text, at, spaces);
        if (separator == 0 || (grouped ? digits != 3 : digits > 3)) break;
        grouped = true;
        at += separator;
    }
    if (at < text.size() && text[at] == '.' && digitAt(at + 1))
        for (++at; digitAt(at);) fraction += text[at++];
    if (whole.empty() && fraction.empty()) return {{}, at};
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    if (whole.empty()) whole = "0";
    const bool zero = whole == "0" && fraction.empty();
    return {(negative && !zero ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction), at};
}

/// Whether the number that ends at `end` is only a part: of a sum, a fraction, a time, a power.
bool numberGoesOn(std::string_view line, std::size_t end) {
    const auto digitAt = [&](std::size_t i) { return i < line.size() && isDigit(line[i]); };
    if (digitAt(end) || (end < line.size() && line[end] == ',' && digitAt(end + 1))) return true;
    if (end + 1 < line.size() && (line[end] == 'e' || line[end] == 'E') &&
        (digitAt(end + 1) || ((line[end + 1] == '-' || line[end + 1] == '+') && digitAt(end + 2))))
        return true;
    const std::size_t at = skip(line, end, kBlanks);
    if (digitAt(at)) return true;
    for (const std::string_view sign :
         {"+", "-", "*", "/", "^", ":", "=", "\u2212", "\u00d7", "\u00f7", "\\times", "\\cdot"}) {
        if (!line.substr(at).starts_with(sign)) continue;
        const std::size_t next = skip(line, at + sign.size(), kOpening);
        if (digitAt(next)) return true;
    }
    return false;
}

Reading numberAt(std::string_view line, std::size_t at) {
    Reading first = plainNumberAt(line, at, true);
    if (first.answer.empty()) return {};
    if (!numberGoesOn(line, first.end)) return first;
    const std::size_t equals = line.rfind('=');
    if (equals == std::string_view::npos || equals < first.end) return {};
    Reading result = plainNumberAt(line, skip(line, equals + 1, kOpening), true);
    if (result.answer.empty() || numberGoesOn(line, result.end)) return {};
    return result;
}

/// Nothing but a number is on the line.
Reading onlyNumberAt(std::string_view line, std::size_t at) {
    Reading number = numberAt(line, at);
    return lineEnds(line, number.end) ? number : Reading{};
}

/// Of the whole text. A minus directly behind a word or a number is a dash or an operator.
std::string lastNumber(std::string_view text) {
    std::string last;
    for (std::size_t at = 0; at < text.size();) {
        const bool point = text[at] == '.' && at + 1 < text.size() && isDigit(text[at + 1]);
        if (!isDigit(text[at]) && !point) {
            ++at;
            continue;
        }
        std::size_t start = at;
        const auto stepBack = [&](std::string_view sign) {
            if (start < sign.size() || text.substr(start - sign.size(), sign.size()) != sign)
                return false;
            start -= sign.size();
            return true;
        };
        stepBack("$");
        const std::size_t unsignedStart = start;
        const bool minus = stepBack("-") || stepBack("\u2212");
        if (minus && wordBefore(text, start)) start = unsignedStart;
        const Reading number = plainNumberAt(text, start, false);
        last = number.answer;
        at = std::max(number.end, at + 1);
    }
    return last;
}

/// Whether ".", ")" or ":" follow.
bool isSetOff(std::string_view line, std::size_t at) {
    at = std::min(line.find_first_not_of("*_\"'`]}$", at), line.size());
    return at < line.size() && std::string_view(".):").find(line[at]) != std::string_view::npos;
}

/// Whether several lines begin with a letter and ".", ")" or ":": they repeat the choices.
bool listsChoices(std::string_view text, int letters) {
    std::string seen;
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = lineEnd(text, start);
        const std::string_view line = text.substr(start, end - start);
        const std::size_t at = skip(line, 0, kOpening);
        if (isLetterAt(line, at, letters)) {
            const bool set = lineEnds(line, at + 1) || isSetOff(line, at + 1);
            if (set && seen.find(line[at]) == std::string::npos) seen += line[at];
        }
        start = end + 1;
    }
    return seen.size() > 1;
}

/// "B", "**B**", "B. a cow": what the text begins with.
std::string leadingLetter(std::string_view text, int letters) {
    const std::size_t start = skip(text, 0, kSpaces);
    const std::string_view line = text.substr(start, lineEnd(text, start) - start);
    const std::size_t at = skip(line, 0, kOpening);
    if (!isLetterAt(line, at, letters) || listsChoices(text, letters)) return {};
    // "A cow ..." is a sentence; "A", "A. a cow" and "(A) a cow" are answers.
    const bool answer = lineEnds(line, at + 1) || isSetOff(line, at + 1);
    return answer ? std::string(1, line[at]) : std::string();
}

}  // namespace

std::optional<ReadAnswer> readChoice(std::string_view text, std::span<const std::string> shown,
                                     bool cutOff) {
    const int letters = static_cast<int>(shown.size());
    const auto read = [&](std::string_view line, std::size_t at) -> Reading {
        std::string letter = letterNamed(line.substr(std::min(at, line.size())), shown);
        if (!letter.empty()) return {std::move(letter), line.size()};
        return letterAt(line, at, letters);
    };
    if (auto found = marked(text, cutOff, read)) return found;
    if (cutOff) return std::nullopt;
    const auto letter = [&](std::string_view line, std::size_t at) {
        return letterAt(line, at, letters);
    };
    if (auto found = behindLast(text, "\\boxed{", "box", letter)) return found;
    if (std::string leading = leadingLetter(text, letters); !leading.empty())
        return ReadAnswer{std::move(leading), "whole"};
    const std::size_t start = skip(text, 0, kSpaces);
    if (std::string whole = letterNamed(text.substr(start), shown); !whole.empty())
        return ReadAnswer{std::move(whole), "named"};
    return std::nullopt;
}

std::optional<ReadAnswer> readYesNo(std::string_view text, bool cutOff) {
    if (auto found = marked(text, cutOff, yesNoAt)) return found;
    if (cutOff) return std::nullopt;
    const std::size_t start = skip(text, 0, kSpaces);
    const std::string_view line = text.substr(start, lineEnd(text, start) - start);
    Reading word = yesNoAt(line, skip(line, 0, kOpening));
    if (word.answer.empty()) return std::nullopt;
    return ReadAnswer{std::move(word.answer), "whole"};
}

std::optional<ReadAnswer> readNumber(std::string_view text, bool cutOff) {
    if (auto found = marked(text, cutOff, numberAt)) return found;
    if (cutOff) return std::nullopt;
    if (auto found = behindLast(text, "####", "hashes", onlyNumberAt)) return found;
    if (auto found = behindLast(text, "\\boxed{", "box", numberAt)) return found;
    std::string last = lastNumber(text);
    if (last.empty()) return std::nullopt;
    return ReadAnswer{std::move(last), "last"};
}

std::optional<ReadAnswer> readSolution(std::string_view text) {
    if (auto found = behindLast(text, "####", "hashes", onlyNumberAt)) return found;
    return readNumber(text, false);
}

}  // namespace moescope
