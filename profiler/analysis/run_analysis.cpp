// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/run_analysis.h"

namespace moescope {

RunAnalysis analyseLoaded(const RunReader& run, const RunSummary& summary,
                          std::span<const StepRow> steps, const OperationColumns& operations,
                          const OperationColumns& device) {
    RunAnalysis out;
    out.quality = qualityBlock(summary.meta, summary.status, summary.quality);
    out.time = timeBreakdown(steps, device.size() > 0 ? device : operations);
    const auto kind = summary.meta.find("kind");
    out.latency = tokenLatency(steps, operations, summary.sequences,
                               kind == summary.meta.end() ? std::string() : kind->second);
    out.roofline = rooflineOf(summary, countedWork(run));
    out.expertLoad = expertLoad(run, steps, operations, summary.experts);
    out.sampled = sampledCounters(run, steps);
    return out;
}

AnalysedRun analyse(const RunReader& run) {
    AnalysedRun out;
    out.steps = run.steps();
    OperationCollector collector(out.steps);
    out.summary = summarize(run, [&](const OperationRow& row) { collector.add(row); });
    out.operations = collector.take();
    out.device = loadDeviceWork(run, out.steps);
    out.analysis = analyseLoaded(run, out.summary, out.steps, out.operations, out.device);
    return out;
}

}  // namespace moescope
