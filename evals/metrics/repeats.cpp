// SPDX-License-Identifier: Apache-2.0
// Of items that were asked several times: is any of k replies right, is the answer that most give,
// and do they give the same one? An item without repeats is in none of them.
#include <algorithm>

#include "evals/metrics/grouping.h"
#include "evals/stats/repeats.h"

namespace moescope {

namespace {

using Replies = std::span<const std::size_t>;

/// Those that hold an answer: silence is no vote.
std::vector<stats::Vote> votesOf(const MetricInput& input, Replies replies) {
    std::vector<stats::Vote> votes;
    for (const std::size_t i : replies)
        if (isAnswered(input.items[i]))
            votes.push_back({input.items[i].answer, input.items[i].score});
    return votes;
}

std::int64_t rightOf(const MetricInput& input, Replies replies) {
    return std::count_if(replies.begin(), replies.end(), [&](std::size_t i) {
        return input.items[i].detail.at("right").get<bool>();
    });
}

/// How often each item was asked; 1 without repeats.
std::int64_t repeatsOf(const MetricInput& input) {
    std::int64_t last = 0;
    for (const ItemResult& item : input.items) last = std::max(last, item.repeat);
    return last + 1;
}

std::string numbered(const char* name, std::int64_t replies) {
    return name + ("@" + std::to_string(replies));
}

}  // namespace

/// Rows pass@1, pass@2, pass@4, .. and pass@K of items with K replies: the mean of stats::passAt.
std::vector<MetricRow> passAt(const MetricInput& input) {
    std::vector<MetricRow> rows;
    const std::int64_t repeats = repeatsOf(input);
    if (repeats == 1) return rows;
    for (const Group& group : groupsOf(input)) {
        for (const std::int64_t k : stats::passSizes(repeats)) {
            GroupValues values =
                valuesOf(input, group.items, [&](Replies replies) -> std::optional<double> {
                    const auto n = static_cast<std::int64_t>(replies.size());
                    if (n < k) return std::nullopt;
                    return stats::passAt(n, rightOf(input, replies), k);
                });
            if (values.values.empty()) continue;
            values.draws *= static_cast<double>(repeats / k);  // sets of k that share no reply
            rows.push_back(proportionRow(numbered("pass", k), group, values));
            rows.back().method = "unbiased from " + std::to_string(repeats) +
                                 " replies to each item; " + rows.back().method;
        }
    }
    return rows;
}

/// Rows cons@K: the score of the answer that most of an item's replies give (stats::consensus).
std::vector<MetricRow> consensus(const MetricInput& input) {
    std::vector<MetricRow> rows;
    const std::int64_t repeats = repeatsOf(input);
    if (repeats == 1) return rows;
    for (const Group& group : groupsOf(input)) {
        const GroupValues values = valuesOf(input, group.items, [&](Replies replies) {
            return std::optional(stats::consensus(votesOf(input, replies)));
        });
        rows.push_back(proportionRow(numbered("cons", repeats), group, values));
        rows.back().method = "majority vote, of tied answers their mean; " + rows.back().method;
    }
    return rows;
}

/// Rows instability@K: the share of items whose replies do not all give the same answer, of those
/// items that have two replies with one at least.
std::vector<MetricRow> instability(const MetricInput& input) {
    std::vector<MetricRow> rows;
    const std::int64_t repeats = repeatsOf(input);
    if (repeats == 1) return rows;
    for (const Group& group : groupsOf(input)) {
        const GroupValues values =
            valuesOf(input, group.items, [&](Replies replies) -> std::optional<double> {
                const std::vector<stats::Vote> votes = votesOf(input, replies);
                if (votes.size() < 2) return std::nullopt;
                return stats::unanimous(votes) ? 0 : 1;
            });
        if (values.values.empty()) continue;
        rows.push_back(proportionRow(numbered("instability", repeats), group, values));
    }
    return rows;
}

}  // namespace moescope
