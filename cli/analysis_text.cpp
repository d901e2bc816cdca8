// SPDX-License-Identifier: Apache-2.0
#include "cli/analysis_text.h"

#include <cmath>

#include "cli/console.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "reports/counter_names.h"
#include "reports/numbers.h"
#include "reports/roofline_plane.h"
#include "reports/terms.h"

namespace moescope::cli {
namespace {

std::string duration(double ns) {
    return std::isfinite(ns) ? formatDuration(ns) : "-";
}

std::string percent(double share) {
    return std::isfinite(share) ? formatPercent(share) : "-";
}

std::string rate(double perSecond, const char* unit) {
    return std::isfinite(perSecond) && perSecond > 0 ? formatPerSecond(perSecond, unit) : "-";
}

/// What the rows of a table are: one column for most groupings, three for kernels.
std::vector<std::string> rowNames(const OperationGroupRow& row, const std::vector<StepRow>& steps) {
    if (row.layer) return {*row.layer < 0 ? "outside layers" : std::to_string(*row.layer)};
    if (row.step) {
        if (*row.step < 0) return {"lost", "", ""};
        const StepRow& step = steps[static_cast<std::size_t>(*row.step)];
        return {std::to_string(step.id), step.kind, formatCount(step.tokens)};
    }
    const OperationGroup& group = row.group;
    if (!group.op.empty() && !group.phase.empty()) return {group.op, group.kernel, group.phase};
    return {group.op.empty() ? group.phase : group.op};
}

std::vector<std::string> nameColumns(const OperationGroupRow& row) {
    if (row.layer) return {"layer"};
    if (row.step) return {"step", "phase", "tokens"};
    if (!row.group.op.empty() && !row.group.phase.empty()) return {"op", "kernel", "phase"};
    return {row.group.op.empty() ? "phase" : "op"};
}

}  // namespace

std::string qualityText(const std::vector<QualityLine>& lines) {
    TextTable table({"", ""});
    std::string unknown;
    for (const QualityLine& line : lines) {
        if (!line.known)
            unknown += (unknown.empty() ? "" : ", ") + line.label;
        else
            table.row({(line.ok ? "  " : "! ") + line.label,
                       line.value + (line.ok || line.note.empty() ? "" : ": " + line.note)});
    }
    return "Quality of the measurement\n" + table.text() +
           (unknown.empty() ? "" : "  not recorded by this run: " + unknown + '\n');
}

std::string operationTableText(const std::vector<OperationGroupRow>& rows,
                               const std::vector<StepRow>& steps, const Ceilings& ceilings,
                               std::size_t limit) {
    if (rows.empty()) return "No operations were timed.\n";
    std::vector<std::string> header = nameColumns(rows.front());
    const std::size_t names = header.size();
    for (const char* title : {"calls", "total", "share", "mean", "median", "p95", "p99", kStdDev,
                              "bandwidth", "arithmetic", "of roof", "bound by"})
        header.emplace_back(title);
    TextTable table(header);
    double rest = 0;
    std::vector<RoofShare> shares;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const OperationGroup& g = rows[i].group;
        if (i >= limit) {
            rest += g.share;
            continue;
        }
        shares.push_back(shareOfRoof(g, ceilings));
        const RoofShare& ofRoof = shares.back();
        std::vector<std::string> cells = rowNames(rows[i], steps);
        cells.resize(names);
        for (std::string& cell : std::vector<std::string>{
                 formatCount(g.calls), duration(double(g.totalNs)), percent(g.share),
                 duration(g.meanNs), duration(double(g.medianNs)), duration(double(g.p95Ns)),
                 duration(double(g.p99Ns)), duration(g.standardDeviationNs),
                 rate(g.bytesPerSecond(), "B"), rate(g.flopsPerSecond(), "FLOP"),
                 percent(ofRoof.share), ofRoof.bound != nullptr ? ofRoof.bound : "-"})
            cells.push_back(std::move(cell));
        table.row(std::move(cells));
    }
    std::string out = table.text();
    if (rows.size() > limit)
        out += countText(rows.size() - limit, "more row") +
               (rows.size() - limit == 1 ? " takes " : " take ") + percent(rest) +
               "; --limit 0 shows them\n";
    if (const std::string above = aboveRoofNote(shares, ceilings); !above.empty())
        out += above + '\n';
    return out;
}

std::string timeText(const std::vector<PhaseTime>& time) {
    if (time.empty()) return {};
    TextTable table(
        {"phase", kWallTime, "compute", "copy", kIdle, "launch gap", "host wait", "other"});
    for (const PhaseTime& phase : time) {
        const TimeParts& p = phase.parts;
        const auto share = [&](std::int64_t ns) {
            return percent(p.wallNs > 0 ? double(ns) / double(p.wallNs) : std::nan(""));
        };
        table.row({phaseTitle(phase.phase), duration(double(p.wallNs)), share(p.computeNs),
                   share(p.copyNs), share(p.idleNs()), share(p.launchGapNs), share(p.hostWaitNs),
                   share(p.otherNs)});
    }
    return "Wall time: computing, copying, idle, and why idle (between operations of a step; "
           "between "
           "steps;\nbetween sequences)\n" +
           table.text();
}

std::string latencyText(const TokenLatency& latency) {
    if (latency.tokens.empty()) return {};
    TextTable times({"", "tokens", "mean", "median", "p90", "p95", "p99", kMax, kStdDev});
    const auto row = [&](const char* name, const Distribution& d, double p90) {
        if (d.count == 0) return;
        times.row({name, formatCount(d.count), duration(d.mean), duration(d.median), duration(p90),
                   duration(d.p95), duration(d.p99), duration(double(d.max)),
                   duration(d.standardDeviation)});
    };
    row(kTimeToFirstToken, latency.ttft, latency.ttftP90);
    row(kTimePerOutputToken, latency.tpot, latency.tpotP90);
    std::vector<std::string> header{"mean time of a token went to"};
    for (const LatencyStack& stack : latency.stacks) {
        header.push_back(stack.name);
        header.emplace_back("");
    }
    TextTable stacks(header);
    for (std::size_t part = 0; part < latency.parts.size(); ++part) {
        std::vector<std::string> cells{latency.parts[part]};
        for (const LatencyStack& stack : latency.stacks) {
            cells.push_back(duration(stack.partsNs[part]));
            cells.push_back(
                percent(stack.meanNs > 0 ? stack.partsNs[part] / stack.meanNs : std::nan("")));
        }
        stacks.row(std::move(cells));
    }
    return "Latency of tokens\n" + times.text() + '\n' + stacks.text();
}

std::string rooflineText(const Roofline& roofline, std::size_t limit) {
    if (roofline.points.empty()) return {};
    const Ceilings& c = roofline.ceilings;
    std::string out = "Roofline. " + ceilingsSentence(c);
    out += std::isfinite(c.ridge()) ? " Ridge of " + c.operationKind + " at " +
                                          formatFixed(c.ridge(), 1) + " operations a byte.\n"
                                    : "\n";
    TextTable table({"op", "kernel", "phase", "op/byte", "arithmetic", "roof", "peak of", "of roof",
                     "bound by", "bytes, operations"});
    for (std::size_t i = 0; i < std::min(limit, roofline.points.size()); ++i) {
        const RooflinePoint& p = roofline.points[i];
        table.row({p.op, p.kernel, p.phase, formatSignificant(p.intensity),
                   rate(p.operationsPerSecond, "OP"), rate(p.roof, "OP"), p.operationKind,
                   percent(p.share), p.bound() != nullptr ? p.bound() : "-", p.origin()});
    }
    out += table.text();
    if (roofline.anyModelled())
        out +=
            "Modelled: times are measured, bytes and operations are the engine's count of what "
            "must "
            "be read and\ndone, not what counters saw.\n";
    if (const std::string above = aboveRoofNote(roofline); !above.empty()) out += above + '\n';
    return out;
}

std::string sampledText(const std::vector<SampledMetric>& sampled) {
    if (sampled.empty()) return {};
    TextTable table({"counter", "phase", "samples", "mean", "peak", "NVIDIA's name"});
    for (const SampledMetric& metric : sampled)
        for (const SampledPhase& phase : metric.phases)
            table.row({counterName(metric.metric), phase.phase, formatCount(phase.samples),
                       formatCounter(metric.metric, phase.mean),
                       formatCounter(metric.metric, phase.peak), metric.metric});
    return "Counters over time, in the steps of each phase\n" + table.text();
}

std::string expertLoadText(const ExpertLoad& load) {
    std::string out = "Does a hot expert cost time?\n";
    if (load.phases.empty()) return out + load.reason + '\n';
    for (const ExpertLoadPhase& phase : load.phases) {
        out += "\n" + phase.phase + ": " + countText(phase.launches, "launch") + " of " +
               duration(phase.meanNs) + " on average. " + phase.verdict + '\n';
        if (!phase.fit.estimated()) continue;
        TextTable fit({"one more ...", "adds to a launch", "low", "high"});
        for (const Coefficient& c : phase.fit.coefficients)
            fit.row({c.name, c.estimated ? duration(c.value) : "does not vary by itself",
                     duration(c.low), duration(c.high)});
        out += fit.text() + phase.basis() + '\n';
        if (phase.quarters.empty()) continue;
        TextTable quarters({"launches, by max/mean", "launches", "max/mean", "hottest load",
                            "active experts", "time per token"});
        const char* names[] = {"coolest quarter", "second", "third", "hottest quarter"};
        for (std::size_t q = 0; q < phase.quarters.size(); ++q) {
            const LoadQuarter& quarter = phase.quarters[q];
            quarters.row({names[q], formatCount(quarter.launches),
                          formatFixed(quarter.meanMaxOverMean, 2),
                          formatFixed(quarter.meanHottestLoad, 1),
                          formatFixed(quarter.meanActiveExperts, 1), duration(quarter.nsPerToken)});
        }
        out += quarters.text();
    }
    return out;
}

std::string differenceText(const RunDifference& difference) {
    if (difference.rows.empty()) return {};
    std::string out =
        "Time per token by operation, with a noise test (q < 0.05: more than the "
        "noise within the runs)\n";
    for (const DifferencePhase& phase : difference.phases) out += phaseSentence(phase) + '\n';
    TextTable table({"phase", "op", "baseline", "this run", "difference", "change", "95 % low",
                     "high", "p", "q", ""});
    const auto plain = [](double value) {
        return std::isfinite(value) ? formatFixed(value, 4) : "-";
    };
    for (const DifferenceRow& row : difference.rows)
        table.row({row.phase, row.op.empty() ? kWholeStep : row.op, duration(row.baseNs),
                   duration(row.otherNs), duration(row.difference),
                   percent(row.difference / row.baseNs), duration(row.low), duration(row.high),
                   plain(row.p), plain(row.q), differenceVerdict(row)});
    return out + table.text() + kBetweenRunsNote + '\n';
}

}  // namespace moescope::cli
