// SPDX-License-Identifier: Apache-2.0
// Experts on several GPUs: how evenly these would be loaded, and what that would cost.
#include "reports/html/escape.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/parallel_lines.h"

namespace moescope {
namespace {

std::string lineTable(const ParallelForecast& forecast) {
    const std::vector<ParallelColumn> columns = parallelColumns(forecast);
    std::vector<HtmlColumn> header;
    for (const ParallelColumn& column : columns)
        header.push_back({column.title, column.value != nullptr, column.help});
    HtmlTable table("Placements of the experts", std::move(header), true);
    for (const ParallelLine& line : parallelLines(forecast)) {
        std::vector<HtmlCell> cells;
        for (const ParallelColumn& column : columns)
            cells.push_back(column.value != nullptr
                                ? HtmlCell(column.text(line), column.value(line))
                                : HtmlCell(column.text(line)));
        table.row(std::move(cells));
    }
    return table.html();
}

std::string imbalancePlot(const ParallelForecast& forecast, const SectionContext& at) {
    std::vector<Interval> intervals;
    for (const ParallelLine& line : parallelLines(forecast)) {
        if (line.gpus < 2) continue;  // always even
        intervals.push_back({std::to_string(line.gpus) + " GPUs, " + line.policy,
                             line.figures->imbalance, line.figures->lowest, line.figures->highest,
                             line.chance->imbalance});
    }
    if (intervals.empty()) return {};
    return "<figure>\n" +
           intervalPlot({at.id("imbalance"), "Load of the busiest GPU over the mean",
                         "One line for each number of GPUs and placement; the table has the "
                         "numbers."},
                        intervals, "mean, and range of the judged parts") +
           "<figcaption>Load of the busiest GPU over the mean, within a step and layer; the line "
           "is the range of the judged parts, the tick what chance shows.</figcaption></figure>\n";
}

}  // namespace

std::string renderParallel(const ReportRun& run, const SectionContext& at) {
    const ParallelForecast& forecast = run.parallel;
    if (run.summary.routing.empty()) return paragraph("This run recorded no expert routing.");
    std::string out;
    for (const std::string& sentence : parallelSentences(forecast)) out += paragraph(sentence);
    if (forecast.of.empty()) return out;
    return out + imbalancePlot(forecast, at) + lineTable(forecast);
}

}  // namespace moescope
