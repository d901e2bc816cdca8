// SPDX-License-Identifier: Apache-2.0
// Accuracy of multiple choice: plain, per character, and averaged over groups.
#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "engine/core/count_text.h"
#include "evals/metrics/grouping.h"
#include "evals/stats/distributions.h"
#include "evals/stats/intervals.h"

namespace moescope {

namespace {

GroupValues sharesRight(const MetricInput& input, const Group& group, const char* field) {
    return valuesOf(input, group, [&](const ItemResult& item) {
        return item.detail.at(field).get<bool>() ? 1.0 : 0.0;
    });
}

std::vector<MetricRow> shareRight(const MetricInput& input, const char* name, const char* field) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input)) {
        rows.push_back(proportionRow(name, group, sharesRight(input, group, field)));
        // Silence is no guess: a group that holds any has no chance level.
        if (std::all_of(group.items.begin(), group.items.end(),
                        [&](std::size_t i) { return isAnswered(input.items[i]); }))
            rows.back().chance = chanceOf(input, group);
    }
    return rows;
}

}  // namespace

std::vector<MetricRow> accuracy(const MetricInput& input) {
    return shareRight(input, "accuracy", "right");
}

std::vector<MetricRow> accuracyNorm(const MetricInput& input) {
    return shareRight(input, "accuracy_norm", "right_norm");
}

/// Mean of the groups' accuracies. The groups are fixed, so only sampling within them counts:
/// variance = sum of the groups' variances / G^2. A group whose items all agree has sample variance
/// 0 but is not certain: the variance counts at least as p (1 - p) / n with p = (right + 1) / (n +
/// 2) (Laplace), n being the items that agree, else their replies. No interval when a group has a
/// single item.
std::vector<MetricRow> accuracyMacro(const MetricInput& input) {
    MetricRow row;
    row.name = "accuracy_macro";
    row.group = input.factor;
    double variance = 0;
    bool enough = true;
    std::optional<double> chance = 0.0;
    const std::vector<Group> members = groupsOf(input);
    const std::vector<MetricRow> groups = accuracy(input);
    std::set<std::string_view> clusters;
    for (const Group& group : members)
        for (const std::size_t i : group.items) clusters.insert(input.items[i].cluster);
    row.clusters = static_cast<std::int64_t>(clusters.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const MetricRow& group = groups[g];
        row.value += group.value;
        chance = chance && group.chance ? std::optional(*chance + *group.chance) : std::nullopt;
        const double error = group.standardError.value_or(0);
        const double n = error > 0 ? sharesRight(input, members[g], "right").draws
                                   : static_cast<double>(group.n);
        const double smooth = (group.value * n + 1) / (n + 2);
        variance += std::max(error * error, smooth * (1 - smooth) / n);
        enough = enough && group.n > 1 && group.standardError.has_value();
        row.n += group.n;
    }
    if (groups.empty()) return {};
    const auto count = static_cast<double>(groups.size());
    row.value /= count;
    if (chance) row.chance = *chance / count;
    row.method = "mean over " + countText(groups.size(), "level") + " of " + input.factor;
    if (!enough) {
        row.method += "; no interval: a level has too few items";
        return {row};
    }
    row.standardError = std::sqrt(variance) / count;
    const double z = stats::normalQuantile(0.975);
    row.low = std::max(0.0, row.value - z * *row.standardError);
    row.high = std::min(1.0, row.value + z * *row.standardError);
    row.method += ", normal interval";
    return {row};
}

}  // namespace moescope
