// SPDX-License-Identifier: Apache-2.0
// Plain scanning instead of std::regex, whose recursion a long text overflows.
#include "evals/answer_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "evals/number_text.h"

namespace moescope {

namespace {

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

/// The letter of the choice whose text this is; empty: of none or of several.
std::string letterOfChoice(std::string_view text, std::span<const std::string> shown) {
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

/// The same of a choice with or without its letter behind it: "The grandson (B)". None of what is
/// too long to be a choice, nor of one with another's letter.
std::string letterNamed(std::string_view text, std::span<const std::string> shown) {
    constexpr std::size_t kLongest = 1000;
    if (text.size() > kLongest) return {};
    std::string letter = letterOfChoice(text, shown);
    const std::size_t bracket = text.rfind('(');
    if (!letter.empty() || bracket == std::string_view::npos) return letter;
    const std::size_t at = skip(text, bracket, kOpening);
    if (!isLetterAt(text, at, static_cast<int>(shown.size())) || !lineEnds(text, at + 1)) return {};
    letter = letterOfChoice(text.substr(0, bracket), shown);
    return letter == text.substr(at, 1) ? letter : std::string();
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

/// Whether a sentence that begins so says what follows itself: not of another's opinion, and not
/// that it is false.
bool saysItself(std::string_view line, std::size_t upTo) {
    constexpr std::size_t kLongest = 64;
    constexpr std::array<std::string_view, 18> kWords = {
        "option", "choice", "letter", "answer", "the",     "only", "so",   "thus",    "therefore",
        "hence",  "then",   "i",      "think",  "believe", "that", "this", "clearly", "means"};
    const std::size_t from = upTo > kLongest ? upTo - kLongest : 0;
    std::string before = lowered(line.substr(from, upTo - from));
    const std::size_t sentence = before.find_last_of(".!?");
    if (sentence == std::string::npos && from > 0) return false;
    if (sentence != std::string::npos) before.erase(0, sentence + 1);
    for (std::size_t at = 0; at < before.size();) {
        if (!wordGoesOn(before, at)) {
            ++at;
            continue;
        }
        const std::size_t start = at;
        while (wordGoesOn(before, at)) ++at;
        const std::string_view word = std::string_view(before).substr(start, at - start);
        if (std::find(kWords.begin(), kWords.end(), word) == kWords.end()) return false;
    }
    return true;
}

/// Whether "is correct" or the like is at `at`, and no condition behind it.
bool isCalledCorrect(std::string_view line, std::size_t at) {
    constexpr std::array<std::string_view, 4> kBehind = {"because", "since", "as", "for"};
    const std::string text = lowered(line.substr(at, 32));
    for (const std::string_view verb :
         {"is correct", "is right", "is the correct", "is the right", "is the best"}) {
        if (!text.starts_with(verb) || wordGoesOn(text, verb.size())) continue;
        std::size_t end = verb.size();
        for (const std::string_view noun : {" answer", " choice", " option", " one"})
            if (std::string_view(text).substr(end).starts_with(noun)) end += noun.size();
        if (!wordGoesOn(text, end) && endsAnswer(line, at + end, kBehind)) return true;
    }
    return false;
}

/// The letter that the text calls correct: "Option B is correct", "The correct choice is (B)".
/// Empty where it does so of several, or only in another's words.
template <typename Read>
std::string statedLetter(std::string_view text, int letters, Read read) {
    std::string stated;
    bool several = false, itself = false;
    const auto state = [&](std::string_view line, std::size_t at, const std::string& letter) {
        several = several || (!stated.empty() && stated != letter);
        itself = itself || saysItself(line, at);
        stated = letter;
    };
    for (std::size_t start = 0; start < text.size() && !several;) {
        const std::size_t end = lineEnd(text, start);
        const std::string_view line = text.substr(start, end - start);
        const std::string low = lowered(line);
        start = end + 1;
        for (std::size_t at = 0; at < line.size(); ++at)
            if (isLetterAt(line, at, letters) && !wordBefore(line, at) &&
                isCalledCorrect(line, skip(line, at + 1, kClosing)))
                state(line, at, std::string(1, line[at]));
        for (const std::string_view phrase : {"correct choice", "correct option", "right choice",
                                              "right option", "best choice", "best option"})
            for (std::size_t at = 0; (at = low.find(phrase, at)) != std::string::npos;) {
                const std::size_t before = at;
                at += phrase.size();
                std::size_t verb = skip(low, at, kMarks);
                const bool is = low.compare(verb, 4, " is ") == 0;
                if (!is && low.compare(verb, 1, ":") != 0) continue;
                verb += is ? 4 : 1;
                const Reading found = read(line, skip(line, verb, kOpening));
                if (!found.answer.empty()) state(line, before, found.answer);
            }
    }
    return several || !itself ? std::string() : stated;
}

}  // namespace

std::optional<ReadAnswer> readChoice(std::string_view text, std::span<const std::string> shown,
                                     bool cutOff) {
    const int letters = static_cast<int>(shown.size());
    const auto read = [&](std::string_view line, std::size_t at) -> Reading {
        // A letter by itself is one, also where a choice has that name.
        if (isLetterAt(line, at, letters) && lineEnds(line, at + 1))
            return {std::string(1, line[at]), at + 1};
        const auto named = [&](std::size_t from) {
            return letterNamed(line.substr(std::min(from, line.size())), shown);
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
    if (std::string stated = statedLetter(text, letters, read); !stated.empty())
        return ReadAnswer{std::move(stated), "stated"};
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
