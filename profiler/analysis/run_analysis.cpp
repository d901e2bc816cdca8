// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/run_analysis.h"

namespace moescope {

RunAnalysis analyseLoaded(const RunReader& run, const RunSummary& summary,
                          std::span<const StepRow> steps, const OperationColumns& operations) {
    RunAnalysis out;
    out.quality = qualityBlock(summary.meta, summary.status, summary.quality);
    out.time = timeBreakdown(steps, operations);
    const auto kind = summary.meta.find("kind");
    out.latency = tokenLatency(steps, operations, summary.sequences,
                               kind == summary.meta.end() ? std::string() : kind->second);
    out.roofline = rooflineOf(summary);
    out.expertLoad = expertLoad(run, steps, operations, summary.experts);
    return out;
}

AnalysedRun analyse(const RunReader& run) {
    AnalysedRun out;
    out.steps = run.steps();
    OperationCollector collector(out.steps);
    out.summary = summarize(run, [&](const OperationRow& row) { collector.add(row); });
    out.operations = collector.take();
    out.analysis = analyseLoaded(run, out.summary, out.steps, out.operations);
    return out;
}

}  // namespace moescope
