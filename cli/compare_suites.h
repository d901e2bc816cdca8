// SPDX-License-Identifier: Apache-2.0
// Evaluations of several runs side by side: metrics by group, and a paired test on common items.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "profiler/analysis/run_summary.h"

namespace moescope::cli {

/// One metric of one suite and group in every run.
struct MetricComparison {
    std::string suite, name, group;
    std::vector<const MetricRow*> rows;  ///< per run; null where it has none
};

/// Every metric of the baseline (the first run), in its order. Points into `runs`.
std::vector<MetricComparison> compareMetrics(const std::vector<RunSummary>& runs);

/// Mean difference of the item scores between a run and the baseline, over the items that both
/// scored. Items of one cluster (counterfactual versions of one case) are averaged first, since
/// they are not independent.
struct PairedDifference {
    std::string suite;
    std::size_t run = 0;  ///< index; 0 is the baseline
    std::int64_t items = 0, clusters = 0;
    double mean = 0;           ///< run minus baseline
    double standardError = 0;  ///< of the mean, over clusters; NaN for fewer than two
    double p = 1;              ///< sign-flip permutation test, 10,000 draws or exact, seed 1
    double holm = 1;           ///< p adjusted (Holm) for all suites and runs that are compared
};
std::vector<PairedDifference> comparePaired(const std::vector<std::string>& paths,
                                            const std::vector<RunSummary>& runs);

/// What differs between the runs besides what is compared: "basics: limit is 48 and 24". A table of
/// scores from different items, prompts or data must not pass without this.
std::vector<std::string> comparisonWarnings(const std::vector<RunSummary>& runs);

}  // namespace moescope::cli
