// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/device_quality.h"

#include <cstdlib>
#include <limits>
#include <utility>

namespace moescope::cupti {
namespace {

constexpr double kGoodOverhead = 0.05;

std::string text(std::int64_t value) {
    return std::to_string(value);
}

std::string text(const LaunchTotals& totals) {
    return text(totals.kernels) + " kernels, " + text(totals.copies) + " copies, " +
           text(totals.sets) + " sets";
}

/// The node of a set is announced as one of a kernel where the driver makes it so (seen with
/// 580.159.04 on an H200; its replays are recorded as sets), so these two are counted together.
std::int64_t nodeDifference(const LaunchTotals& engine, const LaunchTotals& cupti) {
    return std::abs(engine.kernels + engine.sets - cupti.kernels - cupti.sets) +
           std::abs(engine.copies - cupti.copies);
}

QualityRow completeness(const DeviceQualityFacts& facts) {
    // Traced as a whole, a replay brings one record and not one a node.
    LaunchTotals expected = facts.expectedEager;
    if (facts.level == TraceLevel::Node) expected.add(facts.expectedReplayed);
    const LaunchDifference& difference = facts.difference;
    const std::int64_t wrong = difference.all(), unclear = difference.unclear.all();
    std::string note = "The engine counted " + text(expected) + "; the device's records hold " +
                       text(facts.counts.seen) + ".";
    if (facts.level == TraceLevel::Graph)
        note += " Graph launches: " + text(facts.replays) + " counted, " +
                text(facts.counts.graphLaunches) + " recorded.";
    if (wrong > 0)
        note += " Operation by operation, " + text(difference.missing.all()) + " are missing and " +
                text(difference.surplus.all()) + " are of no counted launch.";
    if (unclear > 0)
        note += " " + text(unclear) +
                " whose operation is not known were taken for as many that operations lack.";
    const bool counted = expected.all() > 0 || facts.replays > 0;
    if (!counted && facts.steps > 0)
        note = "The back end does not count its launches: nothing proves that the " +
               text(facts.counts.seen.all() + facts.counts.graphLaunches) + " records are all.";
    if (facts.unknownReplays > 0)
        note += " " + text(facts.unknownReplays) +
                " replays were of graphs that were captured "
                "before the profiler watched.";
    return {
        "missing_device_records", double(wrong), "records",
        wrong == 0 && unclear == 0 && facts.unknownReplays == 0 && (counted || facts.steps == 0),
        std::move(note)};
}

/// Graph by graph: a node too many in one must not hide one that another lacks.
QualityRow capturedNodes(const DeviceQualityFacts& facts) {
    LaunchTotals engine, cupti;
    std::int64_t wrong = 0;
    for (const auto& [counted, seen] : facts.graphs) {
        engine.add(counted);
        cupti.add(seen);
        wrong += nodeDifference(counted, seen);
    }
    return {"captured_graph_nodes", double(wrong), "records",
            wrong == 0 && facts.unknownOriginals == 0,
            "Nodes of graphs by the engine's count: " + text(engine) +
                "; as CUPTI saw them made: " + text(cupti) + "."};
}

QualityRow throttling(const DeviceCounts& counts) {
    const bool known = counts.speedSamples > counts.unclearSamples;
    std::string note =
        counts.speedSamples == 0
            ? "Not known: no sample of the device's clocks lies in the run."
            : "Of " + text(counts.speedSamples) +
                  " samples of the device's clocks, those slowed by power or heat; of " +
                  text(counts.unclearSamples) + " CUPTI does not know or tell why.";
    return {"throttled_samples",
            known ? double(counts.throttledSamples) : std::numeric_limits<double>::quiet_NaN(),
            "samples", known && counts.throttledSamples == 0 && counts.unclearSamples == 0,
            std::move(note)};
}

}  // namespace

std::string degradationName(TraceLevel level) {
    return level == TraceLevel::Node ? "activity (graph nodes)" : "activity (graphs)";
}

std::vector<QualityRow> deviceQuality(const DeviceQualityFacts& facts) {
    const DeviceCounts& counts = facts.counts;
    std::vector<QualityRow> rows{completeness(facts)};
    const auto add = [&](const char* name, double value, const char* unit, bool ok,
                         std::string note) {
        rows.push_back({name, value, unit, ok, std::move(note)});
    };
    add("dropped_device_records", double(facts.collector.dropped), "records",
        facts.collector.dropped == 0 && facts.collector.buffersOutstanding == 0 &&
            facts.collector.buffersDiscarded == 0,
        "Records that CUPTI says it lost; " + text(facts.collector.buffersOverPool) +
            " buffers were needed beyond the pool of 512 MiB, " +
            text(facts.collector.buffersOutstanding) + " were not given back, " +
            text(facts.collector.buffersDiscarded) + " came after the end.");
    const std::int64_t bad =
        counts.zeroStamps + counts.incomplete + counts.negative + counts.otherClock;
    add("bad_device_stamps", double(bad), "records", bad == 0,
        text(counts.zeroStamps) + " without stamps, " + text(counts.incomplete) +
            " without an end, " + text(counts.negative) + " that end before they begin, " +
            text(counts.otherClock) +
            " from while the system's clock was set elsewhere; kept, and left out of every sum.");
    add("unattributed_kernels", double(counts.unattributed), "records", counts.unattributed == 0,
        "Device work inside steps whose operation is not known; of these " +
            text(facts.correlator.givenUp) +
            " have no launch. Outside the steps: " + text(counts.betweenSteps) + ", and " +
            text(counts.beforeRun) + " before the run (loading).");
    add("early_device_starts", double(counts.earlyStarts), "records", counts.earlyStarts == 0,
        "Device work that began over 5 µs before its launch: the clocks do not agree.");
    if (facts.replays > 0 || !facts.graphs.empty()) rows.push_back(capturedNodes(facts));
    const std::uint64_t odd = facts.decoder.unknownKinds + facts.decoder.undecodedBytes;
    add("undecoded_device_bytes", double(facts.decoder.undecodedBytes), "bytes", odd == 0,
        "Bytes of CUPTI's buffers that made no sense; records of unknown kinds: " +
            std::to_string(facts.decoder.unknownKinds) + ".");
    const std::int64_t errors = facts.collector.stateErrors + facts.collector.scopeFailures;
    add("cupti_errors", double(errors), "errors", errors == 0,
        facts.collector.lastStateError.empty()
            ? "Errors that CUPTI announced, and scopes that it did not take."
            : "CUPTI: " + facts.collector.lastStateError);
    const double overhead = facts.wallNs > 0 ? double(counts.overheadNs) / double(facts.wallNs) : 0;
    add("cupti_overhead", overhead, "ratio", overhead <= kGoodOverhead,
        "Time that CUPTI and the driver say they spent on tracing during the run, over the time of "
        "the steps; what tracing costs in all is seen only beside a run without it. Not in it: " +
            std::to_string(counts.loadingNs) +
            " ns in which CUDA loaded kernels on their first use.");
    add("clock_step", double(counts.clockMovedNs), "ns", counts.clockMovedNs < kClockStepNs,
        "How far the system clock was set at most during the run; the device's stamps are on it. "
        "Operations keep the host's times, or have none, of the " +
            text(counts.otherClock) + " records from then.");
    if (facts.sampled) rows.push_back(throttling(counts));
    return rows;
}

}  // namespace moescope::cupti
