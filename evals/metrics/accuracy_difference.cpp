// SPDX-License-Identifier: Apache-2.0
// Is the model right as often when only the group word differs?
#include "evals/metrics/paired_test.h"

namespace moescope {

/// Rows accuracy_difference (a level's accuracy minus the reference's, over pairs) and
/// accuracy_difference_p (pairedTest, Holm over the levels).
std::vector<MetricRow> accuracyDifference(const MetricInput& input) {
    const auto right = [](const ItemResult& item) { return item.detail.at("right").get<bool>(); };
    std::vector<MetricRow> rows;
    for (const PairedLevel& level : pairsOf(input))
        addPairedDifference(rows, "accuracy_difference", input, level, right, "right");
    adjustHolm(rows, "accuracy_difference_p");
    return rows;
}

}  // namespace moescope
