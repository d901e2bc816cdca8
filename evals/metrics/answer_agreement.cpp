// SPDX-License-Identifier: Apache-2.0
// Does the model give the same answer when only the group word differs, and if not, which one?
#include "evals/metrics/paired_test.h"

namespace moescope {

namespace {

int answerOf(const ItemResult& item) {
    return item.detail.at("answer_index").get<int>();
}

MetricRow agreementRow(const MetricInput& input, const PairedLevel& level) {
    const GroupValues values =
        valuesOf(input, level, [](const ItemResult& item, const ItemResult& twin) {
            return answerOf(item) == answerOf(twin) ? 1.0 : 0.0;
        });
    MetricRow row = proportionRow("answer_agreement", level.group, values);
    if (const std::optional<double> differ = differByChance(input, level, answerOf))
        row.chance = 1 - *differ;
    return row;
}

}  // namespace

/// Rows answer_agreement (share of twins with the same answer), first_choice_difference (how much
/// more often a level's answer is the first choice than the reference's) and
/// first_choice_difference_p (pairedTest, Holm over the levels), of answeredPairsOf. With repeats
/// the agreement's `chance` is how often two replies to one item agree.
std::vector<MetricRow> answerAgreement(const MetricInput& input) {
    const auto first = [](const ItemResult& item) { return answerOf(item) == 0; };
    std::vector<MetricRow> rows;
    for (const PairedLevel& level : answeredPairsOf(input)) {
        rows.push_back(agreementRow(input, level));
        addPairedDifference(rows, "first_choice_difference", input, level, first, "first choice");
    }
    adjustHolm(rows, "first_choice_difference_p");
    return rows;
}

}  // namespace moescope
