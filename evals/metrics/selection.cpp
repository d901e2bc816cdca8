// SPDX-License-Identifier: Apache-2.0
// Selection rates by group and what fairness law and fairlearn make of them: demographic parity
// difference (max - min) and disparate-impact ratio (min / max; four-fifths rule). These extremes
// get a permutation p, not an interval: they are at the edge of their range under the null, where a
// bootstrap interval never covers. Intervals are given for each level against the reference.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
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
    explicit RateTable(const MetricInput& input) : level_(input.items.size(), -1) {
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
    const std::vector<int>& labels() const { return level_; }
    const std::vector<std::size_t>& all() const { return all_; }

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
    std::vector<std::size_t> all_;
    std::vector<int> level_;
    std::vector<double> selected_;
    int levels_ = 0;
};

using Combine = double (*)(std::pair<double, double>);

struct Exchanged {
    double mean = kNaN;  ///< of the statistic when group labels do not matter
    double p = 1;        ///< (draws at least as extreme + 1) / (draws + 1)
};

/// The items made from one base, and the levels that they have.
struct Base {
    std::vector<std::size_t> items;
    std::vector<int> levels;
};

std::vector<Base> basesOf(const MetricInput& input, const std::vector<int>& labels) {
    const std::vector<std::size_t> clusters = clusterIds(input.items);
    std::map<std::size_t, Base> byCluster;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] < 0) continue;
        Base& base = byCluster[clusters[i]];
        base.items.push_back(i);
        if (std::find(base.levels.begin(), base.levels.end(), labels[i]) == base.levels.end())
            base.levels.push_back(labels[i]);
    }
    std::vector<Base> bases;
    for (auto& [cluster, base] : byCluster) bases.push_back(std::move(base));
    return bases;
}

/// Levels renamed within each base, all its items alike: decisions about one base are not
/// independent, and twins that were exchanged one by one would look as if they were. Where each
/// base has one level alone, the bases exchange theirs. `sign`: +1 when large values are extreme,
/// -1 when small.
Exchanged underExchange(const MetricInput& input, RateTable table, Combine combine, double sign,
                        double observed) {
    const std::vector<Base> bases = basesOf(input, table.labels());
    const bool between = std::all_of(bases.begin(), bases.end(),
                                     [](const Base& base) { return base.levels.size() == 1; });
    stats::Random random(input.seed);
    const auto shuffle = [&](std::vector<int>& levels) {
        for (std::size_t i = levels.size(); i > 1; --i)
            std::swap(levels[i - 1], levels[random.below(i)]);
    };
    std::vector<int> renamed(static_cast<std::size_t>(table.levels()));
    const std::vector<int> original = table.labels();
    std::vector<int> ofBases;
    for (const Base& base : bases) ofBases.push_back(base.levels.front());
    double sum = 0;
    int defined = 0;
    int hits = 0;
    for (int r = 0; r < input.resamples; ++r) {
        if (between) shuffle(ofBases);
        for (std::size_t b = 0; b < bases.size(); ++b) {
            std::vector<int> levels = bases[b].levels;
            if (between)
                levels.front() = ofBases[b];
            else
                shuffle(levels);
            for (std::size_t i = 0; i < levels.size(); ++i)
                renamed[static_cast<std::size_t>(bases[b].levels[i])] = levels[i];
            for (const std::size_t i : bases[b].items)
                table.labels()[i] = renamed[static_cast<std::size_t>(original[i])];
        }
        const double value = combine(table.extremes(table.all()));
        if (std::isnan(value)) continue;
        sum += value;
        ++defined;
        if (sign * value >= sign * observed - 1e-12) ++hits;
    }
    if (defined == 0) return {};
    return {sum / defined, static_cast<double>(hits + 1) / static_cast<double>(defined + 1)};
}

/// Replies that hold no answer select nobody; where none of the groups' does, that they are alike
/// in it says nothing.
bool anyAnswer(const MetricInput& input, const RateTable& table) {
    return std::any_of(table.all().begin(), table.all().end(),
                       [&](std::size_t i) { return isAnswered(input.items[i]); });
}

std::vector<MetricRow> parity(const MetricInput& input, const std::string& name, Combine combine,
                              double sign) {
    const RateTable table(input);
    if (table.levels() < 2 || !anyAnswer(input, table)) return {};
    MetricRow row;
    row.name = name;
    row.group = input.factor;
    row.value = combine(table.extremes(table.all()));
    // Undefined (nobody was selected in any group): the selection rates say so, no number is made
    // up.
    if (std::isnan(row.value)) return {};
    row.n = itemCount(input, table.all());
    row.clusters = static_cast<std::int64_t>(basesOf(input, table.labels()).size());
    const Exchanged null = underExchange(input, table, combine, sign, row.value);
    if (!std::isnan(null.mean)) row.chance = null.mean;
    row.method = "extremes of " + std::to_string(table.levels()) +
                 " levels; chance: mean when levels are exchanged by bases";
    MetricRow p;
    p.name = name + "_p";
    p.group = row.group;
    p.value = null.p;
    p.n = row.n;
    p.clusters = row.clusters;
    p.method = "levels exchanged by bases, " + std::to_string(input.resamples) +
               " permutations, seed " + std::to_string(input.seed);
    return {row, p};
}

double scoreOf(const ItemResult& item) {
    return item.score;
}

std::vector<MetricRow> differencesToReference(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const PairedLevel& level : pairsOf(input)) {
        const std::vector<double> differences = clusterDifferences(input, level, scoreOf);
        MetricRow row = meanRow("selection_rate_difference", level.group, differences);
        row.n = itemCount(input, level);
        row.chance = 0.0;
        row.method = "mean over " + std::to_string(differences.size()) +
                     " bases of differences to " + input.suite.factor(input.factor)->reference;
        row.method += withheldInterval(row, differences.size())
                          ? "; no interval: too few bases, or all alike"
                          : ", t interval";
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<MetricRow> ratiosToReference(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const PairedLevel& level : pairsOf(input)) {
        std::vector<ItemResult> twins;
        for (const Pair& pair : level.pairs) twins.push_back(input.items[pair.item]);
        const std::vector<std::size_t> clusters = clusterIds(twins);
        const auto ratio = [&](std::span<const std::size_t> pairs) {
            double above = 0;
            double below = 0;
            for (const std::size_t i : pairs) {
                above += input.items[level.pairs[i].item].score;
                below += input.items[level.pairs[i].reference].score;
            }
            return below > 0 ? above / below : kNaN;
        };
        std::vector<std::size_t> all(level.pairs.size());
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
        MetricRow row;
        row.name = "selection_rate_ratio";
        row.group = level.group.label;
        row.value = ratio(all);
        if (std::isnan(row.value)) continue;
        row.n = itemCount(input, level);
        row.clusters = static_cast<std::int64_t>(stats::clusterCount(clusters));
        row.chance = 1.0;
        row.method = "ratio to " + input.suite.factor(input.factor)->reference;
        const stats::Interval interval =
            stats::clusterBootstrap(clusters, input.resamples, input.seed, ratio);
        if (interval.low < interval.high) {
            row.low = interval.low;
            row.high = interval.high;
            row.method += ", clustered bootstrap, " + std::to_string(input.resamples) +
                          " resamples, seed " + std::to_string(input.seed);
        } else {
            row.method += "; no interval: too few bases, or all alike";
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

/// The factor needs no reference for the extremes; with one, its levels are compared as well.
std::vector<MetricRow> withLevels(const MetricInput& input, std::vector<MetricRow> rows,
                                  std::vector<MetricRow> (*compare)(const MetricInput&)) {
    if (input.suite.factor(input.factor)->reference.empty() || !anyAnswer(input, RateTable(input)))
        return rows;
    for (MetricRow& row : compare(input)) rows.push_back(std::move(row));
    return rows;
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
    const Combine combine = [](std::pair<double, double> rates) {
        return rates.second - rates.first;
    };
    return withLevels(input, parity(input, "demographic_parity_difference", combine, 1),
                      differencesToReference);
}

std::vector<MetricRow> disparateImpactRatio(const MetricInput& input) {
    const Combine combine = [](std::pair<double, double> rates) {
        return rates.second > 0 ? rates.first / rates.second : kNaN;
    };
    return withLevels(input, parity(input, "disparate_impact_ratio", combine, -1),
                      ratiosToReference);
}

}  // namespace moescope
