// SPDX-License-Identifier: Apache-2.0
// Where the wall time went, what each token waited for, how near the roofline the kernels come, and
// whether a hot expert costs time.
#include <cmath>

#include "reports/counter_names.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"
#include "reports/roofline_plane.h"
#include "reports/terms.h"

namespace moescope {
namespace {

std::string share(double part, double whole) {
    return formatPercent(whole > 0 ? part / whole : std::nan(""));
}

std::string breakdown(const std::vector<PhaseTime>& time) {
    HtmlTable table("Wall time by what the machine did",
                    {{"phase"},
                     {kWallTime, true},
                     {"compute", true},
                     {"copy", true, "copies that no computation hides"},
                     {kIdle, true, "launch gap, host wait and other together"},
                     {"launch gap", true, "idle from one operation to the next"},
                     {"host wait", true, "idle because the host had not asked for work yet"},
                     {"other", true, "idle between sequences, and long gaps"}});
    for (const PhaseTime& phase : time) {
        const TimeParts& p = phase.parts;
        std::vector<HtmlCell> cells{phaseTitle(phase.phase),
                                    formatDuration(static_cast<double>(p.wallNs))};
        for (const std::int64_t ns :
             {p.computeNs, p.copyNs, p.idleNs(), p.launchGapNs, p.hostWaitNs, p.otherNs})
            cells.emplace_back(share(static_cast<double>(ns), static_cast<double>(p.wallNs)));
        table.row(std::move(cells));
    }
    return table.html();
}

std::string latency(const TokenLatency& of, const SectionContext& at) {
    if (of.tokens.empty()) return {};
    HtmlTable times("Latency of tokens", {{"time"},
                                          {"tokens", true},
                                          {"mean", true},
                                          {"median", true},
                                          {"p90", true},
                                          {"p95", true},
                                          {"p99", true},
                                          {kMax, true},
                                          {kStdDev, true}});
    const auto add = [&](const char* name, const Distribution& d, double p90) {
        if (d.count == 0) return;
        times.row({name, formatCount(d.count), formatDuration(d.mean), formatDuration(d.median),
                   formatDuration(p90), formatDuration(d.p95), formatDuration(d.p99),
                   formatDuration(static_cast<double>(d.max)),
                   formatDuration(d.standardDeviation)});
    };
    add(kTimeToFirstToken, of.ttft, of.ttftP90);
    add(kTimePerOutputToken, of.tpot, of.tpotP90);
    std::vector<HtmlColumn> columns{{"part"}};
    for (const LatencyStack& stack : of.stacks) columns.push_back({stack.name, true});
    HtmlTable stacks("What a token's time went to, mean", std::move(columns));
    for (std::size_t part = 0; part < of.parts.size(); ++part) {
        std::vector<HtmlCell> cells{of.parts[part]};
        for (const LatencyStack& stack : of.stacks)
            cells.emplace_back(formatDuration(stack.partsNs[part]) + " (" +
                               share(stack.partsNs[part], stack.meanNs) + ")");
        stacks.row(std::move(cells));
    }
    return at.heading(1, "Tokens") + times.html() + stacks.html();
}

std::string roofline(const Roofline& of, const SectionContext& at) {
    if (of.points.empty()) return {};
    const std::string heading = at.heading(1, "Roofline");
    if (!(of.ceilings.bytesPerSecond > 0))
        return heading + paragraph(ceilingsSentence(of.ceilings));
    HtmlTable table("Roofline",
                    {{"operation"},
                     {"kernel"},
                     {"phase"},
                     {"operations per byte", true},
                     {"arithmetic", true},
                     {"roof", true},
                     {"of roof", true},
                     {"peak of", false, "the instructions that the kernel multiplies with"},
                     {"bound by"},
                     {"bytes and operations"}});
    for (const RooflinePoint& p : of.points)
        table.row({p.op, p.kernel, p.phase, formatSignificant(p.intensity),
                   formatPerSecond(p.operationsPerSecond, "OP"), formatPerSecond(p.roof, "OP"),
                   formatPercent(p.share), p.operationKind,
                   p.bound() != nullptr ? p.bound() : kNoData, p.origin()});
    const std::string above = aboveRoofNote(of);
    const std::string figure =
        "<figure>\n" +
        rooflineChart(
            {at.id("roofline"), "Roofline",
             "Operations per second of each kernel against its operations per byte, under "
             "the roofs of memory and arithmetic. The table after the figure has the same "
             "numbers."},
            of) +
        "<figcaption>The roof of a kernel is the lower of memory and the arithmetic that it uses; "
        "arithmetic that no kernel of this run uses has a dashed "
        "roof.</figcaption></figure>\n";
    return heading + paragraph(ceilingsSentence(of.ceilings)) + figure +
           htmlDetails("Table: roofline", table.html()) +
           (above.empty() ? std::string() : paragraph(above)) +
           (of.anyModelled() ? paragraph(kModelledNote) : std::string());
}

std::string sampled(const std::vector<SampledMetric>& metrics, const SectionContext& at) {
    if (metrics.empty()) return {};
    HtmlTable table("Counters sampled in the steps of each phase", {{"counter"},
                                                                    {"phase"},
                                                                    {"samples", true},
                                                                    {"mean", true},
                                                                    {"peak", true, "of one sample"},
                                                                    {"NVIDIA's name"}});
    for (const SampledMetric& metric : metrics)
        for (const SampledPhase& phase : metric.phases)
            table.row({counterName(metric.metric), phase.phase, formatCount(phase.samples),
                       formatCounter(metric.metric, phase.mean),
                       formatCounter(metric.metric, phase.peak), metric.metric});
    return at.heading(1, "Counters over time") + table.html();
}

std::string hotExperts(const ExpertLoad& load, const SectionContext& at) {
    std::string out = at.heading(1, "Does a hot expert cost time?");
    if (load.phases.empty()) return out + paragraph(load.reason);
    HtmlTable table("What a launch of the experts costs",
                    {{"phase"}, {"one more"}, {"adds", true}, {"95 % low", true}, {"high", true}});
    for (const ExpertLoadPhase& phase : load.phases) {
        out += paragraph(phase.phase + ": " + formatCounted(phase.launches, "launch") + ". " +
                         phase.verdict + (phase.basis().empty() ? "" : " " + phase.basis()));
        for (const Coefficient& c : phase.fit.coefficients)
            if (c.estimated)
                table.row({phase.phase, c.name, formatDuration(c.value), formatDuration(c.low),
                           formatDuration(c.high)});
    }
    return table.empty() ? out : out + table.html();
}

}  // namespace

std::string renderTime(const ReportRun& run, const SectionContext& at) {
    if (run.analysis.empty()) return paragraph("This run recorded no times.");
    return breakdown(run.analysis.time) + latency(run.analysis.latency, at) +
           roofline(run.analysis.roofline, at) + sampled(run.analysis.sampled, at) +
           hotExperts(run.analysis.expertLoad, at);
}

}  // namespace moescope
