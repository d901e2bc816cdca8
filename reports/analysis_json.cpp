// SPDX-License-Identifier: Apache-2.0
#include "reports/analysis_json.h"

#include <cmath>

namespace moescope {
namespace {

using nlohmann::json;

json number(double value) {
    return std::isfinite(value) ? json(value) : json();
}

json distributionJson(const Distribution& d, double p90) {
    if (d.count == 0) return json();
    return {{"count", d.count},
            {"mean_ns", number(d.mean)},
            {"median_ns", number(d.median)},
            {"p90_ns", number(p90)},
            {"p95_ns", number(d.p95)},
            {"p99_ns", number(d.p99)},
            {"max_ns", d.max},
            {"standard_deviation_ns", number(d.standardDeviation)}};
}

json timeJson(const std::vector<PhaseTime>& time) {
    json out = json::array();
    for (const PhaseTime& phase : time) {
        const TimeParts& p = phase.parts;
        out.push_back({{"phase", phase.phase.empty() ? json() : json(phase.phase)},
                       {"wall_ns", p.wallNs},
                       {"compute_ns", p.computeNs},
                       {"copy_ns", p.copyNs},
                       {"idle_ns", p.idleNs()},
                       {"idle_launch_gap_ns", p.launchGapNs},
                       {"idle_host_wait_ns", p.hostWaitNs},
                       {"idle_other_ns", p.otherNs}});
    }
    return out;
}

json latencyJson(const TokenLatency& latency) {
    json stacks = json::array();
    for (const LatencyStack& stack : latency.stacks) {
        json parts = json::object();
        for (std::size_t i = 0; i < latency.parts.size(); ++i)
            parts[latency.parts[i]] = stack.partsNs[i];
        stacks.push_back({{"name", stack.name},
                          {"tokens", stack.tokens},
                          {"mean_ns", stack.meanNs},
                          {"parts_ns", std::move(parts)}});
    }
    return {{"ttft", distributionJson(latency.ttft, latency.ttftP90)},
            {"tpot", distributionJson(latency.tpot, latency.tpotP90)},
            {"stacks", std::move(stacks)}};
}

json rooflineJson(const Roofline& roofline) {
    json peaks = json::object();
    for (const auto& [name, value] : roofline.ceilings.peaks) peaks[name] = value;
    json points = json::array();
    for (const RooflinePoint& point : roofline.points)
        points.push_back({{"op", point.op},
                          {"kernel", point.kernel},
                          {"phase", point.phase},
                          {"operations_per_byte", point.intensity},
                          {"operations_per_second", point.operationsPerSecond},
                          {"roof", number(point.roof)},
                          {"share_of_roof", number(point.share)},
                          {"operation_kind", point.operationKind},
                          {"bound", point.bound() != nullptr ? json(point.bound()) : json()},
                          {"modelled", point.modelled()},
                          {"bytes_measured", point.bytesMeasured},
                          {"operations_measured", point.operationsMeasured}});
    return {{"bytes_per_second", number(roofline.ceilings.bytesPerSecond)},
            {"operations_per_second", number(roofline.ceilings.operationsPerSecond)},
            {"operation_kind", roofline.ceilings.operationKind},
            {"peaks", std::move(peaks)},
            {"by_counters", roofline.ceilings.counted},
            {"points", std::move(points)}};
}

json sampledJson(const std::vector<SampledMetric>& sampled) {
    json out = json::array();
    for (const SampledMetric& metric : sampled)
        for (const SampledPhase& phase : metric.phases)
            out.push_back({{"metric", metric.metric},
                           {"phase", phase.phase},
                           {"samples", phase.samples},
                           {"mean", number(phase.mean)},
                           {"peak", number(phase.peak)}});
    return out;
}

json expertLoadJson(const ExpertLoad& load) {
    json phases = json::array();
    for (const ExpertLoadPhase& phase : load.phases) {
        json coefficients = json::array();
        for (const Coefficient& c : phase.fit.coefficients)
            coefficients.push_back({{"name", c.name},
                                    {"ns", c.estimated ? number(c.value) : json()},
                                    {"standard_error", number(c.standardError)},
                                    {"degrees", number(c.degrees)},
                                    {"low", number(c.low)},
                                    {"high", number(c.high)}});
        json quarters = json::array();
        for (const LoadQuarter& q : phase.quarters)
            quarters.push_back({{"launches", q.launches},
                                {"max_over_mean", q.meanMaxOverMean},
                                {"hottest_load", q.meanHottestLoad},
                                {"active_experts", q.meanActiveExperts},
                                {"ns_per_token", number(q.nsPerToken)}});
        phases.push_back({{"phase", phase.phase},
                          {"launches", phase.launches},
                          {"tokens", phase.tokens},
                          {"mean_ns", phase.meanNs},
                          {"coefficients", std::move(coefficients)},
                          {"r2", number(phase.fit.r2)},
                          {"clusters", phase.fit.clusters},
                          {"clipped_above", phase.fit.clippedAbove},
                          {"clipped_below", phase.fit.clippedBelow},
                          {"quarters", std::move(quarters)},
                          {"verdict", phase.verdict}});
    }
    return {{"phases", std::move(phases)}, {"reason", load.reason}};
}

}  // namespace

json qualityJson(const std::vector<QualityLine>& lines) {
    json out = json::array();
    for (const QualityLine& line : lines)
        out.push_back({{"label", line.label},
                       {"value", line.value},
                       {"known", line.known},
                       {"ok", line.ok},
                       {"note", line.note}});
    return out;
}

json operationGroupJson(const OperationGroup& group, const Ceilings& ceilings) {
    const RoofShare ofRoof = shareOfRoof(group, ceilings);
    return {{"op", group.op},
            {"kernel", group.kernel},
            {"phase", group.phase},
            {"calls", group.calls},
            {"total_ns", group.totalNs},
            {"share", number(group.share)},
            {"mean_ns", number(group.meanNs)},
            {"min_ns", group.minNs},
            {"max_ns", group.maxNs},
            {"median_ns", group.medianNs},
            {"p95_ns", group.p95Ns},
            {"p99_ns", group.p99Ns},
            {"standard_deviation_ns", number(group.standardDeviationNs)},
            {"bytes", group.bytes},
            {"flops", group.flops},
            {"bytes_per_second", number(group.bytesPerSecond())},
            {"flops_per_second", number(group.flopsPerSecond())},
            {"share_of_peak", number(ofRoof.share)},
            {"bound_by", ofRoof.bound != nullptr ? json(ofRoof.bound) : json()}};
}

json analysisJson(const RunAnalysis& analysis) {
    return {{"quality", qualityJson(analysis.quality)},
            {"time", timeJson(analysis.time)},
            {"token_latency", latencyJson(analysis.latency)},
            {"roofline", rooflineJson(analysis.roofline)},
            {"expert_load", expertLoadJson(analysis.expertLoad)},
            {"sampled_counters", sampledJson(analysis.sampled)}};
}

json differenceJson(const RunDifference& difference) {
    json phases = json::array();
    for (const DifferencePhase& phase : difference.phases)
        phases.push_back({{"phase", phase.phase},
                          {"base_steps", phase.baseSteps},
                          {"other_steps", phase.otherSteps},
                          {"paired", phase.paired},
                          {"pairs", phase.pairs},
                          {"blocks", phase.blocks}});
    json rows = json::array();
    for (const DifferenceRow& row : difference.rows)
        rows.push_back({{"phase", row.phase},
                        {"op", row.op.empty() ? json() : json(row.op)},
                        {"base_ns_per_token", number(row.baseNs)},
                        {"other_ns_per_token", number(row.otherNs)},
                        {"difference_ns", number(row.difference)},
                        {"low", number(row.low)},
                        {"high", number(row.high)},
                        {"p", number(row.p)},
                        {"q", number(row.q)},
                        {"real", row.real()}});
    return {{"phases", std::move(phases)}, {"rows", std::move(rows)}};
}

}  // namespace moescope
