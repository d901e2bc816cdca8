// SPDX-License-Identifier: Apache-2.0
// Parser and renderer of suite templates.
#include "datasets/text_template.h"

#include <algorithm>

#include "datasets/suggest.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

char lowerAscii(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
char upperAscii(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string toSpaces(std::string s) {
    std::replace(s.begin(), s.end(), '_', ' ');
    return s;
}
std::string toLower(std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), lowerAscii);
    return s;
}
std::string toUpper(std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), upperAscii);
    return s;
}
std::string toTrimmed(std::string s) {
    return trimmed(s);
}
std::string toCapital(std::string s) {
    if (!s.empty()) s[0] = upperAscii(s[0]);
    return s;
}
std::string withoutLastLine(std::string s) {
    s.resize(std::min(s.rfind('\n'), s.size()));
    return s;
}

constexpr std::pair<std::string_view, std::string (*)(std::string)> kFilters[] = {
    {"spaces", toSpaces}, {"lower", toLower},     {"upper", toUpper},
    {"trim", toTrimmed},  {"capital", toCapital}, {"but_last_line", withoutLastLine},
};

}  // namespace

std::string trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

TextTemplate::Filter TextTemplate::filterNamed(std::string_view name, const std::string& origin) {
    std::vector<std::string> known;
    for (const auto& [text, filter] : kFilters) {
        if (text == name) return filter;
        known.emplace_back(text);
    }
    throw Error(origin + ": unknown template filter '" + std::string(name) + "'" +
                didYouMean(name, known));
}

TextTemplate::Part TextTemplate::parseField(std::string_view inside,
                                            const std::string& origin) const {
    Part part;
    part.field = true;
    std::size_t bar = std::min(inside.find('|'), inside.size());
    part.text = std::string(inside.substr(0, bar));
    if (part.text.empty()) throw Error(origin + ": a template has an empty field name");
    while (bar < inside.size()) {
        inside = inside.substr(bar + 1);
        bar = std::min(inside.find('|'), inside.size());
        part.filters.push_back(filterNamed(inside.substr(0, bar), origin));
    }
    return part;
}

TextTemplate::TextTemplate(std::string_view source, const std::string& origin) : source_(source) {
    std::string literal;
    const auto flush = [&] {
        if (!literal.empty()) parts_.push_back(Part{literal, false, {}});
        literal.clear();
    };
    for (std::size_t i = 0; i < source.size(); ++i) {
        const char c = source[i];
        const bool doubled = i + 1 < source.size() && source[i + 1] == c;
        if ((c == '{' || c == '}') && doubled) {
            literal += c;
            ++i;
        } else if (c == '{') {
            const std::size_t close = source.find_first_of("{}", i + 1);
            if (close == std::string_view::npos || source[close] == '{')
                throw Error(origin +
                            ": a template has '{' without '}' (write '{{' for the character)");
            flush();
            parts_.push_back(parseField(source.substr(i + 1, close - i - 1), origin));
            i = close;
        } else if (c == '}') {
            throw Error(origin + ": a template has '}' without '{' (write '}}' for the character)");
        } else {
            literal += c;
        }
    }
    flush();
}

std::string TextTemplate::render(const FieldMap& fields, const std::string& place) const {
    std::string out;
    for (const Part& part : parts_) {
        if (!part.field) {
            out += part.text;
            continue;
        }
        const auto found = fields.find(part.text);
        if (found == fields.end()) {
            std::vector<std::string> known;
            for (const auto& [name, value] : fields) known.push_back(name);
            throw Error(place + ": there is no field '" + part.text + "'" +
                        didYouMean(part.text, known));
        }
        std::string value = found->second;
        for (const Filter filter : part.filters) value = filter(std::move(value));
        out += value;
    }
    return out;
}

}  // namespace moescope
