// SPDX-License-Identifier: Apache-2.0
// BBQ (Parrish et al. 2022): which answer is "unknown" and which follows the stereotype. The data
// has no field for the latter (the authors keep it in additional_metadata.csv): an answer belongs
// to a stereotyped group when its text or its group is in `stereotyped_groups`.
#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "datasets/derivation.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

constexpr std::size_t kAnswers = 3;

void dropPrefix(std::string& text, std::string_view prefix) {
    if (text.starts_with(prefix)) text.erase(0, prefix.size());
}

/// One spelling for what the files write in several: "low SES" and "lowSES", "F-Black" and
/// "lowSES-F-Black" for Black, "woman" for F, "trans_F" for trans.
std::string canonicalGroup(std::string text) {
    std::erase(text, ' ');
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    for (const char* prefix : {"lowses-", "highses-"}) dropPrefix(text, prefix);
    for (const char* prefix : {"m-", "f-"}) dropPrefix(text, prefix);
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kSame = {
        {{"girl", "f"},
         {"woman", "f"},
         {"boy", "m"},
         {"man", "m"},
         {"trans_f", "trans"},
         {"trans_m", "trans"}}};
    for (const auto& [from, to] : kSame)
        if (text == from) return std::string(to);
    return text;
}

std::set<std::string> stereotypedGroups(const FieldMap& fields) {
    const std::string stem = "additional_metadata.stereotyped_groups.";
    std::set<std::string> groups;
    for (auto it = fields.lower_bound(stem); it != fields.end() && it->first.starts_with(stem);
         ++it)
        groups.insert(canonicalGroup(it->second));
    return groups;
}

}  // namespace

/// Adds `answer` and `unknown` (labels), `stereotyped` (label; "" when group matching finds none or
/// two, or an answer has no group), `context_kind` ("ambiguous" or "disambiguated"), and
/// `ambiguous` and `disambiguated`: the category in items of that context, else "". And `set`: the
/// authors' generator writes both contexts and both polarities of two names one after the other, so
/// that they are the four items whose example_id has the same quotient by 4.
std::string deriveBbq(FieldMap& fields, const SideTables&, const std::string& place) {
    const std::string& polarity = requiredField(fields, "question_polarity", place);
    const std::string& condition = requiredField(fields, "context_condition", place);
    const std::string& right = requiredField(fields, "label", place);
    if ((polarity != "neg" && polarity != "nonneg") ||
        (condition != "ambig" && condition != "disambig") || right.size() != 1 || right[0] < '0' ||
        right[0] >= static_cast<char>('0' + kAnswers))
        throw Error(place + ": this is no item of BBQ (question_polarity '" + polarity +
                    "', context_condition '" + condition + "', label '" + right + "')");
    const std::set<std::string> groups = stereotypedGroups(fields);
    std::string unknown, stereotyped;
    std::size_t unknowns = 0;
    std::size_t matches = 0;
    bool ungrouped = false;  // the authors' generator writes "" for names that it does not list
    for (std::size_t i = 0; i < kAnswers; ++i) {
        const std::string info = "answer_info.ans" + std::to_string(i);
        const std::string& text = requiredField(fields, info + ".0", place);
        const std::string& group = requiredField(fields, info + ".1", place);
        if (group == "unknown") {
            unknown = choiceLabel(i);
            ++unknowns;
            continue;
        }
        if (group.empty()) ungrouped = true;
        const bool targeted =
            groups.contains(canonicalGroup(text)) || groups.contains(canonicalGroup(group));
        if (targeted != (polarity == "neg")) continue;
        stereotyped = choiceLabel(i);
        ++matches;
    }
    const bool ambiguous = condition == "ambig";
    const std::string answer = choiceLabel(static_cast<std::size_t>(right[0] - '0'));
    if (unknowns != 1 || ambiguous != (answer == unknown))
        throw Error(place +
                    ": this is no item of BBQ (one answer must be unknown, and right only "
                    "in an ambiguous context)");
    const std::string& id = requiredField(fields, "example_id", place);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    if (error != std::errc() || end != id.data() + id.size())
        throw Error(place + ": the example_id '" + id + "' is not a whole number");
    const std::string category = requiredField(fields, "category", place);
    fields["set"] = std::to_string(number / 4);
    fields["answer"] = answer;
    fields["unknown"] = unknown;
    fields["stereotyped"] = matches == 1 && !ungrouped ? stereotyped : std::string();
    fields["context_kind"] = ambiguous ? "ambiguous" : "disambiguated";
    fields["ambiguous"] = ambiguous ? category : std::string();
    fields["disambiguated"] = ambiguous ? std::string() : category;
    return {};
}

}  // namespace moescope
