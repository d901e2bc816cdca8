// SPDX-License-Identifier: Apache-2.0
// Items by level of a factor, counterfactual pairs, and columns of values: shared by all metrics.
// Several replies to one item are no items of their own: they are averaged before anything else, so
// that the spread of the items' means has both variances in it, that between items and that of an
// item's replies divided by their number (Miller, arXiv 2411.00640, section 3.1).
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evals/metrics/metric.h"
#include "evals/stats/intervals.h"

namespace moescope {

struct Group {
    std::string level;  ///< "" for all items
    std::string label;  ///< MetricRow::group: "" or "factor=level"
    /// Indices into MetricInput::items, in order: replies to one item follow one another.
    std::vector<std::size_t> items;
};
/// One group of everything when the input has no factor; else its levels in alphabetical order.
/// Items without a level of the factor are in none.
std::vector<Group> groupsOf(const MetricInput& input);

/// Clusters as small integers, one for each item: what the statistics take.
std::vector<std::size_t> clusterIds(std::span<const ItemResult> items);

/// `rows`, indices as in Group::items, cut into the replies to each item.
std::vector<std::span<const std::size_t>> byItem(const MetricInput& input,
                                                 std::span<const std::size_t> rows);
/// How many items they are replies to.
std::int64_t itemCount(const MetricInput& input, std::span<const std::size_t> rows);

struct GroupValues {
    std::vector<double> values;  ///< one an item: the mean over its replies
    std::vector<std::size_t> clusters;
    /// The replies, as many as they are worth: n^2 / sum 1 / k_i, where item i has k_i. Without
    /// repeats the number of values.
    double draws = 0;

    bool repeated() const { return draws > static_cast<double>(values.size()); }
};
/// `value` of the replies to each item among `rows`; nothing leaves the item out. `draws`: of one
/// reply each.
GroupValues valuesOf(
    const MetricInput& input, std::span<const std::size_t> rows,
    const std::function<std::optional<double>(std::span<const std::size_t>)>& value);
/// `value` of each item of a group, the mean over its replies.
GroupValues valuesOf(const MetricInput& input, const Group& group,
                     const std::function<double(const ItemResult&)>& value);

/// Share right of who guesses: the mean of 1 / choices over the group's items. None where an answer
/// is no choice.
std::optional<double> chanceOf(const MetricInput& input, const Group& group);

/// An item of a level and its twin of the reference level.
struct Pair {
    std::size_t item = 0, reference = 0;  ///< indices into MetricInput::items
};
struct PairedLevel {
    Group group;
    std::vector<Pair> pairs;
};
/// One value for each two items that are twins, `value` of the one and the other, the mean over
/// their replies; pairs of one cluster share it.
GroupValues valuesOf(
    const MetricInput& input, const PairedLevel& level,
    const std::function<double(const ItemResult& item, const ItemResult& twin)>& value);
/// For each level other than the reference. Twins share the cluster and all `match` factors; items
/// without a twin (--limit keeps twins together) are left out. Two twins are an Error. Replies are
/// paired repeat by repeat: the twins of one repeat are drawn independently, as those of all are.
std::vector<PairedLevel> pairsOf(const MetricInput& input);

/// The same of the twins that both have an answer, since silence neither agrees nor decides; levels
/// without such twins are left out.
std::vector<PairedLevel> answeredPairsOf(const MetricInput& input);

/// How many twins the pairs of a level are replies to.
std::int64_t itemCount(const MetricInput& input, const PairedLevel& level);

/// How often two replies to the same item differ in `what`, over the items of a level's pairs and
/// their twins: the share of pairs that would differ if the twins were one item. Nothing where no
/// item has two replies.
std::optional<double> differByChance(const MetricInput& input, const PairedLevel& level,
                                     const std::function<int(const ItemResult&)>& what);

/// Mean of value(item) - value(reference) over the pairs of each cluster: the independent units.
std::vector<double> clusterDifferences(const MetricInput& input, const PairedLevel& level,
                                       const std::function<double(const ItemResult&)>& value);

/// Proportion with a Wilson interval, clustered when items share clusters. Sample-sd standard
/// error.
MetricRow proportionRow(const std::string& name, const Group& group, const GroupValues& values);
/// Mean with a clustered t interval (C - 1 degrees of freedom), cut off where the quantity ends.
MetricRow meanRow(const std::string& name, const Group& group, const GroupValues& values,
                  stats::Interval range = {-std::numeric_limits<double>::infinity(),
                                           std::numeric_limits<double>::infinity()});

/// The same of values that are one for each cluster.
MetricRow meanRow(const std::string& name, const Group& group,
                  const std::vector<double>& ofClusters,
                  stats::Interval range = {-std::numeric_limits<double>::infinity(),
                                           std::numeric_limits<double>::infinity()});
/// Takes the interval of a mean away, and says so, where it would claim a certainty that is not
/// there: with fewer than stats::kFewestClusters, or when all agree.
bool withheldInterval(MetricRow& row, std::size_t clusters);

/// How a p by sign flips was found: "all sign flips by base", "10,000 random sign flips by base".
std::string signFlipText(const std::vector<double>& differences, const std::string& what);

/// Holm over the rows of that name that have a p-value: one for each level.
void adjustHolm(std::vector<MetricRow>& rows, const std::string& name);

}  // namespace moescope
