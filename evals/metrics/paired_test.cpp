// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "evals/metrics/paired_test.h"

#include "evals/stats/intervals.h"
#include "evals/stats/tests.h"

namespace moescope {

PairedTest pairedTest(const MetricInput& input, const PairedLevel& level,
                      const std::function<bool(const ItemResult&)>& decision) {
    PairedTest test;
    std::map<std::string_view, double> byBase;
    for (const Pair& pair : level.pairs) {
        const bool item = decision(input.items[pair.item]);
        const bool reference = decision(input.items[pair.reference]);
        if (reference && !item) ++test.forReference;
        if (item && !reference) ++test.forLevel;
        byBase[input.items[pair.item].cluster] +=
            static_cast<int>(item) - static_cast<int>(reference);
    }
    std::vector<double> sums;
    for (const auto& [base, sum] : byBase) sums.push_back(sum);
    const bool single = sums.size() == level.pairs.size();
    test.p = single ? stats::mcnemarExact(test.forReference, test.forLevel)
                    : stats::signFlipTest(sums, 10'000, input.seed);
    test.method = single ? "exact McNemar over pairs" : "sign-flip permutation by base";
    return test;
}

MetricRow pairedDifferenceRow(const std::string& name, const MetricInput& input,
                              const PairedLevel& level,
                              const std::function<bool(const ItemResult&)>& decision) {
    GroupValues values;
    std::map<std::string_view, std::size_t> ids;
    for (const Pair& pair : level.pairs) {
        const ItemResult& item = input.items[pair.item];
        values.values.push_back((decision(item) ? 1.0 : 0.0) -
                                (decision(input.items[pair.reference]) ? 1.0 : 0.0));
        values.clusters.push_back(ids.try_emplace(item.cluster, ids.size()).first->second);
    }
    MetricRow row = meanRow(name, level.group, values);
    row.chance = 0.0;
    if (ids.size() < stats::kFewestClusters || !(row.standardError.value_or(0) > 0)) {
        row.low.reset();
        row.high.reset();
        row.method = "no interval: too few bases, or all alike";
    }
    row.method = "mean over pairs of differences to " +
                 input.suite.factor(input.factor)->reference + "; " + row.method;
    return row;
}

}  // namespace moescope
