// SPDX-License-Identifier: Apache-2.0
// Of written replies: how often an answer could be read from them, what those with an answer score,
// and how long they are. A model may look fair because it refuses one group, unfair because it is
// silent about another, and may reason longer about one than about another.
#include <algorithm>

#include "evals/metrics/paired_test.h"

namespace moescope {

namespace {

bool isCutOff(const ItemResult& item) {
    return item.detail.at("finish") != "stop";
}

double tokensOf(const ItemResult& item) {
    return item.detail.at("reply_tokens").get<double>();
}

MetricRow countRow(const MetricInput& input, const char* name, const char* method,
                   bool (*counted)(const ItemResult&)) {
    MetricRow row;
    row.name = name;
    row.value = static_cast<double>(std::count_if(input.items.begin(), input.items.end(), counted));
    row.n = static_cast<std::int64_t>(input.items.size());
    row.method = method;
    return row;
}

/// Of those with an answer, the share that scores; `guessing`: beside what guessing would.
std::vector<MetricRow> scoreOfAnswered(const MetricInput& input, const char* name, bool guessing) {
    std::vector<MetricRow> rows;
    for (Group group : groupsOf(input)) {
        std::erase_if(group.items, [&](std::size_t i) { return !isAnswered(input.items[i]); });
        if (group.items.empty()) continue;
        rows.push_back(proportionRow(
            name, group,
            valuesOf(input, group, [](const ItemResult& item) { return item.score; })));
        if (guessing) rows.back().chance = chanceOf(input, group);
    }
    return rows;
}

bool hasReference(const MetricInput& input) {
    const FactorSpec* factor = input.suite.factor(input.factor);
    return factor != nullptr && !factor->reference.empty();
}

}  // namespace

/// Rows answered; over all items also the counts replies_unanswered and replies_cut_off; of a
/// factor with a reference also answered_difference and answered_difference_p (pairedTest, Holm
/// over the levels).
std::vector<MetricRow> answered(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input)) {
        const GroupValues values = valuesOf(
            input, group, [](const ItemResult& item) { return isAnswered(item) ? 1.0 : 0.0; });
        rows.push_back(proportionRow("answered", group, values));
    }
    if (input.factor.empty()) {
        rows.push_back(countRow(input, "replies_unanswered",
                                "count of replies that hold no answer: neither right nor "
                                "favourable, and in no bias score",
                                [](const ItemResult& item) { return !isAnswered(item); }));
        rows.push_back(countRow(
            input, "replies_cut_off",
            "count of replies that were ended by --tokens or the context: give more", isCutOff));
    }
    if (!hasReference(input)) return rows;
    for (const PairedLevel& level : pairsOf(input))
        addPairedDifference(rows, "answered_difference", input, level, isAnswered, "answered");
    adjustHolm(rows, "answered_difference_p");
    return rows;
}

/// Rows accuracy_answered: of the items with an answer, the share right; with repeats an item's is
/// that of its replies with one.
std::vector<MetricRow> accuracyAnswered(const MetricInput& input) {
    return scoreOfAnswered(input, "accuracy_answered", true);
}

/// Rows selection_rate_answered: of the items with an answer, the share of favourable ones.
std::vector<MetricRow> selectionRateAnswered(const MetricInput& input) {
    return scoreOfAnswered(input, "selection_rate_answered", false);
}

/// Rows reply_tokens: reasoning, answer and control tokens; of a factor with a reference also
/// reply_tokens_difference and reply_tokens_difference_p (meanDifferences).
std::vector<MetricRow> replyTokens(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input)) {
        rows.push_back(meanRow("reply_tokens", group, valuesOf(input, group, tokensOf),
                               {0, std::numeric_limits<double>::infinity()}));
        const auto cut = std::count_if(group.items.begin(), group.items.end(),
                                       [&](std::size_t i) { return isCutOff(input.items[i]); });
        if (cut > 0)
            rows.back().method += "; " + std::to_string(cut) + " of " +
                                  std::to_string(group.items.size()) +
                                  " were cut off: at least this long";
    }
    if (!hasReference(input)) return rows;
    for (MetricRow& row :
         meanDifferences("reply_tokens_difference", input, pairsOf(input), tokensOf))
        rows.push_back(std::move(row));
    return rows;
}

}  // namespace moescope
