// SPDX-License-Identifier: Apache-2.0
// The metrics of a suite as every table shows them: a test in a column beside what it tests, and
// counts of items as sentences, since neither is a score.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/runfile/rows.h"

namespace moescope {

/// Is it the p value of another metric, "ss_p" of "ss"?
bool isTest(std::string_view metric) noexcept;
/// Is it a number of items or replies that others leave out, not a score?
bool isItemCount(std::string_view metric) noexcept;
inline bool isScore(std::string_view metric) noexcept {
    return !isTest(metric) && !isItemCount(metric);
}

/// Is it a percentage, and so read against 0 to 100?
bool isPercentage(std::string_view metric) noexcept;

struct MetricLine {
    const MetricRow* metric = nullptr;  ///< a score
    const MetricRow* test = nullptr;    ///< of it; null: none
};
/// The scores among `metrics`, in their order. Points into `metrics`.
std::vector<MetricLine> metricLines(std::span<const MetricRow> metrics);

/// "items_without_stereotype: 3 of 40 items, gender 1 of 8 (count of ...)": for each count that is
/// not 0 a sentence without its full stop.
std::vector<std::string> itemCountNotes(std::span<const MetricRow> metrics);

/// A metric's group as a person reads it: "all" of every item. IFEval counts by families of
/// instructions in two ways, which are told apart: "family=keywords" are the prompts that have no
/// others, "instructions=keywords" these instructions in whichever prompt.
std::string groupTitle(std::string_view metric, std::string_view group);

/// p to two digits: "0.013"; of none "", of a test without data kNoData.
std::string testText(const MetricRow* test);
/// "120", or "120 in 12 clusters" where these are fewer: what an interval rests on.
std::string basisText(const MetricRow& metric);

}  // namespace moescope
