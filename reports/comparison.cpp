// SPDX-License-Identifier: Apache-2.0
// Joins headline figures of runs by their stable ids.
#include "reports/comparison.h"

#include <algorithm>
#include <limits>

namespace moescope {

bool ComparisonRow::shared() const noexcept {
    return std::count_if(figures.begin(), figures.end(),
                         [](const auto& figure) { return figure.has_value(); }) > 1;
}

std::vector<ComparisonRow> compareHeadlines(std::span<const ReportRun> runs) {
    std::vector<ComparisonRow> rows;
    for (std::size_t run = 0; run < runs.size(); ++run) {
        for (HeadlineFigure& figure : headline(runs[run].summary)) {
            auto row = std::find_if(rows.begin(), rows.end(), [&](const ComparisonRow& known) {
                return known.id == figure.id;
            });
            if (row == rows.end()) {
                rows.push_back({figure.id, figure.label, {}});
                row = rows.end() - 1;
                row->figures.resize(runs.size());
            }
            row->figures[run] = std::move(figure);
        }
    }
    return rows;
}

double relativeChange(const ComparisonRow& row, std::size_t index) {
    const auto& base = row.figures.front();
    const auto& other = row.figures[index];
    if (!base || !other || base->value == 0) return std::numeric_limits<double>::quiet_NaN();
    return other->value / base->value - 1;
}

}  // namespace moescope
