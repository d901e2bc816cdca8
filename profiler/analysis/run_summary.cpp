// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/run_summary.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

using GroupKey = std::tuple<std::string, std::string, std::string>;  // op, kernel, phase
/// The same without copies: a million operations look up a few dozen groups.
using GroupView = std::tuple<std::string_view, std::string_view, std::string_view>;

/// More than any model has; a hostile file must not make us allocate by its largest number.
constexpr int kMaxLayers = 4096;
constexpr int kMaxExperts = INT16_MAX;                    ///< ids are stored as int16
constexpr std::size_t kMaxCells = std::size_t{1} << 20U;  ///< layers x experts

struct Collected {
    OperationGroup group;
    std::vector<std::int64_t> durations;
};
/// std::less<> would do, but clang 14 does not compare tuples of different types in libstdc++ 12.
struct GroupLess {
    using is_transparent = void;
    static GroupView view(const GroupKey& key) {
        return {std::get<0>(key), std::get<1>(key), std::get<2>(key)};
    }
    static GroupView view(const GroupView& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
        return view(a) < view(b);
    }
};
using Groups = std::map<GroupKey, Collected, GroupLess>;

/// The steps of a run and when the token that came of each was known.
struct Timeline {
    std::vector<StepRow> steps;
    std::unordered_map<std::int64_t, std::size_t> byId;  // step id -> index
    std::vector<std::int64_t> tokenNs;  // (n_steps) end of its last operation, sampling included
};

Timeline timelineOf(const RunReader& run) {
    Timeline line;
    line.steps = run.steps();
    // A scored text is never generated, however few tokens are appended at a time.
    const bool scores = run.meta("kind") == "eval";
    for (StepRow& step : line.steps) {
        if (scores) step.kind = "prefill";
        line.byId[step.id] = line.tokenNs.size();
        line.tokenNs.push_back(step.endNs);
    }
    return line;
}

PhaseSummary& phaseOf(RunSummary& summary, const std::string& kind) {
    if (kind == "decode") return summary.decode;
    return kind == "prefill" ? summary.prefill : summary.other;
}

double rateOf(std::int64_t tokens, std::int64_t ns) {
    return ns > 0 ? double(tokens) * 1e9 / double(ns) : PhaseSummary::kUnknown;
}

/// Steps by sequence come in time order, so a decode step's predecessor is the latest of its
/// sequence; without one (its row was lost) only the step itself is known.
void addSteps(RunSummary& summary, const Timeline& line) {
    std::unordered_map<std::int64_t, std::int64_t> latestToken;  // by sequence
    std::map<PhaseSummary*, std::vector<std::int64_t>> forward, waited;
    for (std::size_t i = 0; i < line.steps.size(); ++i) {
        const StepRow& step = line.steps[i];
        PhaseSummary& phase = phaseOf(summary, step.kind);
        ++phase.steps;
        phase.tokens += step.tokens;
        forward[&phase].push_back(step.endNs - step.startNs);
        const auto previous = latestToken.find(step.sequence);
        if (&phase == &summary.decode) {
            const bool follows = previous != latestToken.end() && previous->second <= step.startNs;
            waited[&phase].push_back(line.tokenNs[i] - (follows ? previous->second : step.startNs));
        }
        latestToken[step.sequence] = line.tokenNs[i];
    }
    for (PhaseSummary* phase : {&summary.prefill, &summary.decode, &summary.other}) {
        const Distribution pass = distributionOf(forward[phase]);
        const Distribution wait = phase == &summary.decode ? distributionOf(waited[phase]) : pass;
        phase->forwardNs = pass.total;
        phase->forwardMedianNs = pass.median;
        phase->forwardP95Ns = pass.p95;
        phase->forwardTokensPerSecond = rateOf(phase->tokens, pass.total);
        phase->wallNs = wait.total;
        phase->medianStepNs = wait.median;
        phase->p95StepNs = wait.p95;
        phase->tokensPerSecond = rateOf(phase->tokens, wait.total);
        if (phase->forwardNs > 0 && !summary.operations.empty())
            phase->operationShare = double(phase->operationNs) / double(phase->forwardNs);
    }
}

/// A sequence's first new token is chosen after its last prefill step, from that step's logits.
double medianTtft(const Timeline& line, const std::vector<SequenceRow>& sequences) {
    struct Span {
        std::int64_t start = 0, end = 0;
        bool prefilled = false, decoded = false;
    };
    std::unordered_map<std::int64_t, Span> spans;
    for (std::size_t i = 0; i < line.steps.size(); ++i) {
        const StepRow& step = line.steps[i];
        Span& span = spans[step.sequence];
        if (step.kind == "decode") {
            span.decoded = true;
        } else if (!span.decoded) {
            if (!span.prefilled) span.start = step.startNs;
            span.prefilled = true;
            span.end = line.tokenNs[i];
        }
    }
    for (const SequenceRow& sequence : sequences) {
        if (sequence.generatedTokens > 0) spans[sequence.id].decoded = true;
    }
    std::vector<std::int64_t> times;
    for (const auto& [id, span] : spans) {
        if (span.prefilled && span.decoded) times.push_back(span.end - span.start);
    }
    return distributionOf(times).median;
}

void addOperation(RunSummary& summary, Groups& groups, const OperationRow& row,
                  const StepRow& step) {
    const std::int64_t ns = row.endNs - row.startNs;
    PhaseSummary& phase = phaseOf(summary, step.kind);
    // An operation between two steps belongs to the one before, but is no part of its forward pass.
    if (row.endNs <= step.endNs) phase.operationNs += ns;
    phase.bytes += row.bytes;
    summary.layerNs[row.layer] += ns;
    auto found = groups.find(GroupView(row.op, row.kernel, step.kind));
    if (found == groups.end())
        found = groups.emplace(GroupKey(row.op, row.kernel, step.kind), Collected{}).first;
    Collected& collected = found->second;
    collected.durations.push_back(ns);
    collected.group.bytes += row.bytes;
    collected.group.flops += row.flops;
}

OperationGroup finishGroup(const GroupKey& key, Collected& collected, std::int64_t allNs) {
    OperationGroup group = collected.group;
    std::tie(group.op, group.kernel, group.phase) = key;
    group.setTimes(collected.durations);
    group.share = allNs > 0 ? double(group.totalNs) / double(allNs) : 0;
    return group;
}

void addOperations(RunSummary& summary, const RunReader& run, Timeline& line,
                   const std::function<void(const OperationRow&)>& also) {
    Groups groups;
    std::int64_t allNs = 0;
    auto found = line.byId.end();
    run.operations([&](const OperationRow& row) {
        if (also) also(row);
        // Operations come step by step: most are of the step of the one before.
        if (found == line.byId.end() || found->first != row.step) found = line.byId.find(row.step);
        // A killed run may hold operations whose step row was never written; they have no phase.
        if (found == line.byId.end()) return true;
        addOperation(summary, groups, row, line.steps[found->second]);
        std::int64_t& token = line.tokenNs[found->second];
        token = std::max(token, row.endNs);
        allNs += row.endNs - row.startNs;
        return true;
    });
    for (auto& [key, collected] : groups) {
        summary.operations.push_back(finishGroup(key, collected, allNs));
    }
    std::stable_sort(summary.operations.begin(), summary.operations.end(),
                     [](const auto& a, const auto& b) { return a.totalNs > b.totalNs; });
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
        if (layers.size() * std::size_t(summary.experts) > kMaxCells) {
            throw Error(run.path().string() + ": damaged run file: more than " +
                        std::to_string(kMaxCells) + " experts in all");
        }
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

double worstExcess(std::span<const LayerRouting> layers) noexcept {
    double worst = std::numeric_limits<double>::quiet_NaN();
    for (const LayerRouting& layer : layers) worst = std::fmax(worst, layer.excess);
    return worst;
}

double OperationGroup::bytesPerSecond() const noexcept {
    return totalNs > 0 ? double(bytes) * 1e9 / double(totalNs) : 0;
}

double OperationGroup::flopsPerSecond() const noexcept {
    return totalNs > 0 ? double(flops) * 1e9 / double(totalNs) : 0;
}

double PhaseSummary::bytesPerSecond() const noexcept {
    return wallNs > 0 && bytes > 0 ? double(bytes) * 1e9 / double(wallNs) : kUnknown;
}

void OperationGroup::setTimes(std::vector<std::int64_t>& durations) {
    const Distribution times = distributionOf(durations);
    calls = times.count;
    totalNs = times.total;
    minNs = times.min;
    maxNs = times.max;
    meanNs = times.mean;
    standardDeviationNs = times.standardDeviation;
    if (calls == 0) return;
    medianNs = std::llround(times.median);
    p95Ns = std::llround(times.p95);
    p99Ns = std::llround(times.p99);
}

RunSummary summarize(const RunReader& run, const std::function<void(const OperationRow&)>& also) {
    RunSummary summary;
    summary.meta = run.meta();
    summary.status = run.status();
    summary.sequences = run.sequences();
    Timeline line = timelineOf(run);
    addOperations(summary, run, line, also);
    addSteps(summary, line);
    if (run.meta("kind") != "eval") summary.ttftNs = medianTtft(line, summary.sequences);
    addRouting(summary, run);
    summary.quality = run.quality();
    summary.memory = run.memory();
    summary.suites = run.suites();
    for (const SuiteRow& suite : summary.suites)
        summary.itemCounts[suite.id] = run.itemCounts(suite.id);
    summary.metrics = run.metrics();
    return summary;
}

}  // namespace moescope
