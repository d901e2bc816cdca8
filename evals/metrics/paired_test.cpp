// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "evals/metrics/paired_test.h"

#include "engine/core/count_text.h"
#include "evals/stats/intervals.h"
#include "evals/stats/tests.h"

namespace moescope {

namespace {

/// decision(item) - decision(reference) of each two twins.
GroupValues differencesOf(const MetricInput& input, const PairedLevel& level,
                          const std::function<bool(const ItemResult&)>& decision) {
    return valuesOf(input, level, [&](const ItemResult& item, const ItemResult& twin) {
        return (decision(item) ? 1.0 : 0.0) - (decision(twin) ? 1.0 : 0.0);
    });
}

}  // namespace

PairedTest pairedTest(const MetricInput& input, const PairedLevel& level,
                      const std::function<bool(const ItemResult&)>& decision) {
    PairedTest test;
    for (const Pair& pair : level.pairs) {
        const bool item = decision(input.items[pair.item]);
        const bool reference = decision(input.items[pair.reference]);
        if (reference && !item) ++test.forReference;
        if (item && !reference) ++test.forLevel;
    }
    const GroupValues values = differencesOf(input, level, decision);
    std::vector<double> sums(stats::clusterCount(values.clusters));
    for (std::size_t i = 0; i < values.values.size(); ++i)
        sums[values.clusters[i]] += values.values[i];
    if (values.repeated()) test.replies = static_cast<std::int64_t>(level.pairs.size());
    const bool single = sums.size() == level.pairs.size();
    if (single) {
        test.p = stats::mcnemarExact(test.forReference, test.forLevel);
        test.method = "exact McNemar over pairs";
        return test;
    }
    test.p = stats::signFlipTest(sums, stats::kSignFlipDraws, input.seed);
    test.method = signFlipText(sums, "by base");
    return test;
}

MetricRow pairedTestRow(const std::string& name, const MetricRow& of, const PairedTest& test,
                        const std::string& counts) {
    MetricRow row;
    row.name = name;
    row.group = of.group;
    row.value = test.p;
    row.n = of.n;
    row.clusters = of.clusters;
    row.method = test.method + "; " + counts;
    if (test.replies > 0) row.method += ", in " + countText(test.replies, "pair") + " of replies";
    return row;
}

void addPairedDifference(std::vector<MetricRow>& rows, const std::string& name,
                         const MetricInput& input, const PairedLevel& level,
                         const std::function<bool(const ItemResult&)>& decision,
                         const std::string& what) {
    const std::string& reference = input.suite.factor(input.factor)->reference;
    const GroupValues values = differencesOf(input, level, decision);
    MetricRow row = meanRow(name, level.group, values);
    row.chance = 0.0;
    if (withheldInterval(row, stats::clusterCount(values.clusters)))
        row.method = "no interval: too few bases, or all alike";
    row.method = "mean over pairs of differences to " + reference + "; " + row.method;
    const PairedTest test = pairedTest(input, level, decision);
    const std::string counts = what + " for " + reference +
                               " only: " + std::to_string(test.forReference) + ", for " +
                               level.group.level + " only: " + std::to_string(test.forLevel);
    MetricRow p = pairedTestRow(name + "_p", row, test, counts);
    rows.push_back(std::move(row));
    rows.push_back(std::move(p));
}

std::vector<MetricRow> meanDifferences(const std::string& name, const MetricInput& input,
                                       const std::vector<PairedLevel>& levels,
                                       const std::function<double(const ItemResult&)>& value) {
    std::vector<MetricRow> rows;
    std::vector<double> p;
    std::vector<std::string> methods;
    for (const PairedLevel& level : levels) {
        const std::vector<double> differences = clusterDifferences(input, level, value);
        rows.push_back(meanRow(name, level.group, differences));
        MetricRow& row = rows.back();
        row.chance = 0.0;
        row.n = itemCount(input, level);
        withheldInterval(row, differences.size());
        row.method = "mean over " + std::to_string(differences.size()) +
                     " bases of differences to " + input.suite.factor(input.factor)->reference +
                     (row.low ? ", t interval" : "; no interval: too few bases, or all alike");
        p.push_back(stats::signFlipTest(differences, stats::kSignFlipDraws, input.seed));
        methods.push_back(signFlipText(differences, "by base"));
    }
    const std::vector<double> adjusted = stats::holm(p);
    for (std::size_t i = 0; i < levels.size(); ++i) {
        MetricRow row;
        row.name = name + "_p";
        row.group = rows[i].group;
        row.value = adjusted[i];
        row.n = rows[i].n;
        row.clusters = rows[i].clusters;
        row.method = methods[i] + ", Holm over " + countText(levels.size(), "level");
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace moescope
