// SPDX-License-Identifier: Apache-2.0
// TruthfulQA (Lin et al. 2022): the published CSV to MC1, the best answer against the false ones.
#include <algorithm>

#include "datasets/derivation.h"
#include "engine/core/error.h"

namespace moescope {

/// Adds `options.0`, ...: the false answers, then the best one (last, so that a tie is no success),
/// and `answer` (its label). Answers are separated by ';'.
std::string deriveTruthfulqa(FieldMap& fields, const SideTables&, const std::string& place) {
    constexpr std::size_t kMostChoices = 26;
    const std::string all = requiredField(fields, "Incorrect Answers", place);
    const std::string best = trimmed(requiredField(fields, "Best Answer", place));
    std::size_t count = 0;
    const auto add = [&](std::string text) {
        if (count == kMostChoices) throw Error(place + ": there are more than 26 answers");
        fields["options." + std::to_string(count++)] = std::move(text);
    };
    for (std::size_t at = 0; at <= all.size();) {
        const std::size_t end = std::min(all.find(';', at), all.size());
        std::string answer = trimmed(std::string_view(all).substr(at, end - at));
        at = end + 1;
        if (answer == best) throw Error(place + ": the best answer is among the incorrect ones");
        if (!answer.empty()) add(std::move(answer));
    }
    if (count == 0 || best.empty()) return "there is no best or no incorrect answer";
    add(best);
    fields["answer"] = choiceLabel(count - 1);
    return {};
}

}  // namespace moescope
