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
    Group flipped = level.group;
    flipped.items.clear();
    std::vector<double> changed;
    for (const Pair& pair : level.pairs) {
        flipped.items.push_back(pair.item);
        changed.push_back(
            favoured(input.items[pair.item]) != favoured(input.items[pair.reference]) ? 1 : 0);
    }
    GroupValues values = valuesOf(input, flipped, [](const ItemResult&) { return 0.0; });
    values.values = std::move(changed);
    return proportionRow("flip_rate", level.group, values);
}

std::string countsText(const PairedTest& test, const std::string& reference,
                       const std::string& level) {
    return countText(test.forReference, "pair") +
           (test.forReference == 1 ? " favours " : " favour ") + reference + ", " +
           std::to_string(test.forLevel) + (test.forLevel == 1 ? " favours " : " favour ") + level;
}

}  // namespace

/// Rows flip_rate (Wilson over pairs, clustered by base) and flip_p (pairedTest, Holm over the
/// levels).
std::vector<MetricRow> flipRate(const MetricInput& input) {
    std::vector<MetricRow> rows, tests;
    const std::string& reference = input.suite.factor(input.factor)->reference;
    const std::vector<PairedLevel> levels = pairsOf(input);
    for (const PairedLevel& level : levels) {
        rows.push_back(rateRow(input, level));
        const PairedTest test = pairedTest(input, level, favoured);
        MetricRow row;
        row.name = "flip_p";
        row.group = rows.back().group;
        row.value = test.p;
        row.n = rows.back().n;
        row.method = test.method + "; " + countsText(test, reference, level.group.level);
        tests.push_back(std::move(row));
    }
    adjustHolm(tests, "flip_p");
    rows.insert(rows.end(), tests.begin(), tests.end());
    return rows;
}

}  // namespace moescope
