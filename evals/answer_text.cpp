// SPDX-License-Identifier: Apache-2.0
// Plain scanning instead of std::regex, whose recursion a long text overflows.
#include "evals/answer_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "evals/text_scan.h"

namespace moescope {

namespace {

/// A reading of the line from `at` on: the answer and where it ends.
struct Reading {
    std::string answer;  ///< empty: none
    std::size_t end = 0;
    bool whole = false;  ///< nothing behind `end` can make it another
};

/// Where what is marked as the answer begins.
struct Marker {
    std::size_t place = 0;
    bool formal = false;    ///< the line begins with "Answer:", as prompts ask for it
    bool doubtful = false;  ///< "if", "might", "can't": said of an answer, not said as one
};

/// Behind each "answer:", "answer is" and "answer to this question is" of the line; at most a few,
/// for a line with more marks several.
std::vector<Marker> markersOf(std::string_view line) {
    constexpr std::string_view kMarker = "answer";
    constexpr std::size_t kMost = 8;
    constexpr std::size_t kFarthest = 64;
    constexpr std::array<std::string_view, 6> kBetween = {" ", "\t", "*", "_", "\u00a0", "\u202f"};
    constexpr std::array<std::string_view, 9> kBefore = {" ", "\t", "*",  "_", "#",
                                                         "-", ">",  "\"", "'"};
    const std::string text = lowered(line);
    std::vector<Marker> markers;
    for (std::size_t at = 0;
         markers.size() < kMost && (at = text.find(kMarker, at)) != std::string::npos;) {
        const std::size_t start = at;
        at += kMarker.size();
        if (wordBefore(text, start)) continue;
        std::size_t next = skip(text, at, kBetween);
        if (text.compare(next, 3, "to ") == 0) {
            const std::string near = text.substr(next, kFarthest);
            const std::size_t verb = near.find(" is");
            if (verb < std::min(near.find_first_of(".:;?!,"), near.size())) next += verb + 1;
        }
        const bool is = text.compare(next, 2, "is") == 0 && !wordGoesOn(text, next + 2);
        if (is) next = skip(text, next + 2, kBetween);
        std::size_t colon = 0;
        for (const std::string_view one : {":", "\uff1a"})
            if (std::string_view(text).substr(next).starts_with(one)) colon = one.size();
        if (!is && colon == 0) continue;
        Marker marker;
        marker.place = next + colon;
        std::string_view before = std::string_view(text).substr(0, start);
        for (const std::string_view word : {"if ", "whether ", "n't ", "n\u2019t ", "cannot ",
                                            "can not ", "might ", "would ", "each "})
            marker.doubtful = marker.doubtful || before.find(word) != std::string_view::npos;
        before.remove_prefix(skip(before, 0, kBefore));
        marker.formal = !is && (before.empty() || before == "final " || before == "the final ");
        markers.push_back(marker);
    }
    return markers;
}

/// The next line that is not blank, from `at` on; empty when there is none.
std::string_view nextLine(std::string_view text, std::size_t at) {
    at = skip(text, std::min(at, text.size()), kSpaces);
    return text.substr(at, lineEnd(text, at) - at);
}

/// What a text marks as its answer.
struct Marked {
    std::optional<ReadAnswer> answer;
    /// The last marker has something behind it that is no answer: nothing else may be taken for it.
    bool refused = false;
};

/// The answer behind a marker; `refused` where `tells` that there is one which cannot be read.
template <typename Read, typename Tells>
Reading behindMarker(std::string_view text, std::string_view line, std::size_t end,
                     const Marker& marker, bool cutOff, Read read, Tells tells, bool& refused) {
    const std::size_t at = skip(line, marker.place, kOpening);
    if (at < line.size()) {
        Reading found = read(line, at);
        refused = found.answer.empty() && tells(line.substr(at));
        if (cutOff && end == text.size()) found = {};  // the line may go on
        return found;
    }
    const std::string_view next = nextLine(text, end);
    Reading found = read(next, skip(next, 0, kOpening));
    const bool last = next.data() + next.size() == text.data() + text.size();
    if (found.answer.empty() || (cutOff && last) || !(found.whole || lineEnds(next, found.end)))
        return {};
    return found;
}

/// What the last line marks that marks an answer; lines that begin with the marker go before
/// others. `read` takes a line and a place in it.
template <typename Read, typename Tells>
Marked marked(std::string_view text, bool cutOff, Read read, Tells tells) {
    Marked prose, formal;
    bool anyFormal = false;
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = lineEnd(text, start);
        const std::string_view line = text.substr(start, end - start);
        start = end + 1;
        std::string answer;
        bool several = false, refused = false, isFormal = false;
        const std::vector<Marker> markers = markersOf(line);
        if (markers.size() > 1) {  // "'Answer: yes' or 'Answer: no'"
            const std::size_t place = markers.front().place;
            const std::string between = lowered(line.substr(place, markers.back().place - place));
            several = between.find(" or ") != std::string::npos;
        }
        for (const Marker& marker : markers) {
            if (marker.doubtful && !marker.formal) continue;
            bool unread = false;
            Reading found = behindMarker(text, line, end, marker, cutOff, read, tells, unread);
            refused = refused || unread;
            if (found.answer.empty()) continue;
            several = several || (!answer.empty() && answer != found.answer);
            answer = std::move(found.answer);
            isFormal = isFormal || marker.formal;
        }
        if (answer.empty() && !refused) continue;
        Marked& tier = isFormal ? formal : prose;
        anyFormal = anyFormal || isFormal;
        tier.refused = refused || several;
        tier.answer.reset();
        if (!tier.refused) tier.answer = ReadAnswer{std::move(answer), "marker"};
        if (refused && !isFormal) formal = {{}, false}, anyFormal = false;  // it came later
    }
    return anyFormal ? formal : prose;
}

/// What is behind the last `opening`; of a row of them the last few are tried.
template <typename Read, typename Tells>
Marked behindLast(std::string_view text, std::string_view opening, std::string_view rule, Read read,
                  Tells tells) {
    constexpr int kTries = 16;
    std::size_t at = text.rfind(opening);
    for (int i = 0; i < kTries && at != std::string_view::npos; ++i) {
        const std::size_t start = at + opening.size();
        const std::string_view line = text.substr(start, lineEnd(text, start) - start);
        const std::size_t first = skip(line, 0, kOpening);
        Reading found = read(line, first);
        if (!found.answer.empty()) return {ReadAnswer{std::move(found.answer), rule}, false};
        if (tells(line.substr(first))) return {std::nullopt, true};
        at = at == 0 ? std::string_view::npos : text.rfind(opening, at - 1);
    }
    return {};
}

bool tellsNothing(std::string_view) {
    return false;
}

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

/// Whether ".", ")" or ":" follow.
bool isSetOff(std::string_view line, std::size_t at) {
    at = skip(line, at, kMarks);
    return at < line.size() && std::string_view(".):").find(line[at]) != std::string_view::npos;
}

/// Whether the line goes on as it does behind an answer: punctuation, or one of the `words`.
bool endsAnswer(std::string_view line, std::size_t at, Places words) {
    at = skip(line, at, kMarks);
    if (at == line.size()) return true;
    for (const std::string_view stop : {".", ",", "!", ";", ":", ")", "\u2014", "\u2013"})
        if (line.substr(at).starts_with(stop)) return true;
    const std::size_t next = skip(line, at, kBlanks);
    if (next == at) return false;
    if (next == line.size()) return true;
    for (const std::string_view stop : {"-", "(", "\u2014", "\u2013"})
        if (line.substr(next).starts_with(stop)) return true;
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return lowered(line.substr(next, word.size())) == word &&
               !wordGoesOn(line, next + word.size());
    });
}

bool isLetterAt(std::string_view line, std::size_t at, int letters) {
    if (at >= line.size() || line[at] < 'A' || line[at] >= 'A' + letters) return false;
    if (wordGoesOn(line, at + 1) || line.substr(at + 1).starts_with("+")) return false;
    const std::string_view rest = line.substr(at + 1);  // "A's"
    for (const std::string_view apostrophe : {"'", "\u2019"})
        if (rest.starts_with(apostrophe) && wordGoesOn(rest, apostrophe.size())) return false;
    return true;
}

Reading letterAt(std::string_view line, std::size_t at, int letters) {
    for (const std::string_view word : {"option ", "choice ", "letter "})
        if (lowered(line.substr(at, word.size())) == word)
            at = skip(line, at + word.size(), kOpening);
    const auto another = [&](std::size_t place) { return isLetterAt(line, place, letters); };
    if (another(at)) {
        if (isListed(line, at + 1, another)) return {};
        // "A" and "I" are words as well: "A person", "I cannot".
        constexpr std::array<std::string_view, 7> kBehind = {"because", "since", "as", "for",
                                                             "the",     "is",    "was"};
        const bool word = line[at] == 'A' || line[at] == 'I';
        if (word && !endsAnswer(line, at + 1, kBehind)) return {};
        return {std::string(1, line[at]), at + 1};
    }
    // "a" is a word more often than a letter: it has to be the end.
    const bool small = at < line.size() && line[at] >= 'a' && line[at] < 'a' + letters;
    if (!small || wordGoesOn(line, at + 1) || !lineEnds(line, at + 1)) return {};
    return {std::string(1, static_cast<char>(line[at] - 'a' + 'A')), at + 1};
}

/// Lower case without article, decoration and full stop.
std::string plainChoice(std::string_view text) {
    text.remove_prefix(skip(text, 0, kOpening));
    std::string out = lowered(text);
    for (const auto& [typographic, plain] :
         {std::pair("\u2018", "'"), std::pair("\u2019", "'"), std::pair("\u201c", "\""),
          std::pair("\u201d", "\""), std::pair("\u2011", "-"), std::pair("\u3002", ".")})
        for (std::size_t at = 0; (at = out.find(typographic, at)) != std::string::npos; ++at)
            out.replace(at, std::string_view(typographic).size(), plain);
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
    // "No one can say", "no information was given" and "no doubt, yes" decide nothing.
    constexpr std::array<std::string_view, 12> kBehind = {
        "because", "since", "as", "for", "i", "they", "we", "he", "she", "it", "the", "this"};
    if (!endsAnswer(line, end, kBehind)) return {};
    return {std::string(word), end};
}

/// Length of a separator of thousands at `at`, which three digits and no fourth follow; 0: none.
std::size_t separatorAt(std::string_view text, std::size_t at, bool spaces) {
    for (const std::string_view one :
         {"{,}", "\\,", "\\;", "\\ ", ",\\!", ",", "\u00a0", "\u202f", " "}) {
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
    for (const std::string_view sign : {"-", "\u2212", "\u2011", "\u2013", "+"}) {
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
    if (end < line.size() && line[end] == '(') return true;
    const std::size_t at = skip(line, end, kBlanks);
    if (digitAt(at)) return true;
    for (const std::string_view sign :
         {"+", "-", "*", "/", "^", ":", "=", "x", "\u2212", "\u00d7", "\u00f7", "\u00b7", "\u2022",
          "\\times", "\\cdot", "\\div"}) {
        if (!line.substr(at).starts_with(sign)) continue;
        const std::size_t next = skip(line, at + sign.size(), kOpening);
        if (digitAt(next)) return true;
    }
    return false;
}

/// How many numbers the text holds, up to two, and the last of them.
std::pair<int, std::string> numbersOf(std::string_view text);

/// What a calculation comes to: the number behind the last "=" of the stretch that begins with the
/// number `first`; empty where there is none.
std::string resultOf(std::string_view line, const Reading& first, bool goesOn) {
    std::size_t stop = line.size();
    if (!goesOn)  // "7 (3 + 4 = 7)", "7, since 3 + 4 = 7"
        for (const std::string_view end : {"(", ";", ". ", ", "})
            stop = std::min(stop, line.find(end, first.end));
    const std::string_view stretch = line.substr(0, stop);
    const std::size_t equals = stretch.rfind('=');
    if (equals == std::string_view::npos || equals < first.end) return {};
    const Reading result = plainNumberAt(line, skip(line, equals + 1, kOpening), true);
    if (!result.answer.empty() && !numberGoesOn(line, result.end)) return result.answer;
    // "18 = 9 * 2": the result stands first.
    const bool alone = skip(line, first.end, kBlanks) == line.find('=');
    return alone ? first.answer : std::string();
}

Reading numberAt(std::string_view line, std::size_t at) {
    const Reading first = plainNumberAt(line, at, true);
    if (first.answer.empty()) {
        // "Answer: Janet makes $18 a day": the only number of the line.
        const std::string_view rest = line.substr(std::min(at, line.size()));
        const auto [count, only] = numbersOf(rest);
        if (count != 1 || lowered(rest).find("not ") != std::string::npos ||
            rest.find('\\') != std::string_view::npos)
            return {};
        return {only, line.size()};
    }
    const bool goesOn = numberGoesOn(line, first.end);
    std::string result = resultOf(line, first, goesOn);
    if (!result.empty()) return {std::move(result), line.size()};
    const auto digit = [&](std::size_t i) { return i < line.size() && isDigit(line[i]); };
    if (goesOn || isListed(line, first.end, digit)) return {};
    return first;
}

bool holdsDigits(std::string_view text) {
    return std::any_of(text.begin(), text.end(), isDigit);
}

/// Nothing but a number is on the line.
Reading onlyNumberAt(std::string_view line, std::size_t at) {
    Reading number = plainNumberAt(line, at, true);
    return lineEnds(line, number.end) ? number : Reading{};
}

/// The numbers of a text one by one: `found` is given each. A minus directly behind a word or a
/// number is a dash or an operator.
template <typename Found>
void eachNumber(std::string_view text, Found found) {
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
        if (!stepBack("\\$")) stepBack("$");
        const std::size_t unsignedStart = start;
        const bool minus = stepBack("-") || stepBack("\u2212") || stepBack("\u2011");
        if (minus && wordBefore(text, start)) start = unsignedStart;
        Reading number = plainNumberAt(text, start, false);
        at = std::max(number.end, at + 1);
        found(std::move(number.answer));
    }
}

std::pair<int, std::string> numbersOf(std::string_view text) {
    std::pair<int, std::string> out{0, {}};
    eachNumber(text, [&](std::string number) {
        out.first = std::min(out.first + 1, 2);
        out.second = std::move(number);
    });
    return out;
}

std::string lastNumber(std::string_view text) {
    return numbersOf(text).second;
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
        // A letter by itself is one, also where a choice has that name.
        if (isLetterAt(line, at, letters) && lineEnds(line, at + 1))
            return {std::string(1, line[at]), at + 1};
        constexpr std::size_t kLongest = 1000;
        const auto named = [&](std::size_t from) {
            from = std::min(from, line.size());
            return line.size() - from > kLongest ? std::string()
                                                 : letterNamed(line.substr(from), shown);
        };
        if (std::string letter = named(at); !letter.empty())
            return {std::move(letter), line.size()};
        Reading found = letterAt(line, at, letters);
        if (found.answer.empty() || !isSetOff(line, found.end)) return found;
        // "B. The grandson": the text has to be B's, if it is a choice's.
        const std::string other = named(skip(line, found.end, kMarks) + 1);
        if (!other.empty() && other != found.answer) return {};
        found.whole = other == found.answer;
        return found;
    };
    if (Marked found = marked(text, cutOff, read, tellsNothing); found.answer || found.refused)
        return found.answer;
    if (cutOff) return std::nullopt;
    const auto letter = [&](std::string_view line, std::size_t at) {
        return letterAt(line, at, letters);
    };
    if (auto found = behindLast(text, "\\boxed{", "box", letter, tellsNothing); found.answer)
        return found.answer;
    if (std::string leading = leadingLetter(text, letters); !leading.empty())
        return ReadAnswer{std::move(leading), "whole"};
    const std::size_t start = skip(text, 0, kSpaces);
    if (std::string whole = letterNamed(text.substr(start), shown); !whole.empty())
        return ReadAnswer{std::move(whole), "named"};
    return std::nullopt;
}

std::optional<ReadAnswer> readYesNo(std::string_view text, bool cutOff) {
    if (Marked found = marked(text, cutOff, yesNoAt, tellsNothing); found.answer || found.refused)
        return found.answer;
    if (cutOff) return std::nullopt;
    const std::size_t start = skip(text, 0, kSpaces);
    const std::string_view line = text.substr(start, lineEnd(text, start) - start);
    Reading word = yesNoAt(line, skip(line, 0, kOpening));
    if (word.answer.empty()) return std::nullopt;
    return ReadAnswer{std::move(word.answer), "whole"};
}

std::optional<ReadAnswer> readNumber(std::string_view text, bool cutOff) {
    if (Marked found = marked(text, cutOff, numberAt, holdsDigits); found.answer || found.refused)
        return found.answer;
    if (cutOff) return std::nullopt;
    if (Marked found = behindLast(text, "####", "hashes", onlyNumberAt, tellsNothing); found.answer)
        return found.answer;
    if (Marked found = behindLast(text, "\\boxed{", "box", numberAt, holdsDigits);
        found.answer || found.refused)
        return found.answer;
    std::string last = lastNumber(text);
    if (last.empty()) return std::nullopt;
    return ReadAnswer{std::move(last), "last"};
}

std::optional<ReadAnswer> readSolution(std::string_view text) {
    if (Marked found = behindLast(text, "####", "hashes", onlyNumberAt, tellsNothing); found.answer)
        return found.answer;
    return readNumber(text, false);
}

}  // namespace moescope
