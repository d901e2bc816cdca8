// SPDX-License-Identifier: Apache-2.0
// Where the time goes: operations by phase, and operation time by layer.
#include <algorithm>
#include <array>

#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"
#include "reports/roofline_plane.h"
#include "reports/terms.h"

namespace moescope {
namespace {

std::string rate(double perSecond, const char* unit) {
    return perSecond > 0 ? formatPerSecond(perSecond, unit) : kNoData;
}

std::string phaseTable(const ReportRun& report, const std::string& phase,
                       const PhaseSummary& summary) {
    const RunSummary& run = report.summary;
    double greatest = 0;
    for (const OperationGroup& group : run.operations) {
        if (group.phase == phase) greatest = std::max(greatest, static_cast<double>(group.totalNs));
    }
    if (greatest <= 0) return {};
    const Ceilings& ceilings = report.analysis.roofline.ceilings;
    HtmlTable table("Operations in " + phase + ": " + formatCounted(summary.tokens, "token") +
                        ", " + formatCounted(summary.steps, "step") + ", " +
                        formatDuration(static_cast<double>(summary.wallNs)) + " wall time",
                    {{"operation"},
                     {"kernel"},
                     {"calls", true},
                     {"total", true},
                     {"share of run", true, "of all operation time of the run, both phases"},
                     {"mean", true, "of one call"},
                     {"median", true, "of one call"},
                     {"p95", true, "95th percentile of one call"},
                     {"p99", true, "99th percentile of one call"},
                     {kStdDev, true, "standard deviation of the calls"},
                     {"bandwidth", true, "bytes that must be read, per second of operation time"},
                     {"arithmetic", true, "a multiply-add counts two"},
                     {"of roof", true, "of the lower roof, which is told beside"},
                     {"bound by", false, "memory: bandwidth; compute: rate of arithmetic"}},
                    true);
    std::vector<RoofShare> shares;
    for (const OperationGroup& group : run.operations) {
        if (group.phase != phase) continue;
        shares.push_back(shareOfRoof(group, ceilings));
        const RoofShare& ofRoof = shares.back();
        HtmlCell total(formatDuration(static_cast<double>(group.totalNs)),
                       static_cast<double>(group.totalNs));
        total.bar = static_cast<double>(group.totalNs) / greatest;
        table.row({group.op, group.kernel,
                   HtmlCell(formatCount(group.calls), static_cast<double>(group.calls)), total,
                   HtmlCell(formatPercent(group.share), group.share),
                   HtmlCell(formatDuration(group.meanNs), group.meanNs),
                   HtmlCell(formatDuration(static_cast<double>(group.medianNs)),
                            static_cast<double>(group.medianNs)),
                   HtmlCell(formatDuration(static_cast<double>(group.p95Ns)),
                            static_cast<double>(group.p95Ns)),
                   HtmlCell(formatDuration(static_cast<double>(group.p99Ns)),
                            static_cast<double>(group.p99Ns)),
                   HtmlCell(formatDuration(group.standardDeviationNs), group.standardDeviationNs),
                   HtmlCell(rate(group.bytesPerSecond(), "B"), group.bytesPerSecond()),
                   HtmlCell(rate(group.flopsPerSecond(), "FLOP"), group.flopsPerSecond()),
                   HtmlCell(formatPercent(ofRoof.share), ofRoof.share),
                   ofRoof.bound != nullptr ? ofRoof.bound : kNoData});
    }
    const std::string above = aboveRoofNote(shares, ceilings);
    return table.html() + (above.empty() ? "" : paragraph(above)) +
           paragraph("Operations account for " + formatPercent(summary.operationShare) +
                     " of the time inside the steps of " + phase +
                     " (what lies between steps is not in it); below 95 % the profile misses "
                     "something.");
}

std::string byLayer(const RunSummary& run, const SectionContext& at) {
    ColumnChart chart;
    chart.horizontal = "layer";
    chart.format = formatDuration;
    std::int64_t total = 0;
    for (const auto& [layer, ns] : run.layerNs) total += ns;
    HtmlTable table("Operation time by layer", {{"layer"}, {"time", true}, {"share", true}});
    for (const auto& [layer, ns] : run.layerNs) {
        const auto time = static_cast<double>(ns);
        const std::string name = layer < 0 ? "outside" : std::to_string(layer);
        table.row({name, formatDuration(time), formatPercent(time / static_cast<double>(total))});
        if (layer < 0) continue;
        chart.labels.push_back(name);
        chart.values.push_back(time);
    }
    if (chart.values.empty() || total <= 0) return {};
    return at.heading(1, "Time by layer") + "<figure>\n" +
           columnChart({at.id("layers"), "Operation time by layer",
                        "One column per layer. The table after the figure has the same numbers."},
                       chart) +
           "<figcaption>Operation time by layer, both phases. Operations outside the layers "
           "(embedding, "
           "head, sampling) are in the table.</figcaption></figure>\n" +
           htmlDetails("Table: operation time by layer", table.html());
}

}  // namespace

std::string renderOperations(const ReportRun& run, const SectionContext& at) {
    if (run.summary.operations.empty()) return paragraph("This run recorded no operation times.");
    const std::array<std::pair<std::string, const PhaseSummary*>, 2> phases = {
        {{"prefill", &run.summary.prefill}, {"decode", &run.summary.decode}}};
    std::string out;
    for (const auto& [phase, summary] : phases) {
        const std::string table = phaseTable(run, phase, *summary);
        if (!table.empty()) out += at.heading(1, phase == "prefill" ? "Prefill" : "Decode") + table;
    }
    return out + byLayer(run.summary, at);
}

}  // namespace moescope
