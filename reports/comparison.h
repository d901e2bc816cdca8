// SPDX-License-Identifier: Apache-2.0
// Headline figures of several runs side by side.
#pragma once

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
/// first is zero.
double relativeChange(const ComparisonRow& row, std::size_t index);

}  // namespace moescope
