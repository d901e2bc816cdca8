// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/run_summary.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

using GroupKey = std::tuple<std::string, std::string, std::string>;  // op, kernel, phase

/// More than any model has; a hostile file must not make us allocate by its largest number.
constexpr int kMaxLayers = 4096;
constexpr int kMaxExperts = 65536;

struct Collected {
    OperationGroup group;
    std::vector<std::int64_t> durations;
};

PhaseSummary& phaseOf(RunSummary& summary, const std::string& kind) {
    return kind == "decode" ? summary.decode : summary.prefill;
}

void addSteps(RunSummary& summary, const std::vector<StepRow>& steps) {
    std::vector<std::int64_t> prefill, decode;
    for (const StepRow& step : steps) {
        PhaseSummary& phase = phaseOf(summary, step.kind);
        ++phase.steps;
        phase.tokens += step.tokens;
        phase.wallNs += step.endNs - step.startNs;
        (step.kind == "decode" ? decode : prefill).push_back(step.endNs - step.startNs);
    }
    for (auto [phase, times] :
         {std::pair{&summary.prefill, &prefill}, {&summary.decode, &decode}}) {
        std::sort(times->begin(), times->end());
        phase->medianStepNs = medianOfSorted(*times);
        phase->p95StepNs = double(percentileOfSorted(*times, 0.95));
        if (phase->wallNs > 0) {
            phase->tokensPerSecond = double(phase->tokens) * 1e9 / double(phase->wallNs);
        }
    }
}

/// The logits of a sequence's first new token come out of its last prefill step.
double medianTtft(const std::vector<StepRow>& steps, const std::vector<SequenceRow>& sequences) {
    struct Span {
        std::int64_t start = 0, end = 0;
        bool prefilled = false, decoded = false;
    };
    std::unordered_map<std::int64_t, Span> spans;
    for (const StepRow& step : steps) {
        Span& span = spans[step.sequence];
        if (step.kind == "decode") {
            span.decoded = true;
        } else if (!span.decoded) {
            if (!span.prefilled) span.start = step.startNs;
            span.prefilled = true;
            span.end = step.endNs;
        }
    }
    for (const SequenceRow& sequence : sequences) {
        if (sequence.generatedTokens > 0) spans[sequence.id].decoded = true;
    }
    std::vector<std::int64_t> times;
    for (const auto& [id, span] : spans) {
        if (span.prefilled && span.decoded) times.push_back(span.end - span.start);
    }
    std::sort(times.begin(), times.end());
    return medianOfSorted(times);
}

void addOperation(RunSummary& summary, std::map<GroupKey, Collected>& groups,
                  const OperationRow& row, const StepRow& step) {
    const std::int64_t ns = row.endNs - row.startNs;
    PhaseSummary& phase = phaseOf(summary, step.kind);
    // An operation between two steps belongs to the one before, but is no part of its wall time.
    if (row.endNs <= step.endNs) phase.operationNs += ns;
    phase.bytes += row.bytes;
    summary.layerNs[row.layer] += ns;
    Collected& collected = groups[{row.op, row.kernel, step.kind}];
    collected.durations.push_back(ns);
    collected.group.totalNs += ns;
    collected.group.bytes += row.bytes;
    collected.group.flops += row.flops;
}

OperationGroup finishGroup(const GroupKey& key, Collected& collected, std::int64_t allNs) {
    OperationGroup group = collected.group;
    std::tie(group.op, group.kernel, group.phase) = key;
    std::vector<std::int64_t>& times = collected.durations;
    std::sort(times.begin(), times.end());
    group.calls = std::int64_t(times.size());
    group.minNs = times.front();
    group.maxNs = times.back();
    group.medianNs = std::llround(medianOfSorted(times));
    group.p95Ns = percentileOfSorted(times, 0.95);
    group.share = allNs > 0 ? double(group.totalNs) / double(allNs) : 0;
    return group;
}

void addOperations(RunSummary& summary, const RunReader& run, const std::vector<StepRow>& steps) {
    std::unordered_map<std::int64_t, const StepRow*> byId;
    for (const StepRow& step : steps) byId[step.id] = &step;
    std::map<GroupKey, Collected> groups;
    std::int64_t allNs = 0;
    run.operations([&](const OperationRow& row) {
        // A killed run may hold operations whose step row was never written; they have no phase.
        const auto step = byId.find(row.step);
        if (step == byId.end()) return true;
        addOperation(summary, groups, row, *step->second);
        allNs += row.endNs - row.startNs;
        return true;
    });
    for (auto& [key, collected] : groups) {
        summary.operations.push_back(finishGroup(key, collected, allNs));
    }
    std::stable_sort(summary.operations.begin(), summary.operations.end(),
                     [](const auto& a, const auto& b) { return a.totalNs > b.totalNs; });
    for (PhaseSummary* phase : {&summary.prefill, &summary.decode}) {
        if (phase->wallNs > 0) {
            phase->operationShare = double(phase->operationNs) / double(phase->wallNs);
        }
    }
}

int jsonInt(const nlohmann::json& object, const char* key, int limit) {
    if (!object.is_object() || !object.contains(key)) return 0;
    const nlohmann::json& value = object[key];
    if (!value.is_number_integer()) return 0;
    const auto number = value.get<std::int64_t>();
    return number > 0 && number <= limit ? int(number) : 0;
}

/// top_k of a run whose writer did not state it: that of its per-token rows, else what the tokens
/// of its steps imply, else 0 (unknown).
int guessTopK(const RunReader& run, const RunSummary& summary, std::int64_t layerAssignments) {
    for (const SequenceRow& sequence : summary.sequences) {
        const auto rows = run.routingTokens(sequence.id);
        if (!rows.empty()) return rows.front().topK;
    }
    const std::int64_t tokens = summary.prefill.tokens + summary.decode.tokens;
    const bool whole = tokens > 0 && layerAssignments % tokens == 0;
    return whole && layerAssignments / tokens <= kMaxExperts ? int(layerAssignments / tokens) : 0;
}

void addRouting(RunSummary& summary, const RunReader& run) {
    const std::vector<RoutingCountRow> rows = run.routingCounts();
    if (rows.empty()) return;
    const nlohmann::json routing = run.metaJson("routing");
    summary.experts = jsonInt(routing, "experts", kMaxExperts);
    for (const RoutingCountRow& row : rows) {
        if (row.layer >= kMaxLayers || row.expert >= kMaxExperts) {
            throw Error(run.path().string() + ": damaged run file: routing of layer " +
                        std::to_string(row.layer) + ", expert " + std::to_string(row.expert));
        }
        summary.experts = std::max(summary.experts, row.expert + 1);
    }
    std::map<int, LayerRouting> layers;
    for (const RoutingCountRow& row : rows) {
        LayerRouting& layer = layers[row.layer];
        layer.layer = row.layer;
        layer.counts.resize(std::size_t(summary.experts));
        layer.counts[std::size_t(row.expert)] += row.count;
    }
    std::int64_t firstLayer = 0;
    for (const std::int64_t count : layers.begin()->second.counts) firstLayer += count;
    summary.topK = jsonInt(routing, "top_k", kMaxExperts);
    if (summary.topK == 0) summary.topK = guessTopK(run, summary, firstLayer);
    for (auto& [index, layer] : layers) {
        layer.balance = balance(layer.counts, summary.topK);
        layer.null = balanceNull(layer.balance.tokens, summary.experts, summary.topK);
        layer.excess = layer.balance.maxOverMean / layer.null.maxOverMean;
        summary.routing.push_back(std::move(layer));
    }
}

}  // namespace

double OperationGroup::bytesPerSecond() const noexcept {
    return totalNs > 0 ? double(bytes) * 1e9 / double(totalNs) : 0;
}

double OperationGroup::flopsPerSecond() const noexcept {
    return totalNs > 0 ? double(flops) * 1e9 / double(totalNs) : 0;
}

RunSummary summarize(const RunReader& run) {
    RunSummary summary;
    summary.meta = run.meta();
    summary.status = run.status();
    summary.sequences = run.sequences();
    const std::vector<StepRow> steps = run.steps();
    addSteps(summary, steps);
    summary.ttftNs = medianTtft(steps, summary.sequences);
    addOperations(summary, run, steps);
    addRouting(summary, run);
    summary.quality = run.quality();
    summary.memory = run.memory();
    summary.suites = run.suites();
    summary.metrics = run.metrics();
    return summary;
}

}  // namespace moescope
