// SPDX-License-Identifier: Apache-2.0
// Counterfactual flips: how often only the group word changes the decision, and in whose favour.
#include "engine/core/count_text.h"
#include "evals/metrics/grouping.h"
#include "evals/stats/tests.h"

namespace moescope {

/// Rows flip_rate (Wilson over pairs, clustered by base) and flip_p (Holm over the levels). Pairs
/// of one base are not independent, so the test flips the sign of each base's mean c - b; with one
/// pair for every base that is the exact McNemar test. b: favours the reference only; c: the level
/// only.
std::vector<MetricRow> flipRate(const MetricInput& input) {
    std::vector<MetricRow> rows;
    std::vector<double> p;
    std::vector<std::string> counts, tests;
    for (const PairedLevel& level : pairsOf(input)) {
        std::int64_t forReference = 0;
        std::int64_t forLevel = 0;
        Group flipped = level.group;
        flipped.items.clear();
        std::map<std::size_t, double> changed;
        for (const Pair& pair : level.pairs) {
            const bool item = input.items[pair.item].score > 0.5;
            const bool reference = input.items[pair.reference].score > 0.5;
            if (reference && !item) ++forReference;
            if (item && !reference) ++forLevel;
            changed[pair.item] = item != reference ? 1 : 0;
            flipped.items.push_back(pair.item);
        }
        GroupValues values = valuesOf(input, flipped, [](const ItemResult&) { return 0.0; });
        for (std::size_t i = 0; i < flipped.items.size(); ++i)
            values.values[i] = changed.at(flipped.items[i]);
        rows.push_back(proportionRow("flip_rate", level.group, values));
        const std::vector<double> byBase = clusterDifferences(
            input, level, [](const ItemResult& item) { return item.score > 0.5 ? 1.0 : 0.0; });
        const bool single = byBase.size() == level.pairs.size();
        p.push_back(single ? stats::mcnemarExact(forReference, forLevel)
                           : stats::signFlipTest(byBase, 10'000, input.seed));
        tests.emplace_back(single ? "exact McNemar over pairs" : "sign-flip permutation by base");
        counts.push_back(
            countText(forReference, "pair") + (forReference == 1 ? " favours " : " favour ") +
            input.suite.factor(input.factor)->reference + ", " + std::to_string(forLevel) +
            (forLevel == 1 ? " favours " : " favour ") + level.group.level);
    }
    const std::vector<double> adjusted = stats::holm(p);
    const std::size_t levels = rows.size();
    for (std::size_t i = 0; i < levels; ++i) {
        MetricRow row;
        row.name = "flip_p";
        row.group = rows[i].group;
        row.value = adjusted[i];
        row.n = rows[i].n;
        row.method = tests[i] + ", Holm over " + countText(levels, "level") + "; " + counts[i];
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace moescope
