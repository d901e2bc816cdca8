// SPDX-License-Identifier: Apache-2.0
// Selection rates by group and what fairness law and fairlearn make of them: demographic parity
// difference (max - min) and disparate-impact ratio (min / max; four-fifths rule).
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "evals/metrics/grouping.h"
#include "evals/stats/intervals.h"
#include "evals/stats/random.h"

namespace moescope {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Items as columns, so that thousands of resamples cost little.
class RateTable {
public:
    explicit RateTable(const MetricInput& input)
        : clusters_(clusterIds(input.items)), level_(input.items.size(), -1) {
        for (const Group& group : groupsOf(input)) {
            for (const std::size_t i : group.items) level_[i] = levels_;
            ++levels_;
        }
        for (const ItemResult& item : input.items) selected_.push_back(item.score);
        for (std::size_t i = 0; i < level_.size(); ++i)
            if (level_[i] >= 0) all_.push_back(i);
    }

    int levels() const { return levels_; }
    std::vector<int>& labels() { return level_; }
    const std::vector<std::size_t>& all() const { return all_; }
    const std::vector<std::size_t>& clusters() const { return clusters_; }

    /// Smallest and largest selection rate among the levels that occur; NaN if one is missing.
    std::pair<double, double> extremes(std::span<const std::size_t> items) const {
        std::vector<double> sum(static_cast<std::size_t>(levels_));
        std::vector<double> count(static_cast<std::size_t>(levels_));
        for (const std::size_t i : items) {
            if (level_[i] < 0) continue;
            sum[static_cast<std::size_t>(level_[i])] += selected_[i];
            count[static_cast<std::size_t>(level_[i])] += 1;
        }
        double low = 2;
        double high = -1;
        for (std::size_t g = 0; g < sum.size(); ++g) {
            if (!(count[g] > 0)) return {kNaN, kNaN};
            low = std::min(low, sum[g] / count[g]);
            high = std::max(high, sum[g] / count[g]);
        }
        return {low, high};
    }

private:
    std::vector<std::size_t> clusters_, all_;
    std::vector<int> level_;
    std::vector<double> selected_;
    int levels_ = 0;
};

using Combine = double (*)(std::pair<double, double>);

/// What the statistic shows when group labels do not matter: labels shuffled within exchange
/// blocks.
double underExchange(const MetricInput& input, RateTable table, Combine combine) {
    const auto blocks = exchangeBlocks(input);
    stats::Random random(input.seed);
    double sum = 0;
    int defined = 0;
    for (int r = 0; r < input.resamples; ++r) {
        for (const auto& block : blocks)
            for (std::size_t i = block.size(); i > 1; --i)
                std::swap(table.labels()[block[i - 1]], table.labels()[block[random.below(i)]]);
        const double value = combine(table.extremes(table.all()));
        if (std::isnan(value)) continue;
        sum += value;
        ++defined;
    }
    return defined > 0 ? sum / defined : kNaN;
}

std::vector<MetricRow> parity(const MetricInput& input, const char* name, Combine combine) {
    const RateTable table(input);
    if (table.levels() < 2) return {};
    MetricRow row;
    row.name = name;
    row.group = input.factor;
    row.value = combine(table.extremes(table.all()));
    // Undefined (nobody was selected in any group): the selection rates say so, no number is made
    // up.
    if (std::isnan(row.value)) return {};
    row.n = static_cast<std::int64_t>(table.all().size());
    const stats::Interval interval = stats::clusterBootstrap(
        table.clusters(), input.resamples, input.seed,
        [&](std::span<const std::size_t> items) { return combine(table.extremes(items)); });
    if (!std::isnan(interval.low)) {
        row.low = interval.low;
        row.high = interval.high;
    }
    const double chance = underExchange(input, table, combine);
    if (!std::isnan(chance)) row.chance = chance;
    row.method = "clustered bootstrap, " + std::to_string(input.resamples) + " resamples, seed " +
                 std::to_string(input.seed) + "; chance: labels exchanged within bases";
    return {row};
}

}  // namespace

std::vector<MetricRow> selectionRate(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input))
        rows.push_back(proportionRow(
            "selection_rate", group,
            valuesOf(input, group, [](const ItemResult& item) { return item.score; })));
    return rows;
}

std::vector<MetricRow> demographicParityDifference(const MetricInput& input) {
    return parity(input, "demographic_parity_difference",
                  [](std::pair<double, double> rates) { return rates.second - rates.first; });
}

std::vector<MetricRow> disparateImpactRatio(const MetricInput& input) {
    return parity(input, "disparate_impact_ratio", [](std::pair<double, double> rates) {
        return rates.second > 0 ? rates.first / rates.second : kNaN;
    });
}

}  // namespace moescope
