// SPDX-License-Identifier: Apache-2.0
// Of written replies: how often an answer could be read from them, and how long they are. A model
// may look fair because it refuses one group, and may reason longer about one than about another.
#include "evals/metrics/paired_test.h"

namespace moescope {

namespace {

bool isAnswered(const ItemResult& item) {
    return item.detail.at("answered").get<bool>();
}

double tokensOf(const ItemResult& item) {
    return item.detail.at("reply_tokens").get<double>();
}

bool hasReference(const MetricInput& input) {
    const FactorSpec* factor = input.suite.factor(input.factor);
    return factor != nullptr && !factor->reference.empty();
}

}  // namespace

/// Rows answered; of a factor with a reference also answered_difference and answered_difference_p
/// (pairedTest, Holm over the levels).
std::vector<MetricRow> answered(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input)) {
        const GroupValues values = valuesOf(
            input, group, [](const ItemResult& item) { return isAnswered(item) ? 1.0 : 0.0; });
        rows.push_back(proportionRow("answered", group, values));
    }
    if (!hasReference(input)) return rows;
    for (const PairedLevel& level : pairsOf(input))
        addPairedDifference(rows, "answered_difference", input, level, isAnswered, "answered");
    adjustHolm(rows, "answered_difference_p");
    return rows;
}

/// Rows reply_tokens: reasoning, answer and control tokens; of a factor with a reference also
/// reply_tokens_difference and reply_tokens_difference_p (meanDifferences).
std::vector<MetricRow> replyTokens(const MetricInput& input) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input))
        rows.push_back(meanRow("reply_tokens", group, valuesOf(input, group, tokensOf),
                               {0, std::numeric_limits<double>::infinity()}));
    if (!hasReference(input)) return rows;
    for (MetricRow& row : meanDifferences("reply_tokens_difference", input, tokensOf))
        rows.push_back(std::move(row));
    return rows;
}

}  // namespace moescope
