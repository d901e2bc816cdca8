// SPDX-License-Identifier: Apache-2.0
// Is the model right as often when only the group word differs?
#include "evals/metrics/paired_test.h"

namespace moescope {

/// Rows accuracy_difference (a level's accuracy minus the reference's, over pairs) and
/// accuracy_difference_p (pairedTest, Holm over the levels).
std::vector<MetricRow> accuracyDifference(const MetricInput& input) {
    const auto right = [](const ItemResult& item) { return item.detail.at("right").get<bool>(); };
    const std::string& reference = input.suite.factor(input.factor)->reference;
    std::vector<MetricRow> rows;
    for (const PairedLevel& level : pairsOf(input)) {
        rows.push_back(pairedDifferenceRow("accuracy_difference", input, level, right));
        const PairedTest test = pairedTest(input, level, right);
        MetricRow row;
        row.name = "accuracy_difference_p";
        row.group = rows.back().group;
        row.value = test.p;
        row.n = rows.back().n;
        row.method = test.method + "; right for " + reference +
                     " only: " + std::to_string(test.forReference) + ", for " + level.group.level +
                     " only: " + std::to_string(test.forLevel);
        rows.push_back(std::move(row));
    }
    adjustHolm(rows, "accuracy_difference_p");
    return rows;
}

}  // namespace moescope
