// SPDX-License-Identifier: Apache-2.0
// WinoBias (Zhao et al. 2018): "12 [The developer] argued with the designer because [she] ...".
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

#include "datasets/derivation.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

struct Marked {
    std::string text;                   ///< without the brackets
    std::vector<std::string> mentions;  ///< what stood in them
};

Marked withoutBrackets(std::string_view sentence) {
    Marked out;
    bool inside = false;
    for (const char c : sentence) {
        if (c == '[' || c == ']') {
            inside = c == '[';
            if (inside) out.mentions.emplace_back();
            continue;
        }
        out.text += c;
        if (inside) out.mentions.back() += c;
    }
    return out;
}

/// Where the word stands as a whole word, whatever the case of its letters; npos when nowhere.
std::size_t findWord(std::string_view text, std::string_view word) {
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    const auto letter = [&](std::size_t at) {
        return at < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0;
    };
    for (std::size_t at = 0; at + word.size() <= text.size(); ++at) {
        const bool same = std::equal(word.begin(), word.end(), text.begin() + static_cast<long>(at),
                                     [&](char a, char b) { return lower(a) == lower(b); });
        if (same && !letter(at + word.size()) && (at == 0 || !letter(at - 1))) return at;
    }
    return std::string_view::npos;
}

/// In the order of the text.
std::vector<std::string> occupationsIn(std::string_view text, const SideTables& tables,
                                       const std::string& place) {
    std::vector<std::pair<std::size_t, std::string>> found;
    for (const char* list : {"male", "female"})
        for (const auto& [occupation, row] : requiredTable(tables, list, place))
            if (const std::size_t at = findWord(text, occupation); at != std::string_view::npos)
                found.emplace_back(at, occupation);
    std::sort(found.begin(), found.end());
    std::vector<std::string> names;
    for (auto& [at, occupation] : found) names.push_back(std::move(occupation));
    return names;
}

/// What the file's name says: "pro_stereotyped_type1.txt.dev".
void addFileFields(FieldMap& fields, const std::string& place) {
    const std::string name = requiredField(fields, "_file", place);
    for (const char* side : {"pro", "anti"})
        for (const char* type : {"type1", "type2"})
            for (const char* split : {"dev", "test"}) {
                if (name != std::string(side) + "_stereotyped_" + type + ".txt." + split) continue;
                fields["stereotype"] = side;
                fields["type"] = type;
                fields["split"] = split;
                fields["type1"] = std::string_view(type) == "type1" ? side : "";
                fields["type2"] = std::string_view(type) == "type2" ? side : "";
                return;
            }
    throw Error(place + ": '" + name + "' is no file of WinoBias");
}

}  // namespace

/// Adds `sentence` (without brackets), `pronoun`, `first` and `second` (the occupations, in the
/// order of the text), `answer` (label of the one that the pronoun stands for), `number` (of the
/// line), `pair` (lines 1 and 2 are pair 1: two sentences about the same two people), `parity`
/// ("odd" or "even") and, from the file's name, `stereotype` ("pro" or "anti"), `type`, `split`,
/// and `type1` and `type2`: `stereotype` in sentences of that type, else "". The tables "male" and
/// "female" have the occupations as keys.
std::string deriveWinobias(FieldMap& fields, const SideTables& tables, const std::string& place) {
    addFileFields(fields, place);
    const std::string& line = requiredField(fields, "line", place);
    const std::size_t space = line.find(' ');
    unsigned number = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error != std::errc() || space == std::string::npos || end != line.data() + space ||
        number == 0)
        throw Error(place + ": a line of WinoBias begins with its number and a space");
    const Marked marked = withoutBrackets(std::string_view(line).substr(space + 1));
    if (marked.mentions.size() != 2) return "the sentence has not exactly two bracketed mentions";
    const std::vector<std::string> both = occupationsIn(marked.text, tables, place);
    const std::vector<std::string> right = occupationsIn(marked.mentions[0], tables, place);
    constexpr std::array<std::string_view, 6> kPronouns = {"he",  "him", "his",
                                                           "she", "her", "hers"};
    if (both.size() != 2 || right.size() != 1)
        return "the sentence has not exactly two occupations of the lists, one of them bracketed";
    if (std::find(kPronouns.begin(), kPronouns.end(), marked.mentions[1]) == kPronouns.end())
        return "the second bracketed mention is no pronoun";
    fields["sentence"] = marked.text;
    fields["pronoun"] = marked.mentions[1];
    fields["first"] = both[0];
    fields["second"] = both[1];
    fields["answer"] = choiceLabel(right[0] == both[0] ? 0 : 1);
    fields["number"] = std::to_string(number);
    fields["pair"] = std::to_string((number + 1) / 2);
    fields["parity"] = number % 2 == 1 ? "odd" : "even";
    return {};
}

}  // namespace moescope
