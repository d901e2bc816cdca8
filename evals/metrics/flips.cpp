// SPDX-License-Identifier: Apache-2.0
// Counterfactual flips: how often only the group word changes the decision, and in whose favour.
#include "engine/core/count_text.h"
#include "evals/metrics/paired_test.h"

namespace moescope {

namespace {

bool favoured(const ItemResult& item) {
    return item.score > 0.5;
}

MetricRow rateRow(const MetricInput& input, const PairedLevel& level) {
    const GroupValues values =
        valuesOf(input, level, [](const ItemResult& item, const ItemResult& twin) {
            return favoured(item) != favoured(twin) ? 1.0 : 0.0;
        });
    MetricRow row = proportionRow("flip_rate", level.group, values);
    row.chance =
        differByChance(input, level, [](const ItemResult& item) { return favoured(item) ? 1 : 0; });
    return row;
}

std::string countsText(const PairedTest& test, const std::string& reference,
                       const std::string& level) {
    return countText(test.forReference, "pair") +
           (test.forReference == 1 ? " favours " : " favour ") + reference + ", " +
           std::to_string(test.forLevel) + (test.forLevel == 1 ? " favours " : " favour ") + level;
}

}  // namespace

/// Rows flip_rate (Wilson over pairs, clustered by base) and flip_p (pairedTest, Holm over the
/// levels), of answeredPairsOf. Drawn replies to twins differ by chance too: with repeats `chance`
/// tells how often two replies to one item do.
std::vector<MetricRow> flipRate(const MetricInput& input) {
    std::vector<MetricRow> rows, tests;
    const std::string& reference = input.suite.factor(input.factor)->reference;
    for (const PairedLevel& level : answeredPairsOf(input)) {
        rows.push_back(rateRow(input, level));
        const PairedTest test = pairedTest(input, level, favoured);
        tests.push_back(pairedTestRow("flip_p", rows.back(), test,
                                      countsText(test, reference, level.group.level)));
    }
    adjustHolm(tests, "flip_p");
    rows.insert(rows.end(), tests.begin(), tests.end());
    return rows;
}

}  // namespace moescope
