// SPDX-License-Identifier: Apache-2.0
// Headline figures of several runs side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reports/headline.h"
#include "reports/report_model.h"

namespace moescope {

struct ComparisonRow {
    std::string id, label;
    std::vector<std::optional<HeadlineFigure>> figures;  ///< (n_runs); absent where not measured
    bool shared() const noexcept;                        ///< of at least two runs
};

/// Every figure that at least one run has, in the order of `headline`.
std::vector<ComparisonRow> compareHeadlines(std::span<const ReportRun> runs);

/// Change of run `index` against the first run as a fraction; NaN when either is absent or the
/// first is zero, of scores (a share of a difference between groups says nothing), and of raw
/// figures over different numbers of tokens, whose ratio says more of these than of the runs.
double relativeChange(const ComparisonRow& row, std::size_t index);
/// The same as a difference, in the figure's unit; NaN when either is absent.
double difference(const ComparisonRow& row, std::size_t index);

/// Is the figure of run `index` of more than twice, or less than half, the tokens of the first?
bool ofOtherLength(const ComparisonRow& row, std::size_t index);
/// More than twofold apart; what is of no tokens is not.
bool tokensApart(std::int64_t base, std::int64_t run) noexcept;

/// A phrase for each thing that keeps figures of `run` from being read against those of `base`:
/// phases whose tokens are more than twofold apart, and measured ceilings more than 10 % apart, to
/// which the shares of roofs are.
std::vector<std::string> comparisonCautions(const RunSummary& base, const RunSummary& run);
/// Why raw max/mean of the two cannot be compared; empty where it can, or one has none.
std::string rawBalanceCaution(const RunSummary& base, const RunSummary& run);
/// All that must be known before figures of `run` are read beside those of `base`: in what they are
/// not of the same thing (identityDifferences), and the two above.
std::vector<std::string> allCautions(const RunSummary& base, const RunSummary& run);

}  // namespace moescope
