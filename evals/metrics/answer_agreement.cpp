// SPDX-License-Identifier: Apache-2.0
// Does the model give the same answer when only the group word differs, and if not, which one?
#include "evals/metrics/paired_test.h"

namespace moescope {

namespace {

int answerOf(const ItemResult& item) {
    return item.detail.at("answer_index").get<int>();
}

MetricRow agreementRow(const MetricInput& input, const PairedLevel& level) {
    Group twins = level.group;
    twins.items.clear();
    std::vector<double> same;
    for (const Pair& pair : level.pairs) {
        twins.items.push_back(pair.item);
        same.push_back(
            answerOf(input.items[pair.item]) == answerOf(input.items[pair.reference]) ? 1 : 0);
    }
    GroupValues values = valuesOf(input, twins, [](const ItemResult&) { return 0.0; });
    values.values = std::move(same);
    return proportionRow("answer_agreement", level.group, values);
}

}  // namespace

/// Rows answer_agreement (share of twins with the same answer), first_choice_difference (how much
/// more often a level's answer is the first choice than the reference's) and
/// first_choice_difference_p (pairedTest, Holm over the levels).
std::vector<MetricRow> answerAgreement(const MetricInput& input) {
    const auto first = [](const ItemResult& item) { return answerOf(item) == 0; };
    std::vector<MetricRow> rows;
    for (const PairedLevel& level : pairsOf(input)) {
        rows.push_back(agreementRow(input, level));
        rows.push_back(pairedDifferenceRow("first_choice_difference", input, level, first));
        const PairedTest test = pairedTest(input, level, first);
        MetricRow row;
        row.name = "first_choice_difference_p";
        row.group = rows.back().group;
        row.value = test.p;
        row.n = rows.back().n;
        row.method = test.method + "; first choice for " +
                     input.suite.factor(input.factor)->reference +
                     " only: " + std::to_string(test.forReference) + ", for " + level.group.level +
                     " only: " + std::to_string(test.forLevel);
        rows.push_back(std::move(row));
    }
    adjustHolm(rows, "first_choice_difference_p");
    return rows;
}

}  // namespace moescope
