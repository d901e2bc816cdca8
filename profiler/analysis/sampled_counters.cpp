// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/sampled_counters.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace moescope {
namespace {

/// The step in which `ns` lies; null when it lies in none. `steps` by start.
const StepRow* stepAt(std::span<const StepRow> steps, std::int64_t ns) {
    const auto after =
        std::upper_bound(steps.begin(), steps.end(), ns,
                         [](std::int64_t at, const StepRow& step) { return at < step.startNs; });
    if (after == steps.begin()) return nullptr;
    const StepRow& step = *std::prev(after);
    return ns < step.endNs ? &step : nullptr;
}

template <typename T, typename Name>
T& entryOf(std::vector<T>& entries, Name T::*name, const std::string& wanted) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const T& entry) { return entry.*name == wanted; });
    if (found != entries.end()) return *found;
    T& added = entries.emplace_back();
    added.*name = wanted;
    return added;
}

}  // namespace

std::vector<SampledMetric> sampledCounters(const RunReader& run, std::span<const StepRow> steps) {
    std::vector<StepRow> ordered(steps.begin(), steps.end());
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const StepRow& a, const StepRow& b) { return a.startNs < b.startNs; });
    std::vector<SampledMetric> out;
    std::vector<std::vector<double>> times;  // ns, as `out` and its phases
    run.samples([&](const SampleRow& row) {
        const auto length = static_cast<double>(row.endNs) - static_cast<double>(row.startNs);
        if (!(length > 0) || !std::isfinite(row.value)) return true;
        const StepRow* step = stepAt(ordered, std::midpoint(row.startNs, row.endNs));
        if (step == nullptr) return true;
        SampledMetric& metric = entryOf(out, &SampledMetric::metric, row.metric);
        times.resize(out.size());
        std::vector<double>& ofMetric = times[static_cast<std::size_t>(&metric - out.data())];
        SampledPhase& phase = entryOf(metric.phases, &SampledPhase::phase, step->kind);
        ofMetric.resize(metric.phases.size());
        ofMetric[static_cast<std::size_t>(&phase - metric.phases.data())] += length;
        phase.peak = phase.samples == 0 ? row.value : std::max(phase.peak, row.value);
        phase.mean += row.value * length;
        ++phase.samples;
        return true;
    });
    for (std::size_t m = 0; m < out.size(); ++m)
        for (std::size_t p = 0; p < out[m].phases.size(); ++p) out[m].phases[p].mean /= times[m][p];
    return out;
}

}  // namespace moescope
