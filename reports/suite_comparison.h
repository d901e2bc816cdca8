// SPDX-License-Identifier: Apache-2.0
// Evaluations of several runs beside the first of them: each metric's difference, and a paired test
// on the items that both scored. What `moescope compare`, the reports and the window show.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/run_summary.h"
#include "reports/report_model.h"

namespace moescope {

/// Points into what the caller keeps.
struct EvaluatedRun {
    const RunSummary* summary = nullptr;
    std::function<std::span<const ItemRow>(std::int64_t suite)> items;  ///< empty: it has none
};

/// One metric of one suite and group in the first run and in another.
struct MetricChange {
    std::string suite, name, group;  ///< group "" for all items
    std::size_t run = 1;             ///< index of the other
    MetricRow before;                ///< of the first
    std::optional<MetricRow> after;  ///< none: it has no such value
    /// Of the items that both scored where `p` is there, else of the two values: after - before.
    double difference = std::numeric_limits<double>::quiet_NaN();
    std::optional<double> low, high;  ///< 95 % interval: Student's t over clusters
    std::optional<double> standardError;
    /// Sign-flip permutation test over clusters, 10,000 draws or exact, seed 1. Only of metrics
    /// that are a mean over items: of no other is there a difference for each item.
    std::optional<double> p;
    /// p adjusted (Holm) for all metrics, suites and runs: of whole suites among themselves, of
    /// what repeats say together (pass@k, cons@K, instability@K) and of groups, so that the many
    /// groups of a suite do not hide what it shows.
    std::optional<double> holm;
    std::int64_t items = 0, clusters = 0;  ///< that both scored; an item counts once, however often
                                           ///< it was asked
    std::string note;                      ///< what keeps it from being concluded from
};

struct SuiteComparison {
    /// Every score of the first run's suites that another run has too, in the suites' order; tests
    /// and counts of items are no scores.
    std::vector<MetricChange> changes;
    /// What differs between the runs besides what is compared: "basics: limit is 48 in the first
    /// and 24 in run 2". A table of scores from different items, prompts or data must not pass
    /// without this. Empty where no run has suites.
    std::vector<std::string> warnings;
};
SuiteComparison compareSuites(std::span<const EvaluatedRun> runs);
SuiteComparison compareSuites(std::span<const ReportRun> runs);

/// "0.412 [0.371, 0.453]", "-" without a value.
std::string scoreCell(const MetricRow* metric);
/// "+0.031 [-0.002, 0.064]", "" where there is none.
std::string differenceCell(const MetricChange& change);
/// "0.013", "" without a test.
std::string probabilityCell(const std::optional<double>& p);

/// How the columns are to be read; stands beside every such table.
inline constexpr char kSuiteComparisonNote[] =
    "Differences are of the items that both runs scored, of repeats of their means, with 95 % "
    "intervals; p: sign-flip permutation test over clusters of these items, adjusted (Holm) for "
    "all such tests of whole suites, for those of pass@k, cons@K and instability@K, and for all "
    "of groups; intervals are each by itself, so that one may exclude 0 where p is large. Without "
    "p a difference is not tested, and overlapping intervals do not show that two runs are alike.";

}  // namespace moescope
