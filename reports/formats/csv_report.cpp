// SPDX-License-Identifier: Apache-2.0
// Tables for spreadsheets, RFC 4180 (CRLF, quotes doubled). The first column is the run's number,
// from 1.
//
// Spreadsheets run a cell that begins with = + - @ (or tab, CR) as a formula, and prompts come from
// strangers: such a text gets a leading apostrophe unless the whole of it is a number.
#include <charconv>
#include <initializer_list>

#include "engine/core/file.h"
#include "reports/cache_text.h"
#include "reports/item_comparisons.h"
#include "reports/numbers.h"
#include "reports/ranking.h"
#include "reports/report.h"
#include "reports/suite_comparison.h"
#include "reports/visible_text.h"

namespace moescope {
namespace {

bool isNumber(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

std::string cell(std::string_view bytes) {
    std::string text = withoutControls(toValidUtf8(bytes));
    if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos &&
        !isNumber(text))
        text.insert(0, 1, '\'');
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

std::string cell(std::int64_t value) {
    return std::to_string(value);
}
std::string cell(std::size_t value) {
    return std::to_string(value);
}
std::string cell(int value) {
    return std::to_string(value);
}
std::string cell(double value) {
    return rawNumber(value);
}
std::string cell(const std::optional<double>& value) {
    return value ? rawNumber(*value) : std::string();
}
/// Without this a literal would convert to bool, then int.
std::string cell(const char* text) {
    return cell(std::string_view(text));
}

template <typename... Cells>
void row(std::string& out, const Cells&... cells) {
    bool first = true;
    ((out += (first ? "" : ","), out += cell(cells), first = false), ...);
    out += "\r\n";
}

/// Whose the other tables are, and whether they are all that the run was to measure.
std::string runsCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "source", "sha256", "model", "kind", "status");
    for (std::size_t i = 0; i < runs.size(); ++i)
        row(out, i + 1, runs[i].source, runs[i].sha256, runs[i].modelName(), runs[i].kind(),
            runStatusName(runs[i].summary.status));
    return out;
}

std::string operationsCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "phase", "op", "kernel", "calls", "total_ns", "min_ns", "median_ns", "p95_ns",
        "max_ns", "share", "bytes", "flops", "bytes_per_second", "flops_per_second", "mean_ns",
        "p99_ns", "standard_deviation_ns", "share_of_peak", "bound_by");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const OperationGroup& group : runs[i].summary.operations) {
            const RoofShare ofRoof = shareOfRoof(group, runs[i].analysis.roofline.ceilings);
            row(out, i + 1, group.phase, group.op, group.kernel, group.calls, group.totalNs,
                group.minNs, group.medianNs, group.p95Ns, group.maxNs, group.share, group.bytes,
                group.flops, group.bytesPerSecond(), group.flopsPerSecond(), group.meanNs,
                group.p99Ns, group.standardDeviationNs, ofRoof.share,
                ofRoof.bound != nullptr ? ofRoof.bound : "");
        }
    }
    return out;
}

std::string timeCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "phase", "wall_ns", "compute_ns", "copy_ns", "launch_gap_ns", "host_wait_ns",
        "other_ns");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const PhaseTime& time : runs[i].analysis.time) {
            const TimeParts& p = time.parts;
            row(out, i + 1, time.phase.empty() ? std::string("all") : time.phase, p.wallNs,
                p.computeNs, p.copyNs, p.launchGapNs, p.hostWaitNs, p.otherNs);
        }
    }
    return out;
}

std::string tokenTimesCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "sequence", "position", "kind", "start_ns", "duration_ns");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const TokenTime& token : runs[i].analysis.latency.tokens)
            row(out, i + 1, token.sequence, token.position, token.first ? "first" : "output",
                token.startNs, token.ns());
    }
    return out;
}

std::string expertLaunchesCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "step", "layer", "tokens", "active_experts", "hottest_expert", "hottest_load",
        "assignments", "duration_ns");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const ExpertLaunch& launch : runs[i].analysis.expertLoad.launches)
            row(out, i + 1, launch.step, launch.layer, launch.tokens, launch.activeExperts,
                launch.hottestExpert, launch.hottestLoad, launch.assignments, launch.ns);
    }
    return out;
}

std::string routingCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "layer", "expert", "assignments", "layer_tokens", "over_fair_share");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const LayerRouting& layer : runs[i].summary.routing) {
            const double fair = static_cast<double>(layer.balance.assignments) /
                                static_cast<double>(layer.counts.size());
            for (std::size_t e = 0; e < layer.counts.size(); ++e)
                row(out, i + 1, layer.layer, e, layer.counts[e], layer.balance.tokens,
                    static_cast<double>(layer.counts[e]) / fair);
        }
    }
    return out;
}

std::string balanceCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "layer", "tokens", "max_over_mean", "chance_max_over_mean",
        "chance_max_over_mean_p95", "excess", "normalized_entropy", "chance_normalized_entropy",
        "effective_experts", "gini", "cv", "dead_experts", "chance_dead_experts");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const LayerRouting& layer : runs[i].summary.routing)
            row(out, i + 1, layer.layer, layer.balance.tokens, layer.balance.maxOverMean,
                layer.null.maxOverMean, layer.null.maxOverMean95, layer.excess,
                layer.balance.normalizedEntropy, layer.null.normalizedEntropy,
                layer.balance.effectiveExperts, layer.balance.gini, layer.balance.cv,
                layer.balance.deadExperts, layer.null.deadExperts);
    }
    return out;
}

/// One row per layer, expert and group.
std::string liftCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "layer", "expert", "group", "share", "lift", "dominant", "q");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const Specialization& of = runs[i].specialization;
        for (const LayerSpecialization& layer : of.layers) {
            const std::size_t experts = layer.dominant.size();
            for (std::size_t e = 0; e < experts; ++e) {
                for (std::size_t g = 0; g < of.groups.size(); ++g)
                    row(out, i + 1, layer.layer, e, of.groups[g].name,
                        layer.probability[g * experts + e], layer.lift[g * experts + e],
                        layer.dominant[e] == static_cast<int>(g) ? "yes" : "no", layer.expertQ[e]);
            }
        }
    }
    return out;
}

std::string divergenceCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "layer", "groups", "divergence_bits", "chance_divergence_bits",
        "chance_divergence_bits_p95", "mean_pairwise_divergence_bits", "p", "q");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const Specialization& of = runs[i].specialization;
        for (const LayerSpecialization& layer : of.layers)
            row(out, i + 1, layer.layer, of.groups.size(), layer.divergence, layer.nullMean,
                layer.null95, layer.meanPairwise, layer.p, layer.q);
    }
    return out;
}

std::string itemGroupsCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "suite", "key", "tokens", "shared_tokens", "exchange", "cases", "groups",
        "divergence_bits", "chance_divergence_bits", "p", "q");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const ItemComparison& one : runs[i].itemGroups) {
            const bool shared = one.tokens == ItemTokens::Shared, none = one.of.empty();
            const auto told = [&](double value) {
                return none ? std::nullopt : std::optional(value);
            };
            row(out, i + 1, one.suite, one.key, tokensName(one.tokens),
                shared ? std::optional(one.sharedTokens) : std::nullopt,
                exchangeName(one.of.exchange), one.of.blocks, one.of.groups.size(),
                told(one.of.meanDivergence), told(one.of.meanNull), told(one.of.p), told(one.q));
        }
    }
    return out;
}

std::string placementCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "gpus", "placement", "experts_per_gpu", "imbalance", "imbalance_lowest",
        "imbalance_highest", "chance_imbalance", "excess", "accumulated_imbalance",
        "in_sample_imbalance", "busiest_experts", "destinations", "expert_bytes_per_gpu",
        "expert_ns", "exchange_ns", "waiting_share");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const ParallelLine& line : parallelLines(runs[i].parallel)) {
            const PlacementFigures& f = *line.figures;
            const auto cost = [&](double value) {
                return line.cost ? std::optional(value) : std::nullopt;
            };
            const ParallelCost costs = line.cost.value_or(ParallelCost{});
            row(out, i + 1, line.gpus, line.policy, f.expertsPerGpu, f.imbalance, f.lowest,
                f.highest, line.chance->imbalance, line.excess, f.accumulated,
                f.accumulatedInSample, f.busiestExperts, f.destinations, cost(costs.slotBytes),
                cost(costs.expertNs), cost(costs.exchangeNs),
                cost(line.cost ? costs.lostShare() : 0));
        }
    }
    return out;
}

/// `visit` sees each layer of a run's expert cache, and the mean of them as "all".
template <class Visit>
void eachCacheLayer(const ExpertCache& of, Visit visit) {
    if (of.empty()) return;
    visit(of.all, std::string("all"));
    for (const CacheLayer& layer : of.layers) visit(layer, std::to_string(layer.layer));
}

std::string expertCacheCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "layer", "size", "lru", "lru_low", "lru_high", "lfu", "optimum",
        "static_held_out", "static_in_sample", "uniform");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const ExpertCache& of = runs[i].cache;
        eachCacheLayer(of, [&](const CacheLayer& layer, const std::string& name) {
            for (const int size : curveSizes(of)) {
                const std::size_t at = of.index(size);
                row(out, i + 1, name, size, layer.of(CachePolicy::Lru)[at], layer.low[at],
                    layer.high[at], layer.of(CachePolicy::Lfu)[at],
                    layer.of(CachePolicy::Optimum)[at], layer.of(CachePolicy::StaticHeldOut)[at],
                    layer.of(CachePolicy::StaticInSample)[at], of.uniformHits(size));
            }
        });
    }
    return out;
}

std::string expertStepsCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "layer", "reuse", "chance_reuse", "tokens", "distinct_experts",
        "uniform_distinct_experts");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const ExpertCache& of = runs[i].cache;
        eachCacheLayer(of, [&](const CacheLayer& layer, const std::string& name) {
            for (std::size_t s = 0; s < kStepTokens.size(); ++s)
                row(out, i + 1, name, layer.reuse, of.chanceReuse(), kStepTokens[s],
                    layer.distinct[s], of.uniformDistinct(kStepTokens[s]));
        });
    }
    return out;
}

std::string offloadCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "size", "policy", "cache_bytes", "loaded_bytes_per_token", "link",
        "ns_per_token", "most_tokens_per_second");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const ExpertCache& of = runs[i].cache;
        if (of.empty() || runs[i].expertBytes.empty()) continue;
        for (const int size : curveSizes(of)) {
            for (const CachePolicyName& name : cachePolicies()) {
                const double loaded = loadedBytes(of, runs[i].expertBytes, name.policy, size);
                for (const Link& link : usualLinks())
                    row(out, i + 1, size, name.key, cacheBytes(runs[i].expertBytes, size), loaded,
                        link.name, loadNs(loaded, link), mostTokensPerSecond(loaded, link));
            }
        }
    }
    return out;
}

const std::string& suiteName(const RunSummary& run, std::int64_t id) {
    static const std::string kUnknown;
    for (const SuiteRow& suite : run.suites) {
        if (suite.id == id) return suite.name;
    }
    return kUnknown;
}

std::string metricsCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "suite", "metric", "group", "value", "low", "high", "standard_error", "chance",
        "n", "method", "caution", "clusters");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const MetricRow& metric : runs[i].summary.metrics)
            row(out, i + 1, suiteName(runs[i].summary, metric.suite), metric.name, metric.group,
                metric.value, metric.low, metric.high, metric.standardError, metric.chance,
                metric.n, metric.method, metricCaution(metric, runs[i].summary.metrics),
                metric.clusters > 0 ? std::to_string(metric.clusters) : std::string());
    }
    return out;
}

std::string suiteComparisonCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "suite", "metric", "group", "in_run_1", "in_this_run", "difference", "low",
        "high", "standard_error", "p", "p_holm", "items", "clusters", "note");
    for (const MetricChange& change : compareSuites(runs).changes)
        row(out, change.run + 1, change.suite, change.name, change.group, change.before.value,
            change.after ? std::optional(change.after->value) : std::nullopt, change.difference,
            change.low, change.high, change.standardError, change.p, change.holm, change.items,
            change.clusters, change.note);
    return out;
}

std::string itemsCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "suite", "item", "groups", "prompt", "choices", "log_likelihoods", "answer",
        "target", "score", "tokens", "duration_ns", "repeat");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const auto& [suite, items] : runs[i].items) {
            for (const ItemRow& item : items)
                row(out, i + 1, suiteName(runs[i].summary, suite), item.id, item.groups,
                    item.prompt, item.choices, item.logLikelihoods, item.answer, item.target,
                    item.score, item.tokens, item.durationNs, item.repeat);
        }
    }
    return out;
}

std::string qualityCsv(std::span<const ReportRun> runs) {
    std::string out;
    row(out, "run", "source", "status", "check", "value", "unit", "result", "note");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const QualityRow& check : runs[i].summary.quality)
            row(out, i + 1, runs[i].source, runStatusName(runs[i].summary.status), check.name,
                check.value, check.unit, check.ok ? "passed" : "failed", check.note);
    }
    return out;
}

}  // namespace

std::vector<ReportFile> renderCsv(std::span<const ReportRun> runs) {
    return {{"runs.csv", runsCsv(runs)},
            {"time.csv", timeCsv(runs)},
            {"token_times.csv", tokenTimesCsv(runs)},
            {"expert_launches.csv", expertLaunchesCsv(runs)},
            {"operations.csv", operationsCsv(runs)},
            {"routing.csv", routingCsv(runs)},
            {"placement.csv", placementCsv(runs)},
            {"balance.csv", balanceCsv(runs)},
            {"lift.csv", liftCsv(runs)},
            {"divergence.csv", divergenceCsv(runs)},
            {"item_groups.csv", itemGroupsCsv(runs)},
            {"expert_cache.csv", expertCacheCsv(runs)},
            {"expert_steps.csv", expertStepsCsv(runs)},
            {"offload.csv", offloadCsv(runs)},
            {"metrics.csv", metricsCsv(runs)},
            {"suite_comparison.csv", suiteComparisonCsv(runs)},
            {"items.csv", itemsCsv(runs)},
            {"quality.csv", qualityCsv(runs)}};
}

}  // namespace moescope
