// SPDX-License-Identifier: Apache-2.0
// Plain scanning instead of std::regex, whose recursion a long reply overflows.
#include "evals/reply_readers.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "datasets/suggest.h"
#include "datasets/text_template.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

bool isDigit(char c) {
    return c >= '0' && c <= '9';
}

bool isWordCharacter(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0 || c == '_';
}

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// What white space, Markdown and LaTeX put before an answer.
std::size_t skipDecoration(std::string_view text, std::size_t at) {
    for (;;) {
        at = std::min(text.find_first_not_of(" \t\r\n*_\"'`([{$\\", at), text.size());
        bool more = false;
        for (const std::string_view wrapper : {"boxed{", "text{", "textbf{", "mathrm{"}) {
            if (!text.substr(at).starts_with(wrapper)) continue;
            at += wrapper.size();
            more = true;
        }
        if (!more) return at;
    }
}

/// Where what may be an answer begins, behind each "answer:" and "answer is", first to last.
std::vector<std::size_t> markedPlaces(std::string_view reply) {
    const std::string text = lowered(reply);
    constexpr std::string_view kMarker = "answer";
    std::vector<std::size_t> places;
    for (std::size_t at = 0; (at = text.find(kMarker, at)) != std::string::npos;) {
        const bool word = at == 0 || !isWordCharacter(text[at - 1]);
        at += kMarker.size();
        if (!word) continue;
        std::size_t next = std::min(text.find_first_not_of(" \t*_", at), text.size());
        if (text.compare(next, 3, "is ") == 0 || text.compare(next, 3, "is:") == 0)
            next = std::min(text.find_first_not_of(" \t*_", next + 2), text.size());
        else if (next == text.size() || text[next] != ':')
            continue;
        if (next < text.size() && text[next] == ':') ++next;
        places.push_back(skipDecoration(reply, next));
    }
    return places;
}

std::vector<std::size_t> placesBehind(std::string_view reply, std::string_view opening) {
    std::vector<std::size_t> places;
    for (std::size_t at = 0; (at = reply.find(opening, at)) != std::string_view::npos;) {
        at += opening.size();
        places.push_back(skipDecoration(reply, at));
    }
    return places;
}

/// What `parse` makes of the last place where it makes anything of it.
template <typename Parse>
std::optional<ReadAnswer> lastOf(const std::vector<std::size_t>& places, std::string_view rule,
                                 Parse parse) {
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
        std::string answer = parse(*place);
        if (!answer.empty()) return ReadAnswer{std::move(answer), rule};
    }
    return std::nullopt;
}

/// The letter at `at`, standing alone; "" when there is none. "A" and "I" before another word are
/// words themselves.
std::string letterAt(std::string_view text, std::size_t at, int letters) {
    if (at >= text.size() || text[at] < 'A' || text[at] >= 'A' + letters) return {};
    const std::size_t behind = at + 1;
    if (behind < text.size() && isWordCharacter(text[behind])) return {};
    const std::size_t next = std::min(text.find_first_not_of(" \t", behind), text.size());
    const bool article = text[at] == 'A' || text[at] == 'I';
    if (article && next > behind && next < text.size() && isWordCharacter(text[next])) return {};
    return std::string(1, text[at]);
}

std::string yesNoAt(std::string_view text, std::size_t at) {
    for (const std::string_view word : {"yes", "no"}) {
        if (lowered(text.substr(std::min(at, text.size()), word.size())) != word) continue;
        const std::size_t end = at + word.size();
        if (end >= text.size() || !isWordCharacter(text[end])) return std::string(word);
    }
    return {};
}

/// The decimal number at `at` in canonical form; "" when there is none. `end`: behind it. Commas
/// count where three digits follow.
std::string numberAt(std::string_view text, std::size_t at, std::size_t& end) {
    std::string whole, fraction;
    bool negative = false;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) negative = text[at++] == '-';
    if (at < text.size() && text[at] == '$') ++at;
    const auto digitAt = [&](std::size_t i) { return i < text.size() && isDigit(text[i]); };
    while (digitAt(at)) {
        whole += text[at++];
        const bool thousands = at < text.size() && text[at] == ',' && digitAt(at + 1) &&
                               digitAt(at + 2) && digitAt(at + 3) && !digitAt(at + 4);
        if (thousands) ++at;
    }
    if (at < text.size() && text[at] == '.' && digitAt(at + 1))
        for (++at; digitAt(at);) fraction += text[at++];
    end = at;
    if (whole.empty() && fraction.empty()) return {};
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    if (whole.empty()) whole = "0";
    const bool zero = whole == "0" && fraction.empty();
    return (negative && !zero ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
}

std::string numberAt(std::string_view text, std::size_t at) {
    std::size_t end = 0;
    return numberAt(text, at, end);
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
        if (start > 0 && text[start - 1] == '$') --start;
        const bool minus = start > 0 && text[start - 1] == '-' &&
                           (start == 1 || !isWordCharacter(text[start - 2]));
        if (minus) --start;
        last = numberAt(text, start, at);
    }
    return last;
}

void checkLetters(const SuiteDefinition& suite) {
    const bool choices = !suite.choices.list.empty() || !suite.choices.each.empty();
    if (!choices || suite.target.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring + " needs choices and a target");
}

void checkYesNoReply(const SuiteDefinition& suite) {
    if (suite.favourable.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring + " needs favourable");
}

void checkNumber(const SuiteDefinition& suite) {
    if (suite.target.empty() || !suite.choices.list.empty() || !suite.choices.each.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring +
                    " needs a target that holds a number, and no choices");
}

std::string expectedChoice(const SuiteItem& item) {
    return item.choices[static_cast<std::size_t>(item.target)];
}

std::string expectedNothing(const SuiteItem&) {
    return {};
}

std::string expectedNumber(const SuiteItem& item) {
    const std::optional<ReadAnswer> number = readNumber(item.expected, false);
    if (!number) throw Error("item '" + item.id + "': its target holds no number");
    return number->text;
}

ItemScore scoreOf(const std::optional<ReadAnswer>& read, std::string answer, std::string target) {
    ItemScore out;
    out.answer = std::move(answer);
    out.target = std::move(target);
    out.detail = {{"answered", read.has_value()}};
    if (read) out.detail["read_by"] = read->rule;
    return out;
}

/// Whether lines of the reply begin with several letters: it repeats the choices, and answers
/// nothing.
bool listsChoices(std::string_view reply, int letters) {
    std::string seen;
    for (std::size_t at = 0; at < reply.size();) {
        const std::size_t end = std::min(reply.find('\n', at), reply.size());
        const std::string letter =
            letterAt(reply, skipDecoration(reply.substr(0, end), at), letters);
        if (!letter.empty() && seen.find(letter) == std::string::npos) seen += letter;
        at = end + 1;
    }
    return seen.size() > 1;
}

/// The choice that is the reply, or is behind the last marker, word for word; -1: none.
int choiceNamed(const SuiteItem& item, std::string_view reply) {
    const auto plain = [](std::string_view text) {
        std::string out = lowered(trimmed(text));
        while (!out.empty() && (out.back() == '.' || out.back() == '*')) out.pop_back();
        return out;
    };
    const std::vector<std::size_t> marked = markedPlaces(reply);
    std::vector<std::string> said = {plain(reply)};
    if (!marked.empty()) {
        const std::string_view rest = reply.substr(marked.back());
        said.push_back(plain(rest.substr(0, rest.find('\n'))));
    }
    for (const std::string& text : said)
        for (std::size_t i = 0; i < item.choices.size(); ++i)
            if (!text.empty() && text == plain(item.choices[i])) return static_cast<int>(i);
    return -1;
}

ItemScore judgeLetter(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                      bool cutOff) {
    std::optional<ReadAnswer> read =
        readLetter(reply, static_cast<int>(item.choices.size()), cutOff);
    int index = -1;
    if (read) {
        index = read->text[0] - 'A';
        if (!item.order.empty()) index = item.order[static_cast<std::size_t>(index)];
    } else if (!cutOff) {
        index = choiceNamed(item, reply);
        if (index >= 0) read = ReadAnswer{{}, "named"};
    }
    ItemScore out =
        scoreOf(read, index < 0 ? std::string() : item.choices[static_cast<std::size_t>(index)],
                expectedChoice(item));
    out.score = index == item.target ? 1 : 0;
    out.detail["answer_index"] = index;
    out.detail["target_index"] = item.target;
    out.detail["right"] = index == item.target;
    return out;
}

ItemScore judgeYesNoReply(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                          bool cutOff) {
    const std::optional<ReadAnswer> read = readYesNo(reply, cutOff);
    ItemScore out = scoreOf(read, read ? read->text : std::string(), {});
    out.score = read && read->text == item.favourable ? 1 : 0;
    out.detail["favourable"] = item.favourable;
    return out;
}

ItemScore judgeNumber(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                      bool cutOff) {
    const std::optional<ReadAnswer> read = readNumber(reply, cutOff);
    ItemScore out = scoreOf(read, read ? read->text : std::string(), expectedNumber(item));
    out.score = read && out.answer == out.target ? 1 : 0;
    out.detail["right"] = out.score > 0;
    return out;
}

constexpr ReplyReader kReaders[] = {
    {"choice_reply", "the letter of a choice, read from a written reply", checkLetters,
     expectedChoice, judgeLetter},
    {"yes_no_reply", "yes or no, read from a written reply", checkYesNoReply, expectedNothing,
     judgeYesNoReply},
    {"number_reply", "a number, read from a written reply", checkNumber, expectedNumber,
     judgeNumber},
};

}  // namespace

std::span<const ReplyReader> replyReaders() {
    return kReaders;
}

const ReplyReader& replyReaderFor(const SuiteDefinition& suite) {
    std::vector<std::string> known;
    for (const ReplyReader& reader : kReaders) {
        if (reader.name == suite.scoring) {
            reader.check(suite);
            return reader;
        }
        known.emplace_back(reader.name);
    }
    throw Error("suite '" + suite.name + "': unknown scoring of replies '" + suite.scoring + "'" +
                didYouMean(suite.scoring, known));
}

std::optional<ReadAnswer> readLetter(std::string_view reply, int letters, bool cutOff) {
    const auto at = [&](std::size_t place) { return letterAt(reply, place, letters); };
    if (auto read = lastOf(markedPlaces(reply), "marker", at)) return read;
    if (cutOff) return std::nullopt;
    if (auto read = lastOf(placesBehind(reply, "\\boxed{"), "box", at)) return read;
    const std::size_t first = skipDecoration(reply, 0);
    const std::string letter = at(first);
    if (letter.empty() || listsChoices(reply, letters)) return std::nullopt;
    // "A cat ..." is a sentence; "A", "**A**" and "A. a cat" are answers.
    std::size_t behind = first + 1;
    behind = std::min(reply.find_first_not_of("*_\"'`]}$", behind), reply.size());
    const bool ended = behind == reply.size() ||
                       reply.find_first_not_of(" \t\r\n*.", behind) == std::string_view::npos;
    const bool set = behind < reply.size() &&
                     std::string_view(".):\n").find(reply[behind]) != std::string_view::npos;
    if (!ended && !set) return std::nullopt;
    return ReadAnswer{letter, "whole"};
}

std::optional<ReadAnswer> readYesNo(std::string_view reply, bool cutOff) {
    const auto at = [&](std::size_t place) { return yesNoAt(reply, place); };
    if (auto read = lastOf(markedPlaces(reply), "marker", at)) return read;
    if (cutOff) return std::nullopt;
    std::string word = at(skipDecoration(reply, 0));
    if (word.empty()) return std::nullopt;
    return ReadAnswer{std::move(word), "whole"};
}

std::optional<ReadAnswer> readNumber(std::string_view reply, bool cutOff) {
    const auto at = [&](std::size_t place) { return numberAt(reply, place); };
    if (auto read = lastOf(placesBehind(reply, "####"), "hashes", at)) return read;
    if (auto read = lastOf(markedPlaces(reply), "marker", at)) return read;
    if (cutOff) return std::nullopt;
    if (auto read = lastOf(placesBehind(reply, "\\boxed{"), "box", at)) return read;
    std::string last = lastNumber(reply);
    if (last.empty()) return std::nullopt;
    return ReadAnswer{std::move(last), "last"};
}

}  // namespace moescope
