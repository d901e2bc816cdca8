// SPDX-License-Identifier: Apache-2.0
// Everything of a report in one JSON document: schema "moescope.report", version 1. Numbers that
// nobody measured are null. Runs are numbered from 1. Documented in docs/reports.md. Times in
// nanoseconds, sizes in bytes, shares 0..1.
#include <cmath>

#include "engine/core/file.h"
#include "reports/analysis_json.h"
#include "reports/cache_json.h"
#include "reports/cache_text.h"
#include "reports/comparison.h"
#include "reports/depth_curves.h"
#include "reports/headline.h"
#include "reports/item_comparisons.h"
#include "reports/json_number.h"
#include "reports/ranking.h"
#include "reports/report.h"
#include "reports/specialization_json.h"
#include "reports/suite_comparison_json.h"

namespace moescope {
namespace {

using nlohmann::json;

/// Stored JSON texts are nested as JSON; anything else stays the text that it is.
json nested(const std::string& text) {
    json value = looseJson(text);
    return value.is_structured() ? value : json(text);
}

/// Scores of the groups that the comparison shows, so that an id has one meaning in the document.
json headlineJson(const RunSummary& run, std::span<const RunSummary* const> earlier) {
    json out = json::array();
    for (const HeadlineFigure& figure : headline(run, earlier)) {
        out.push_back({{"id", figure.id},
                       {"label", figure.label},
                       {"value", jsonNumber(figure.value)},
                       {"unit", figure.unit},
                       {"text", figure.text},
                       {"group", figure.group},
                       {"note", figure.note},
                       {"low", jsonNumber(figure.low)},
                       {"high", jsonNumber(figure.high)}});
    }
    return out;
}

json phaseJson(const PhaseSummary& phase) {
    return {{"steps", phase.steps},
            {"tokens", phase.tokens},
            {"wall_ns", phase.wallNs},
            {"operation_ns", phase.operationNs},
            {"bytes", phase.bytes},
            {"tokens_per_second", jsonNumber(phase.tokensPerSecond)},
            {"median_step_ns", jsonNumber(phase.medianStepNs)},
            {"p95_step_ns", jsonNumber(phase.p95StepNs)},
            {"operation_share", jsonNumber(phase.operationShare)}};
}

json operationsJson(const ReportRun& run) {
    json out = json::array();
    for (const OperationGroup& group : run.summary.operations)
        out.push_back(operationGroupJson(group, run.analysis.roofline.ceilings));
    return out;
}

json routingJson(const RunSummary& run) {
    json layers = json::array();
    for (const LayerRouting& layer : run.routing) {
        const Balance& seen = layer.balance;
        layers.push_back({{"layer", layer.layer},
                          {"counts", layer.counts},
                          {"tokens", seen.tokens},
                          {"assignments", seen.assignments},
                          {"max_over_mean", jsonNumber(seen.maxOverMean)},
                          {"min_over_max", jsonNumber(seen.minOverMax)},
                          {"cv", jsonNumber(seen.cv)},
                          {"gini", jsonNumber(seen.gini)},
                          {"entropy_bits", jsonNumber(seen.entropyBits)},
                          {"normalized_entropy", jsonNumber(seen.normalizedEntropy)},
                          {"effective_experts", jsonNumber(seen.effectiveExperts)},
                          {"jain", jsonNumber(seen.jain)},
                          {"dead_experts", seen.deadExperts},
                          {"excess", jsonNumber(layer.excess)},
                          {"chance",
                           {{"max_over_mean", jsonNumber(layer.null.maxOverMean)},
                            {"max_over_mean_p95", jsonNumber(layer.null.maxOverMean95)},
                            {"normalized_entropy", jsonNumber(layer.null.normalizedEntropy)},
                            {"dead_experts", jsonNumber(layer.null.deadExperts)}}}});
    }
    return {{"experts", run.experts},
            {"top_k", run.topK},
            {"basis", "per expert, per layer, accumulated over the tokens of each layer"},
            {"layers", layers}};
}

json sampleJson(const RoutingSample& sample) {
    json tokens = json::array();
    for (std::size_t t = 0; t < sample.tokens.size(); ++t) {
        json layers = json::array();
        for (std::size_t l = 0; l < sample.layers.size(); ++l) {
            json experts = json::array();
            for (std::size_t k = 0; k < static_cast<std::size_t>(sample.topK); ++k)
                experts.push_back(sample.experts[sample.index(l, t, k)]);
            layers.push_back(std::move(experts));
        }
        const TokenRow& token = sample.tokens[t];
        tokens.push_back({{"position", token.position},
                          {"token", token.token},
                          {"text", token.text},
                          {"prompt", token.prompt},
                          {"log_probability", jsonNumber(token.logProbability)},
                          {"experts", std::move(layers)}});
    }
    return {{"sequence", sample.sequence.id},
            {"label", sample.sequence.label},
            {"group", sample.sequence.group},
            {"available_tokens", sample.availableTokens},
            {"skipped_tokens", sample.skippedTokens},
            {"layers", sample.layers},
            {"top_k", sample.topK},
            {"tokens", std::move(tokens)}};
}

json metricsJson(const RunSummary& run, std::int64_t suite) {
    json out = json::array();
    for (const MetricRow& metric : run.metrics) {
        if (metric.suite != suite) continue;
        out.push_back({{"name", metric.name},
                       {"group", metric.group},
                       {"value", jsonNumber(metric.value)},
                       {"low", jsonNumber(metric.low)},
                       {"high", jsonNumber(metric.high)},
                       {"standard_error", jsonNumber(metric.standardError)},
                       {"chance", jsonNumber(metric.chance)},
                       {"method", metric.method},
                       {"n", metric.n},
                       {"clusters", metric.clusters > 0 ? json(metric.clusters) : json()},
                       {"caution", metricCaution(metric, run.metrics)}});
    }
    return out;
}

json suitesJson(const ReportRun& run) {
    json out = json::array();
    for (const SuiteRow& suite : run.summary.suites) {
        json items = json::array();
        const auto found = run.items.find(suite.id);
        if (found != run.items.end()) {
            for (const ItemRow& item : found->second) {
                items.push_back({{"id", item.id},
                                 {"repeat", item.repeat},
                                 {"groups", nested(item.groups)},
                                 {"prompt", item.prompt},
                                 {"choices", nested(item.choices)},
                                 {"log_likelihoods", nested(item.logLikelihoods)},
                                 {"answer", item.answer},
                                 {"target", item.target},
                                 {"score", jsonNumber(item.score)},
                                 {"tokens", item.tokens},
                                 {"duration_ns", item.durationNs},
                                 {"detail", nested(item.detail)}});
            }
        }
        out.push_back({{"name", suite.name},
                       {"version", suite.version},
                       {"title", suite.title},
                       {"kind", suite.kind},
                       {"source", suite.source},
                       {"planned_items", suite.items},
                       {"finished", !isUnfinished(suite, itemCounts(run.summary, suite))},
                       {"settings", nested(suite.settings)},
                       {"metrics", metricsJson(run.summary, suite.id)},
                       {"items", std::move(items)}});
    }
    return out;
}

json runJson(const ReportRun& run, std::span<const RunSummary* const> earlier) {
    const RunSummary& summary = run.summary;
    json meta = json::object();
    for (const auto& [key, text] : summary.meta) meta[key] = nested(text);
    json quality = json::array();
    for (const QualityRow& row : summary.quality) {
        quality.push_back({{"name", row.name},
                           {"value", jsonNumber(row.value)},
                           {"unit", row.unit},
                           {"ok", row.ok},
                           {"note", row.note}});
    }
    json memory = json::object();
    for (const MemoryRow& row : summary.memory) memory[row.name] = row.bytes;
    json layers = json::array();
    for (const auto& [layer, ns] : summary.layerNs)
        layers.push_back({{"layer", layer}, {"ns", ns}});
    return {{"source", run.source},
            {"sha256", run.sha256},
            {"status", runStatusName(summary.status)},
            {"synthetic", run.synthetic()},
            {"imported", run.imported()},
            {"meta", std::move(meta)},
            {"quality", std::move(quality)},
            {"headline", headlineJson(summary, earlier)},
            {"prefill", phaseJson(summary.prefill)},
            {"decode", phaseJson(summary.decode)},
            {"ttft_ns", jsonNumber(summary.ttftNs)},
            {"memory_bytes", std::move(memory)},
            {"operations", operationsJson(run)},
            {"analysis", analysisJson(run.analysis)},
            {"layer_times", std::move(layers)},
            {"routing", summary.routing.empty() ? json() : routingJson(summary)},
            {"specialization", run.specialization.empty() && run.specialization.reason.empty()
                                   ? json()
                                   : specializationJson(run.specialization)},
            {"item_groups", itemComparisonsJson(run.itemGroups)},
            {"placement", summary.routing.empty() ? json() : parallelJson(run.parallel)},
            {"expert_cache",
             run.cache.empty() && run.cache.reason.empty()
                 ? json()
                 : cacheJson(run.cache, run.expertBytes, curveSizes(run.cache), usualLinks())},
            {"token_routing", run.sample ? sampleJson(*run.sample) : json()},
            {"suites", suitesJson(run)}};
}

json comparisonJson(std::span<const ReportRun> runs) {
    json out = json::array();
    for (const ComparisonRow& row : compareHeadlines(runs)) {
        json values = json::array();
        json changes = json::array();
        json differences = json::array();
        json tokens = json::array();
        for (std::size_t i = 0; i < runs.size(); ++i) {
            values.push_back(row.figures[i] ? jsonNumber(row.figures[i]->value) : json());
            changes.push_back(jsonNumber(relativeChange(row, i)));
            differences.push_back(jsonNumber(difference(row, i)));
            tokens.push_back(row.figures[i] && row.figures[i]->tokens > 0
                                 ? json(row.figures[i]->tokens)
                                 : json());
        }
        out.push_back({{"id", row.id},
                       {"label", row.label},
                       {"values", values},
                       {"tokens", tokens},
                       {"relative_changes", changes},
                       {"differences", differences}});
    }
    return out;
}

}  // namespace

std::vector<ReportFile> renderJson(std::span<const ReportRun> runs) {
    json document = {{"schema", "moescope.report"},
                     {"version", 1},
                     {"tool", {{"name", "moescope"}, {"version", toolVersion()}}}};
    document["runs"] = json::array();
    std::vector<const RunSummary*> earlier;
    for (const ReportRun& run : runs) {
        document["runs"].push_back(runJson(run, earlier));
        earlier.push_back(&run.summary);
    }
    document["comparison"] = runs.size() > 1 ? comparisonJson(runs) : json();
    document["depth"] = runs.size() > 1 ? json::array() : json();
    if (runs.size() > 1)
        for (const ReportRun& run : runs)
            document["depth"].push_back(depthJson(depthProfile(run.summary)));
    const SuiteComparison suites = compareSuites(runs);
    document["suite_comparison"] = json::array();
    for (const MetricChange& change : suites.changes)
        document["suite_comparison"].push_back(metricChangeJson(change));
    document["suite_warnings"] = suites.warnings;
    document["cautions"] = json::array();
    for (std::size_t i = 1; i < runs.size(); ++i)
        for (const std::string& caution : allCautions(runs.front().summary, runs[i].summary))
            document["cautions"].push_back({{"run", i + 1}, {"caution", caution}});
    return {{"report.json", dumpJson(document, 1) + "\n"}};
}

}  // namespace moescope
