// SPDX-License-Identifier: Apache-2.0
// Several runs by depth: a figure for each measure, and one table of all of them.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "reports/depth_curves.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope {
namespace {

std::string depthTable(const std::vector<DepthRun>& runs) {
    std::vector<HtmlColumn> columns = {{"run"}, {"layer", true}, {"depth", true}};
    for (const DepthFigure& figure : depthFigures())
        columns.push_back({figure.title, true, figure.help});
    columns.push_back({"entropy " + std::string(kByChance), true,
                       "normalised, of a router without favourites for as many tokens"});
    HtmlTable table("Each layer of the runs", std::move(columns), true);
    for (const DepthRun& run : runs) {
        for (const DepthLayer& layer : run.profile.of) {
            std::vector<HtmlCell> cells = {run.title,
                                           {std::to_string(layer.layer), double(layer.layer)},
                                           {formatFixed(layer.depth, 3), layer.depth}};
            for (const DepthFigure& figure : depthFigures()) {
                const double value = figure.value(layer);
                cells.emplace_back(figure.text(value), value);
            }
            cells.emplace_back(formatFixed(layer.chanceEntropy, 4), layer.chanceEntropy);
            table.row(std::move(cells));
        }
    }
    return table.html();
}

}  // namespace

std::string renderDepth(std::span<const ReportRun> runs) {
    std::vector<DepthRun> lines;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const std::string number = "run " + std::to_string(i + 1);
        lines.push_back(
            {number + ": " + runs[i].modelName(), number, depthProfile(runs[i].summary)});
    }
    const auto drawn = std::count_if(lines.begin(), lines.end(),
                                     [](const DepthRun& line) { return !line.profile.empty(); });
    if (drawn == 0) return {};
    std::string out = "<h3 id=\"depth\">By depth</h3>\n" + paragraph(kDepthNote);
    for (const std::string& sentence : depthSentences(lines)) out += paragraph(sentence);
    if (drawn == 1) return out + paragraph("There is no second line to compare with.");
    for (const DepthFigure& figure : depthFigures()) {
        const CurveSet set = depthCurves(lines, figure);
        if (set.curves.empty()) continue;
        std::vector<std::size_t> points(set.x.size());
        std::iota(points.begin(), points.end(), std::size_t{0});
        out +=
            "<figure>\n" +
            curveChart({"depth-" + std::string(figure.key), std::string(figure.title) + " by depth",
                        "A line for each run. The table after the figures has the numbers."},
                       set, points) +
            "<figcaption>" + figure.title + ": " + figure.help + ".</figcaption></figure>\n";
    }
    return out + htmlDetails("Table: each layer of the runs", depthTable(lines));
}

}  // namespace moescope
