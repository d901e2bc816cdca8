// SPDX-License-Identifier: Apache-2.0
// detectable_content: and detectable_format:, what a reply holds and how it is set. Where IFEval
// matches a regular expression, it stands in the comment.
#include <nlohmann/json.hpp>

#include "evals/instructions/instruction.h"

namespace moescope::instructions {

namespace {

bool startsLine(Text text, std::size_t at) {
    return at == 0 || text[at - 1] == U'\n';
}

std::size_t nextLine(Text text, std::size_t at) {
    const std::size_t end = lineEnd(text, at);
    return end < text.size() ? end + 1 : Text::npos;
}

/// Where white space that begins a line ends.
std::size_t skipSpace(Text text, std::size_t at) {
    while (at < text.size() && isSpace(text[at])) ++at;
    return at;
}

/// Matches of ^\s*MARK.*$ or, where `another` may not follow the mark, of ^\s*MARK[^MARK].*$, in
/// several lines: the character behind the mark may be a line end, and a match takes the rest of
/// its line.
std::size_t linesMarked(Text text, char32_t mark, bool notTwice) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size();) {
        if (!startsLine(text, at)) {
            at = nextLine(text, at);
            continue;
        }
        const std::size_t start = skipSpace(text, at);
        std::size_t next = start + 1;
        if (start == text.size()) break;
        const bool follows = !notTwice || (next < text.size() && text[next] != mark);
        if (text[start] == mark && follows) {
            ++count;
            if (notTwice) ++next;
            at = lineEnd(text, next);
        } else {
            at = nextLine(text, start);
        }
    }
    return count;
}

/// Matches of MARKS[^\n*]*MARKS that hold more than white space; a match begins behind the former.
std::size_t highlights(Text text, Text marks) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(marks, at)) != Text::npos;) {
        const std::size_t inside = at + marks.size();
        const std::size_t end = std::min(text.find_first_of(U"*\n", inside), text.size());
        if (!text.substr(end).starts_with(marks)) {
            ++at;
            continue;
        }
        if (!isBlank(text.substr(inside, end - inside))) ++count;
        at = end + marks.size();
    }
    return count;
}

/// Whether `marks` stand somewhere in this order, with at most one space between two.
bool spaced(Text text, std::span<const Text> marks) {
    for (std::size_t at = 0; (at = text.find(marks[0], at)) != Text::npos; ++at) {
        std::size_t end = at + marks[0].size();
        std::size_t found = 1;
        for (; found < marks.size(); ++found) {
            if (end < text.size() && isSpace(text[end])) ++end;
            if (!text.substr(end).starts_with(marks[found])) break;
            end += marks[found].size();
        }
        if (found == marks.size()) return true;
    }
    return false;
}

bool dropPrefix(Text& text, Text prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

Verdict atLeast(std::size_t actual, const Arguments& arguments, std::string_view count) {
    return verdictOf(static_cast<std::int64_t>(actual) >= arguments.count(count));
}

}  // namespace

/// \[.*?\]
Verdict numberPlaceholders(Text reply, const Arguments& arguments) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = reply.find(U'[', at)) != Text::npos;) {
        const std::size_t end = reply.find_first_of(U"]\n", at);
        if (end == Text::npos) break;
        if (reply[end] == U']') ++count;
        at = end + 1;
    }
    return atLeast(count, arguments, "num_placeholders");
}

/// "P.S." and "P.P.S" with a space between their letters or none; of other markers the text.
Verdict postscript(Text reply, const Arguments& arguments) {
    const std::u32string low = lowered(reply);
    const std::u32string& marker = arguments.text("postscript_marker");
    if (marker == U"P.S.") return verdictOf(spaced(low, std::array<Text, 2>{U"p.", U"s."}));
    if (marker == U"P.P.S") return verdictOf(spaced(low, std::array<Text, 3>{U"p.", U"p.", U"s"}));
    return verdictOf(low.find(lowered(marker)) != Text::npos);
}

/// Exactly so many matches of ^\s*\*[^\*].*$ and ^\s*-.*$
Verdict numberBulletLists(Text reply, const Arguments& arguments) {
    const std::size_t count = linesMarked(reply, U'*', true) + linesMarked(reply, U'-', false);
    return verdictOf(static_cast<std::int64_t>(count) == arguments.count("num_bullets"));
}

Verdict constrainedResponse(Text reply, const Arguments&) {
    for (const Text option : {U"My answer is yes.", U"My answer is no.", U"My answer is maybe."})
        if (reply.find(option) != Text::npos) return Verdict::Followed;
    return Verdict::NotFollowed;
}

/// \*[^\n\*]*\* and \*\*[^\n\*]*\*\* that hold something.
Verdict numberHighlightedSections(Text reply, const Arguments& arguments) {
    return atLeast(highlights(reply, U"*") + highlights(reply, U"**"), arguments, "num_highlights");
}

/// The splitter with a number behind it, between them at most one space.
Verdict multipleSections(Text reply, const Arguments& arguments) {
    const std::u32string& splitter = arguments.text("section_spliter");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = reply.find(splitter, at)) != Text::npos;) {
        std::size_t end = at + splitter.size();
        if (end < reply.size() && isSpace(reply[end])) ++end;
        const std::size_t number = end;
        while (end < reply.size() && isDigit(reply[end])) ++end;
        if (end > number) ++count;
        at = end > number ? end : at + 1;
    }
    return atLeast(count, arguments, "num_sections");
}

/// JSON as RFC 8259 has it, with or without Markdown's fence around it.
Verdict jsonFormat(Text reply, const Arguments&) {
    Text text = stripped(reply);
    for (const Text fence : {U"```json", U"```Json", U"```JSON", U"```"}) dropPrefix(text, fence);
    if (text.ends_with(U"```")) text.remove_suffix(3);
    // The parser takes a NUL for the end of its input.
    return verdictOf(text.find(U'\0') == Text::npos &&
                     nlohmann::json::accept(encoded(stripped(text))));
}

/// <<[^\n]+>>, not of angles and white space alone.
Verdict title(Text reply, const Arguments&) {
    for (std::size_t at = 0; (at = reply.find(U"<<", at)) != Text::npos;) {
        const std::size_t end = lineEnd(reply, at);
        Text line = reply.substr(at, end - at);
        const std::size_t close = line.rfind(U">>");
        at = end;
        if (close == Text::npos || close < 3) continue;
        line = line.substr(0, close);
        while (line.starts_with(U'<')) line.remove_prefix(1);
        while (line.ends_with(U'>')) line.remove_suffix(1);
        if (!isBlank(line)) return Verdict::Followed;
    }
    return Verdict::NotFollowed;
}

}  // namespace moescope::instructions
