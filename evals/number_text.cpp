// SPDX-License-Identifier: Apache-2.0
#include "evals/number_text.h"

#include <algorithm>

namespace moescope {

bool holdsDigits(std::string_view text) {
    return std::any_of(text.begin(), text.end(), isDigit);
}

namespace {

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

/// Whether a word for many ones follows: "20k", "1 million".
bool isScaled(std::string_view line, std::size_t at) {
    for (const std::string_view word :
         {"k", "thousand", "million", "billion", "trillion", "hundred", "dozen"})
        if (lowered(line.substr(std::min(at, line.size()), word.size())) == word &&
            !wordGoesOn(line, at + word.size()))
            return true;
    return false;
}

/// Whether the number that ends at `end` is only a part: of a sum, a fraction, a time, a power, a
/// range, a version, or of a larger one.
bool numberGoesOn(std::string_view line, std::size_t end) {
    const auto digitAt = [&](std::size_t i) { return i < line.size() && isDigit(line[i]); };
    if (digitAt(end) || (end < line.size() && line[end] == ',' && digitAt(end + 1))) return true;
    if (end + 1 < line.size() && (line[end] == 'e' || line[end] == 'E') &&
        (digitAt(end + 1) || ((line[end + 1] == '-' || line[end + 1] == '+') && digitAt(end + 2))))
        return true;
    if (end < line.size() && line[end] == '(') return true;
    if (end < line.size() && line[end] == '.' && digitAt(end + 1)) return true;  // 1.2.3
    for (const std::string_view part : {"\u00b2", "\u00b3", "\u00bc", "\u00bd", "\u00be"})
        if (line.substr(std::min(end, line.size())).starts_with(part)) return true;
    const std::size_t at = skip(line, end, kBlanks);
    if (digitAt(at) || isScaled(line, at)) return true;
    for (const std::string_view sign :
         {"+",      "-",      "*",      "/",      "^",       ":",      "=",
          "x",      "\u2212", "\u2010", "\u2011", "\u2013",  "\u2044", "\u2192",
          "\u00d7", "\u00f7", "\u00b7", "\u2022", "\\times", "\\cdot", "\\div"}) {
        if (!line.substr(at).starts_with(sign)) continue;
        const std::size_t next = skip(line, at + sign.size(), kOpening);
        if (digitAt(next)) return true;
    }
    return false;
}

/// The value that a member of a chain of equalities states: a number and, but for the `last`, no
/// more than its unit. Empty: none, or a calculation.
std::string valueOf(std::string_view member, bool last) {
    constexpr std::size_t kLongestUnit = 24;
    const Reading number = plainNumberAt(member, skip(member, 0, kOpening), true);
    if (number.answer.empty() || numberGoesOn(member, number.end)) return {};
    const std::string_view unit = member.substr(number.end);
    const bool whole = last || (unit.size() <= kLongestUnit && !holdsDigits(unit) &&
                                unit.find(')') == std::string_view::npos);
    return whole ? number.answer : std::string();
}

/// Whether the equal things of the line's last chain of equalities have different values: "12
/// dollars = 1200 cents".
bool statesSeveral(std::string_view line) {
    const std::size_t equals = line.rfind('=');
    if (equals == std::string_view::npos) return false;
    std::size_t start = 0;
    const auto beginBehind = [&](std::string_view end) {
        const std::size_t at = line.rfind(end, equals);
        const bool later = at != std::string_view::npos && at + end.size() > start;
        if (later) start = at + end.size();
        return later;
    };
    for (const std::string_view end : {". ", ", ", "; ", ": ", "(", " so ", " then ", " but "})
        beginBehind(end);
    bool begun = true;
    for (const std::string_view join : {" and ", " or "})  // "3 and 5 = 8": 5 is not the sum
        if (beginBehind(join)) begun = false;
    std::string value;
    for (bool last = false; !last;) {
        const std::size_t stop = line.find('=', start);
        last = stop == std::string_view::npos;
        const std::string stated = valueOf(line.substr(start, last ? stop : stop - start), last);
        if (begun && !value.empty() && !stated.empty() && stated != value) return true;
        if (begun && !stated.empty()) value = stated;
        begun = true;
        start = stop + 1;
    }
    return false;
}

/// Where the calculation ends that begins with the number `first`.
std::size_t calculationEnd(std::string_view line, const Reading& first, bool goesOn) {
    std::size_t stop = line.size();
    if (!goesOn)  // "7 (3 + 4 = 7)", "7, since 3 + 4 = 7"
        for (const std::string_view end : {"(", ";", ". ", ", "})
            stop = std::min(stop, line.find(end, first.end));
    return stop;
}

/// What a calculation comes to: the number behind the last "=" before `stop`, where it ends; empty
/// where there is none.
std::string resultOf(std::string_view line, const Reading& first, std::size_t stop) {
    const std::size_t equals = line.substr(0, stop).rfind('=');
    if (equals == std::string_view::npos || equals < first.end) return {};
    const Reading result = plainNumberAt(line, skip(line, equals + 1, kOpening), true);
    if (!result.answer.empty() && !numberGoesOn(line, result.end)) return result.answer;
    // "18 = 9 * 2": the result stands first.
    const bool alone = skip(line, first.end, kBlanks) == line.find('=');
    return alone ? first.answer : std::string();
}

/// The numbers of a text one by one: `found` is given each and where it begins. A minus directly
/// behind a word or a number is a dash or an operator.
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
        found(std::move(number.answer), start);
    }
}

struct Numbers {
    int count = 0;  ///< up to two
    std::string last;
    std::size_t lastStart = 0;
};

Numbers numbersOf(std::string_view text) {
    Numbers out;
    eachNumber(text, [&](std::string number, std::size_t start) {
        out.count = std::min(out.count + 1, 2);
        out.last = std::move(number);
        out.lastStart = start;
    });
    return out;
}

}  // namespace

Reading numberAt(std::string_view line, std::size_t at) {
    Reading first = plainNumberAt(line, at, true);
    if (first.answer.empty()) {
        // "Answer: Janet makes $18 a day": the only number of the line.
        const std::string_view rest = line.substr(std::min(at, line.size()));
        Numbers numbers = numbersOf(rest);
        if (numbers.count != 1 || lowered(rest).find("not ") != std::string::npos ||
            rest.find('\\') != std::string_view::npos)
            return {};
        return {std::move(numbers.last), line.size()};
    }
    const bool goesOn = numberGoesOn(line, first.end);
    const std::size_t stop = calculationEnd(line, first, goesOn);
    if (statesSeveral(line.substr(at, stop - at))) return {};
    std::string result = resultOf(line, first, stop);
    if (!result.empty()) return {std::move(result), line.size()};
    const auto digit = [&](std::size_t i) { return i < line.size() && isDigit(line[i]); };
    if (goesOn || isListed(line, first.end, digit)) return {};
    return first;
}

Reading onlyNumberAt(std::string_view line, std::size_t at) {
    Reading number = plainNumberAt(line, at, true);
    return lineEnds(line, number.end) ? number : Reading{};
}

std::string lastNumber(std::string_view text) {
    Numbers numbers = numbersOf(text);
    if (numbers.count == 0) return {};
    const std::size_t start = text.rfind('\n', numbers.lastStart) + 1;  // npos + 1 is 0
    if (statesSeveral(text.substr(start, lineEnd(text, start) - start))) return {};
    return std::move(numbers.last);
}

}  // namespace moescope
