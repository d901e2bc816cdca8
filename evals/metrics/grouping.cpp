// SPDX-License-Identifier: Apache-2.0
// Grouping and pairing of items; the two row shapes nearly every metric ends in.
#include "evals/metrics/grouping.h"

#include <cmath>
#include <numeric>

#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "evals/stats/intervals.h"
#include "evals/stats/tests.h"

namespace moescope {

namespace {

std::string levelOf(const ItemResult& item, const std::string& factor) {
    const auto found = item.groups.find(factor);
    return found == item.groups.end() ? std::string() : found->second;
}

/// Cluster and matched levels; '\x1f' (unit separator) keeps the parts apart.
std::string blockKey(const ItemResult& item, const FactorSpec& factor) {
    std::string key = item.cluster;
    for (const std::string& other : factor.match) key.append("\x1f").append(levelOf(item, other));
    return key.append("\x1f").append(std::to_string(item.repeat));
}

/// `value` of a reply's place in `rows`, averaged within each item.
GroupValues meansOf(const MetricInput& input, std::span<const std::size_t> rows,
                    const std::function<double(std::size_t)>& value) {
    double shares = 0;  // of one reply in its item's mean, summed over items
    std::size_t at = 0;
    GroupValues out = valuesOf(input, rows, [&](std::span<const std::size_t> item) {
        double sum = 0;
        for (std::size_t i = 0; i < item.size(); ++i) sum += value(at++);
        const auto replies = static_cast<double>(item.size());
        shares += 1 / replies;
        return std::optional(sum / replies);
    });
    const auto n = static_cast<double>(out.values.size());
    if (n > 0) out.draws = n * n / shares;
    return out;
}

std::vector<std::size_t> rowsOf(const PairedLevel& level) {
    std::vector<std::size_t> rows;
    for (const Pair& pair : level.pairs) rows.push_back(pair.item);
    return rows;
}

void setInterval(MetricRow& row, const stats::Interval& interval) {
    if (std::isnan(interval.low) || std::isnan(interval.high)) return;
    row.low = interval.low;
    row.high = interval.high;
}

}  // namespace

std::vector<Group> groupsOf(const MetricInput& input) {
    std::map<std::string, Group> byLevel;
    if (input.factor.empty()) byLevel[""] = Group{};
    for (std::size_t i = 0; i < input.items.size(); ++i) {
        const std::string level =
            input.factor.empty() ? std::string() : levelOf(input.items[i], input.factor);
        if (!input.factor.empty() && level.empty()) continue;
        byLevel[level].items.push_back(i);
    }
    std::vector<Group> groups;
    for (auto& [level, group] : byLevel) {
        group.level = level;
        group.label = input.factor.empty() ? "" : input.factor + "=" + level;
        if (!group.items.empty()) groups.push_back(std::move(group));
    }
    return groups;
}

std::vector<std::size_t> clusterIds(std::span<const ItemResult> items) {
    std::map<std::string_view, std::size_t> ids;
    std::vector<std::size_t> clusters;
    for (const ItemResult& item : items)
        clusters.push_back(ids.try_emplace(item.cluster, ids.size()).first->second);
    return clusters;
}

std::vector<std::span<const std::size_t>> byItem(const MetricInput& input,
                                                 std::span<const std::size_t> rows) {
    std::vector<std::span<const std::size_t>> items;
    std::size_t begin = 0;
    for (std::size_t at = 1; at <= rows.size(); ++at) {
        if (at < rows.size()) {
            const ItemResult& before = input.items[rows[at - 1]];
            const ItemResult& now = input.items[rows[at]];
            if (now.id == before.id && now.repeat > before.repeat) continue;
        }
        items.push_back(rows.subspan(begin, at - begin));
        begin = at;
    }
    return items;
}

std::int64_t itemCount(const MetricInput& input, std::span<const std::size_t> rows) {
    return static_cast<std::int64_t>(byItem(input, rows).size());
}

std::int64_t itemCount(const MetricInput& input, const PairedLevel& level) {
    return itemCount(input, rowsOf(level));
}

GroupValues valuesOf(
    const MetricInput& input, std::span<const std::size_t> rows,
    const std::function<std::optional<double>(std::span<const std::size_t>)>& value) {
    GroupValues out;
    std::map<std::string_view, std::size_t> ids;
    for (const std::span<const std::size_t> replies : byItem(input, rows)) {
        const std::optional<double> one = value(replies);
        if (!one) continue;
        out.values.push_back(*one);
        const std::string& cluster = input.items[replies.front()].cluster;
        out.clusters.push_back(ids.try_emplace(cluster, ids.size()).first->second);
    }
    out.draws = static_cast<double>(out.values.size());
    return out;
}

GroupValues valuesOf(const MetricInput& input, const Group& group,
                     const std::function<double(const ItemResult&)>& value) {
    return meansOf(input, group.items,
                   [&](std::size_t at) { return value(input.items[group.items[at]]); });
}

std::optional<double> chanceOf(const MetricInput& input, const Group& group) {
    const std::vector<std::span<const std::size_t>> items = byItem(input, group.items);
    double sum = 0;
    for (const std::span<const std::size_t> replies : items) {
        const std::size_t choices = input.items[replies.front()].choices;
        if (choices == 0) return std::nullopt;
        sum += 1.0 / static_cast<double>(choices);
    }
    return sum / static_cast<double>(items.size());
}

GroupValues valuesOf(
    const MetricInput& input, const PairedLevel& level,
    const std::function<double(const ItemResult& item, const ItemResult& twin)>& value) {
    return meansOf(input, rowsOf(level), [&](std::size_t at) {
        const Pair& pair = level.pairs[at];
        return value(input.items[pair.item], input.items[pair.reference]);
    });
}

std::vector<PairedLevel> pairsOf(const MetricInput& input) {
    const FactorSpec& factor = *input.suite.factor(input.factor);
    std::map<std::string, std::size_t> references;
    for (std::size_t i = 0; i < input.items.size(); ++i) {
        const ItemResult& item = input.items[i];
        if (levelOf(item, factor.name) != factor.reference) continue;
        if (!references.emplace(blockKey(item, factor), i).second)
            throw Error("suite '" + input.suite.name + "': item '" + item.id +
                        "' is a second reference of group '" + factor.name + "' in its cluster");
    }
    std::vector<PairedLevel> levels;
    for (Group& group : groupsOf(input)) {
        if (group.level == factor.reference) continue;
        PairedLevel level;
        for (const std::size_t i : group.items) {
            const auto twin = references.find(blockKey(input.items[i], factor));
            if (twin != references.end()) level.pairs.push_back({i, twin->second});
        }
        level.group = std::move(group);
        if (!level.pairs.empty()) levels.push_back(std::move(level));
    }
    return levels;
}

std::vector<PairedLevel> answeredPairsOf(const MetricInput& input) {
    std::vector<PairedLevel> levels = pairsOf(input);
    for (PairedLevel& level : levels)
        std::erase_if(level.pairs, [&](const Pair& pair) {
            return !isAnswered(input.items[pair.item]) || !isAnswered(input.items[pair.reference]);
        });
    std::erase_if(levels, [](const PairedLevel& level) { return level.pairs.empty(); });
    return levels;
}

std::optional<double> differByChance(const MetricInput& input, const PairedLevel& level,
                                     const std::function<int(const ItemResult&)>& what) {
    std::vector<double> shares;
    std::size_t at = 0;
    const std::vector<std::size_t> rows = rowsOf(level);
    for (const std::span<const std::size_t> item : byItem(input, rows)) {
        const auto pairs = std::span(level.pairs).subspan(at, item.size());
        at += item.size();
        const auto replies = static_cast<double>(item.size());
        if (replies < 2) continue;
        for (std::size_t Pair::*twin : {&Pair::item, &Pair::reference}) {
            std::map<int, double> counts;
            for (const Pair& pair : pairs) ++counts[what(input.items[pair.*twin])];
            double alike = 0;
            for (const auto& [value, count] : counts) alike += count * (count - 1);
            shares.push_back(1 - alike / (replies * (replies - 1)));
        }
    }
    if (shares.empty()) return std::nullopt;
    return stats::mean(shares);
}

std::vector<double> clusterDifferences(const MetricInput& input, const PairedLevel& level,
                                       const std::function<double(const ItemResult&)>& value) {
    std::map<std::string_view, std::pair<double, int>> byCluster;
    for (const Pair& pair : level.pairs) {
        auto& [sum, count] = byCluster[input.items[pair.item].cluster];
        sum += value(input.items[pair.item]) - value(input.items[pair.reference]);
        ++count;
    }
    std::vector<double> differences;
    for (const auto& [cluster, total] : byCluster)
        differences.push_back(total.first / total.second);
    return differences;
}

MetricRow proportionRow(const std::string& name, const Group& group, const GroupValues& values) {
    MetricRow row;
    row.name = name;
    row.group = group.label;
    row.value = stats::mean(values.values);
    row.n = static_cast<std::int64_t>(values.values.size());
    row.clusters = static_cast<std::int64_t>(stats::clusterCount(values.clusters));
    const bool simple = row.clusters == row.n && !values.repeated();
    setInterval(row, simple ? stats::wilson(row.value * static_cast<double>(row.n),
                                            static_cast<double>(row.n))
                            : stats::clusteredWilson(values.values, values.clusters, values.draws));
    const double error = simple ? stats::standardError(values.values)
                                : stats::clusteredError(values.values, values.clusters);
    if (!std::isnan(error)) row.standardError = error;
    row.method = simple
                     ? "Wilson"
                     : "Wilson on the effective sample size, " + countText(row.clusters, "cluster");
    return row;
}

MetricRow meanRow(const std::string& name, const Group& group, const GroupValues& values,
                  stats::Interval range) {
    MetricRow row;
    row.name = name;
    row.group = group.label;
    row.value = stats::mean(values.values);
    row.n = static_cast<std::int64_t>(values.values.size());
    row.clusters = static_cast<std::int64_t>(stats::clusterCount(values.clusters));
    const double error = stats::clusteredError(values.values, values.clusters);
    setInterval(row, stats::tInterval(row.value, error, static_cast<double>(row.clusters) - 1));
    if (row.low) {
        row.low = std::max(*row.low, range.low);
        row.high = std::min(*row.high, range.high);
    }
    if (!std::isnan(error)) row.standardError = error;
    row.method = row.clusters == row.n
                     ? "t interval"
                     : "t interval, standard error over " + countText(row.clusters, "cluster");
    return row;
}

MetricRow meanRow(const std::string& name, const Group& group,
                  const std::vector<double>& ofClusters, stats::Interval range) {
    std::vector<std::size_t> own(ofClusters.size());
    std::iota(own.begin(), own.end(), std::size_t{0});
    return meanRow(name, group, GroupValues{ofClusters, std::move(own), 0}, range);
}

bool withheldInterval(MetricRow& row, std::size_t clusters) {
    if (clusters >= stats::kFewestClusters && row.standardError.value_or(0) > 0) return false;
    row.low.reset();
    row.high.reset();
    return true;
}

std::string signFlipText(const std::vector<double>& differences, const std::string& what) {
    return (stats::allSignFlips(differences) ? "all"
                                             : groupedDigits(stats::kSignFlipDraws) + " random") +
           " sign flips " + what;
}

void adjustHolm(std::vector<MetricRow>& rows, const std::string& name) {
    std::vector<MetricRow*> tests;
    std::vector<double> p;
    for (MetricRow& row : rows) {
        if (row.name != name || std::isnan(row.value)) continue;
        tests.push_back(&row);
        p.push_back(row.value);
    }
    const std::vector<double> adjusted = stats::holm(p);
    for (std::size_t i = 0; i < tests.size(); ++i) {
        tests[i]->value = adjusted[i];
        if (tests.size() > 1)
            tests[i]->method += ", Holm over " + std::to_string(tests.size()) + " levels";
    }
}

}  // namespace moescope
