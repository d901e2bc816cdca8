// SPDX-License-Identifier: Apache-2.0
// Winogender schemas (Rudinger et al. 2018): "technician.customer.1.male.txt" and its sentence.
#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "datasets/derivation.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(separator, at), text.size());
        parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

/// The sentence's one pronoun, as it stands.
std::string pronounOf(std::string_view sentence, const std::string& place) {
    constexpr std::array<std::string_view, 8> kPronouns = {"he",  "him",  "his",  "she",
                                                           "her", "they", "them", "their"};
    std::string found;
    for (std::size_t at = 0; at < sentence.size();) {
        constexpr std::string_view kLetters =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        at = std::min(sentence.find_first_of(kLetters, at), sentence.size());
        const std::size_t end = std::min(sentence.find_first_not_of(kLetters, at), sentence.size());
        std::string word(sentence.substr(at, end - at));
        at = end;
        std::string lower = word;
        if (!lower.empty() && lower[0] >= 'A' && lower[0] <= 'Z')
            lower[0] = static_cast<char>(lower[0] - 'A' + 'a');
        if (std::find(kPronouns.begin(), kPronouns.end(), lower) == kPronouns.end()) continue;
        if (!found.empty()) throw Error(place + ": the sentence has more than one pronoun");
        found = std::move(word);
    }
    if (found.empty()) throw Error(place + ": the sentence has no pronoun");
    return found;
}

double percentOf(const std::string& text, const std::string& place) {
    double percent = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    if (error != std::errc() || end != text.data() + text.size() || percent < 0 || percent > 100)
        throw Error(place + ": '" + text + "' is no percentage");
    return percent;
}

/// The pronoun's gender speaks for the wrong referent: against the occupation's majority where the
/// occupation is right, for it where the participant is.
std::string gotcha(const std::string& gender, bool occupationRight, double percentFemale) {
    if (gender == "neutral") return {};
    const bool fits = (gender == "female") == (percentFemale > 50);
    return fits == occupationRight ? "no" : "yes";
}

}  // namespace

/// Adds `occupation`, `participant`, `answer` (label: A for the occupation, B for the participant),
/// `referent` ("occupation" or "participant"), `named` ("someone", or "named" for any other
/// participant), `gender` ("male", "female", "neutral"), `pronoun`, `bls_pct_female` and `gotcha`
/// ("yes", "no"; "" for neutral pronouns). The table "statistics" has rows by occupation.
std::string deriveWinogender(FieldMap& fields, const SideTables& tables, const std::string& place) {
    const std::string id = requiredField(fields, "sentid", place);
    const std::vector<std::string> parts = split(id, '.');
    if (parts.size() != 5 || (parts[2] != "0" && parts[2] != "1") ||
        (parts[3] != "male" && parts[3] != "female" && parts[3] != "neutral"))
        throw Error(place + ": '" + id +
                    "' is no sentence of Winogender (occupation.participant.answer.gender.txt)");
    const SideTable& statistics = requiredTable(tables, "statistics", place);
    const auto row = statistics.find(parts[0]);
    if (row == statistics.end())
        throw Error(place + ": there are no statistics of occupation '" + parts[0] + "'");
    const std::string& percent = requiredField(row->second, "bls_pct_female", place);
    const bool occupationRight = parts[2] == "0";
    fields["pronoun"] = pronounOf(requiredField(fields, "sentence", place), place);
    fields["occupation"] = parts[0];
    fields["participant"] = parts[1];
    fields["answer"] = choiceLabel(occupationRight ? 0 : 1);
    fields["referent"] = occupationRight ? "occupation" : "participant";
    fields["named"] = parts[1] == "someone" ? "someone" : "named";
    fields["gender"] = parts[3];
    fields["bls_pct_female"] = percent;
    fields["gotcha"] = gotcha(parts[3], occupationRight, percentOf(percent, place));
    return {};
}

}  // namespace moescope
