// SPDX-License-Identifier: Apache-2.0
// Does what the model prefers follow a number known from elsewhere (counts in a corpus, a census)?
#include <cmath>
#include <limits>

#include "evals/metrics/grouping.h"
#include "evals/stats/correlation.h"
#include "evals/stats/intervals.h"
#include "evals/stats/tests.h"

namespace moescope {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
/// The p-value is right for so few; an interval takes stats::kFewestClusters.
constexpr std::size_t kFewestPoints = 5;
constexpr int kDraws = 10'000;

/// One point for each cluster that has a reference.
struct Points {
    std::vector<double> reference, difference;
};

Points pointsOf(const MetricInput& input, const Group& group) {
    struct Sum {
        double reference = 0, difference = 0, items = 0;
    };
    std::map<std::string_view, Sum> sums;
    for (const std::size_t i : group.items) {
        const ItemResult& item = input.items[i];
        const auto reference = item.detail.find("reference");
        if (reference == item.detail.end()) continue;
        Sum& sum = sums[item.cluster];
        sum.reference = reference->get<double>();  // the same throughout the cluster
        sum.difference += item.detail.at("difference").get<double>();
        sum.items += 1;
    }
    Points points;
    for (const auto& [cluster, sum] : sums) {
        points.reference.push_back(sum.reference);
        points.difference.push_back(sum.difference / sum.items);
    }
    return points;
}

using Coefficient = double (*)(std::span<const double> x, std::span<const double> y);

struct Kind {
    const char* name;
    const char* pName;  ///< null: no test of its own
    const char* title;
    Coefficient coefficient;
    bool byRank;
};
constexpr Kind kKinds[] = {
    {"reference_pearson", "reference_pearson_p", "Pearson correlation", stats::pearson, false},
    {"reference_spearman", "reference_spearman_p", "Spearman rank correlation", stats::spearman,
     true},
    {"reference_slope", nullptr, "least-squares slope", stats::slope, false},
};

/// Mean over a cluster's pairs of how much larger the first choice's share of the probability is
/// than in the reference's twin.
Points pointsOf(const MetricInput& input, const PairedLevel& level) {
    PairedLevel usable = level;
    std::erase_if(usable.pairs, [&](const Pair& pair) {
        return !input.items[pair.item].detail.contains("reference");
    });
    std::map<std::string_view, double> references;
    for (const Pair& pair : usable.pairs) {
        const ItemResult& item = input.items[pair.item];
        references[item.cluster] = item.detail.at("reference").get<double>();
    }
    Points points;
    for (const auto& [cluster, reference] : references) points.reference.push_back(reference);
    // By cluster in the same order.
    points.difference = clusterDifferences(input, usable, [](const ItemResult& item) {
        return item.detail.at("first_share").get<double>();
    });
    return points;
}

MetricRow rowOf(const std::string& name, const Group& group, const Points& points) {
    MetricRow row;
    row.name = name;
    row.group = group.label;
    row.n = row.clusters = static_cast<std::int64_t>(points.reference.size());
    row.value = kNaN;
    return row;
}

/// Why there is nothing to correlate; empty when there is.
std::string obstacle(const Points& points) {
    if (points.reference.size() < kFewestPoints)
        return "no data: fewer than " + std::to_string(kFewestPoints) +
               " clusters with a reference";
    if (std::isnan(stats::slope(points.reference, points.difference)))
        return "no data: all references are equal";
    if (std::isnan(stats::pearson(points.reference, points.difference)))
        return "no data: the model makes no difference between the clusters";
    return {};
}

MetricRow valueRow(const MetricInput& input, const Group& group, const Points& points,
                   const Kind& kind, const char* what) {
    MetricRow row = rowOf(kind.name, group, points);
    row.method = obstacle(points);
    if (!row.method.empty()) return row;
    row.value = kind.coefficient(points.reference, points.difference);
    row.chance = 0.0;
    row.method = std::string(kind.title) + " of the clusters' mean " + what + " with " +
                 input.suite.reference.name;
    std::vector<std::size_t> own(points.reference.size());
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = i;
    const stats::Interval interval = stats::clusterBootstrapBca(
        own, input.resamples, input.seed, [&](std::span<const std::size_t> chosen) {
            Points drawn;
            for (const std::size_t i : chosen) {
                drawn.reference.push_back(points.reference[i]);
                drawn.difference.push_back(points.difference[i]);
            }
            return kind.coefficient(drawn.reference, drawn.difference);
        });
    if (std::isnan(interval.low) || std::isnan(interval.high)) return row;
    row.low = interval.low;
    row.high = interval.high;
    row.method +=
        ", BCa bootstrap over clusters, " + std::to_string(input.resamples) + " resamples";
    return row;
}

MetricRow testRow(const MetricInput& input, const Group& group, const Points& points,
                  const Kind& kind) {
    MetricRow row = rowOf(kind.pName, group, points);
    row.method = obstacle(points);
    if (!row.method.empty()) return row;
    row.value =
        kind.byRank
            ? stats::permutationTest(stats::ranks(points.reference),
                                     stats::ranks(points.difference), kDraws, input.seed)
            : stats::permutationTest(points.reference, points.difference, kDraws, input.seed);
    row.method = points.reference.size() <= stats::kAllOrders
                     ? "all permutations of the references over the clusters"
                     : std::to_string(kDraws) + " permutations of the references over the clusters";
    return row;
}

std::vector<MetricRow> correlationRows(const MetricInput& input,
                                       const std::vector<std::pair<Group, Points>>& groups,
                                       const char* what) {
    std::vector<MetricRow> rows;
    for (const auto& [group, points] : groups) {
        for (const Kind& kind : kKinds) {
            rows.push_back(valueRow(input, group, points, kind, what));
            if (kind.pName != nullptr) rows.push_back(testRow(input, group, points, kind));
        }
    }
    for (const Kind& kind : kKinds)
        if (kind.pName != nullptr) adjustHolm(rows, kind.pName);
    return rows;
}

}  // namespace

/// Rows reference_pearson, reference_spearman (each with _p) and reference_slope: the mean over a
/// cluster's items of log P(first) - log P(second) against the cluster's number. n counts clusters,
/// which are what is resampled and permuted; the wordings within them are taken as given.
std::vector<MetricRow> referenceCorrelation(const MetricInput& input) {
    std::vector<std::pair<Group, Points>> groups;
    for (Group& group : groupsOf(input)) {
        Points points = pointsOf(input, group);
        groups.emplace_back(std::move(group), std::move(points));
    }
    return correlationRows(input, groups, "log-likelihood difference");
}

/// The same rows for each level of a factor: how much more probable the first choice is, among the
/// choices, than in the reference's twin, against the cluster's number.
std::vector<MetricRow> shiftCorrelation(const MetricInput& input) {
    std::vector<std::pair<Group, Points>> groups;
    for (PairedLevel& level : pairsOf(input)) {
        Points points = pointsOf(input, level);
        groups.emplace_back(std::move(level.group), std::move(points));
    }
    return correlationRows(input, groups, "change of the first choice's share");
}

}  // namespace moescope
