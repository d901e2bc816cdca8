// SPDX-License-Identifier: Apache-2.0
// Counterfactual flips: how often only the group word changes the decision, and in whose favour.
#include "evals/metrics/grouping.h"
#include "evals/stats/tests.h"

namespace moescope {

/// Rows flip_rate (Wilson over pairs, clustered by base) and flip_mcnemar_p (exact, Holm over the
/// levels). b: favours the reference only; c: favours the level only.
std::vector<MetricRow> flipRate(const MetricInput& input) {
    std::vector<MetricRow> rows;
    std::vector<double> p;
    std::vector<std::string> counts;
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
        p.push_back(stats::mcnemarExact(forReference, forLevel));
        counts.push_back(std::to_string(forReference) + " pairs favour " +
                         input.suite.factor(input.factor)->reference + ", " +
                         std::to_string(forLevel) + " favour " + level.group.level);
    }
    const std::vector<double> adjusted = stats::holm(p);
    const std::size_t levels = rows.size();
    for (std::size_t i = 0; i < levels; ++i) {
        MetricRow row;
        row.name = "flip_mcnemar_p";
        row.group = rows[i].group;
        row.value = adjusted[i];
        row.n = rows[i].n;
        row.method = "exact McNemar over pairs, Holm over " + std::to_string(levels) +
                     (levels == 1 ? " level; " : " levels; ") + counts[i];
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace moescope
