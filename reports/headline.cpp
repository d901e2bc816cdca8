// SPDX-License-Identifier: Apache-2.0
// Headline figures: each is taken or derived from the summary with the formula beside it.
#include "reports/headline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/file.h"
#include "profiler/analysis/roofline.h"
#include "profiler/analysis/statistics.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"

namespace moescope {
namespace {

HeadlineFigure figure(std::string id, std::string label, double value, std::string unit,
                      std::string text, std::string note = {}) {
    HeadlineFigure out;
    out.id = std::move(id);
    out.label = std::move(label);
    out.value = value;
    out.unit = std::move(unit);
    out.text = std::move(text);
    out.note = std::move(note);
    return out;
}

void addPhase(std::vector<HeadlineFigure>& out, const PhaseSummary& phase, const std::string& id,
              const std::string& label) {
    if (phase.steps == 0) return;
    out.push_back(figure(id + "_tokens_per_second", label, phase.tokensPerSecond, "tok/s",
                         formatRate(phase.tokensPerSecond) + " tok/s",
                         formatCounted(phase.tokens, "token") + " in " +
                             formatDuration(static_cast<double>(phase.wallNs))));
    out.back().tokens = phase.tokens;
}

/// Of the sequences that generate, to whose first token TTFT is, the median; 0 without.
std::int64_t promptTokens(const RunSummary& run) {
    std::vector<std::int64_t> prompts;
    for (const SequenceRow& sequence : run.sequences)
        if (sequence.generatedTokens > 0) prompts.push_back(sequence.promptTokens);
    std::sort(prompts.begin(), prompts.end());
    return std::llround(medianOfSorted(prompts));
}

void addLatency(std::vector<HeadlineFigure>& out, const RunSummary& run) {
    if (run.ttftNs > 0) {
        out.push_back(figure("ttft_ns", "Time to first token", run.ttftNs, "ns",
                             formatDuration(run.ttftNs), "median over sequences"));
        out.back().tokens = promptTokens(run);
    }
    if (run.decode.steps == 0) return;
    out.push_back(figure("tpot_median_ns", "Time per output token", run.decode.medianStepNs, "ns",
                         formatDuration(run.decode.medianStepNs),
                         "median time between tokens, sampling included"));
    out.back().tokens = run.decode.tokens;
    out.push_back(figure("tpot_p95_ns", "Time per output token, p95", run.decode.p95StepNs, "ns",
                         formatDuration(run.decode.p95StepNs), "95th percentile of the same"));
    out.back().tokens = run.decode.tokens;
}

void addBandwidth(std::vector<HeadlineFigure>& out, const RunSummary& run) {
    const double rate = run.decode.bytesPerSecond();
    if (!std::isfinite(rate)) return;
    const double ceiling = ceilingsOf(run.meta).bytesPerSecond;
    out.push_back(figure("decode_bytes_per_second", "Decode bandwidth", rate, "B/s",
                         formatPerSecond(rate, "B"),
                         "weights and cache that must be read, per second of decode"));
    out.back().tokens = run.decode.tokens;
    if (!std::isfinite(ceiling)) return;
    if (cacheResident(run.meta)) {
        out.push_back(figure(
            "decode_bandwidth_share", "Share of bandwidth ceiling", PhaseSummary::kUnknown, "",
            "in cache", "the model fits the last-level cache: memory bandwidth is no ceiling"));
    } else {
        out.push_back(figure("decode_bandwidth_share", "Share of bandwidth ceiling", rate / ceiling,
                             "", formatPercent(rate / ceiling),
                             "of " + formatPerSecond(ceiling, "B") + " measured on this machine"));
    }
    out.back().tokens = run.decode.tokens;
}

void addMemory(std::vector<HeadlineFigure>& out, const RunSummary& run) {
    for (const MemoryRow& row : run.memory) {
        if (row.name == "peak_rss") {
            out.push_back(figure("peak_rss_bytes", "Peak memory", static_cast<double>(row.bytes),
                                 "B", formatBytes(static_cast<double>(row.bytes)),
                                 "resident set of the process"));
        }
    }
}

/// What a reader asks of a suite first; `even` is the value without any difference between groups.
struct Telling {
    const char* name;
    double even;
};
constexpr std::array kTelling = {Telling{"reference_pearson", 0},
                                 Telling{"reference_slope", 0},
                                 Telling{"accuracy", 1},
                                 Telling{"prompt_level_strict_acc", 1},
                                 Telling{"inst_level_strict_acc", 1},
                                 Telling{"answered", 1},
                                 Telling{"accuracy_norm", 1},
                                 Telling{"accuracy_macro", 1},
                                 Telling{"pct_stereotype", 0.5},
                                 Telling{"s_amb", 0},
                                 Telling{"s_dis", 0},
                                 Telling{"ss", 50},
                                 Telling{"lms", 100},
                                 Telling{"icat", 100},
                                 Telling{"accuracy_difference", 0},
                                 Telling{"answer_agreement", 1},
                                 Telling{"logit_difference", 0},
                                 Telling{"disparate_impact_ratio", 1},
                                 Telling{"flip_rate", 0},
                                 Telling{"demographic_parity_difference", 0},
                                 Telling{"kl_mean", 0},
                                 Telling{"same_top1", 1},
                                 Telling{"routing_agreement", 1}};

/// What says most of the suite: the same metrics and groups as in the first of `earlier` that has
/// it.
std::vector<TellingMetric> tellingAs(std::span<const RunSummary* const> earlier,
                                     const RunSummary& run, const SuiteRow& suite) {
    constexpr std::size_t kPerSuite = 3;
    for (const RunSummary* base : earlier) {
        const auto same =
            std::find_if(base->suites.begin(), base->suites.end(),
                         [&](const SuiteRow& other) { return other.name == suite.name; });
        if (same == base->suites.end()) continue;
        std::vector<TellingMetric> chosen = tellingMetrics(*base, same->id, kPerSuite);
        std::erase_if(chosen, [&](TellingMetric& telling) {
            const auto found =
                std::find_if(run.metrics.begin(), run.metrics.end(), [&](const MetricRow& metric) {
                    return metric.suite == suite.id && metric.name == telling.metric.name &&
                           metric.group == telling.metric.group;
                });
            if (found != run.metrics.end()) telling.metric = *found;
            return found == run.metrics.end();
        });
        return chosen;
    }
    return tellingMetrics(run, suite.id, kPerSuite);
}

void addScores(std::vector<HeadlineFigure>& out, const RunSummary& run,
               std::span<const RunSummary* const> earlier) {
    for (const SuiteRow& suite : run.suites) {
        const std::optional<double> mass = littleMass(run.metrics, suite.id);
        for (const auto& [metric, groups] : tellingAs(earlier, run, suite)) {
            HeadlineFigure score =
                figure("suite." + suite.name + "." + metric.name,
                       (suite.title.empty() ? suite.name : suite.title) + ": " + metric.name,
                       metric.value, "", formatSignificant(metric.value));
            score.score = true;
            if (groups > 0) {
                score.group = metric.group;
                score.note = groupTitle(metric.name, metric.group);
                if (groups > 1)
                    score.note += ", furthest from even of " + formatCounted(groups, "group");
                score.note += "; ";
            }
            if (metric.low && metric.high) {
                score.note += "95 % interval " + formatSignificant(*metric.low) + " to " +
                              formatSignificant(*metric.high) + "; ";
            }
            score.note += "n = " + formatCount(metric.n);
            if (metric.chance) score.note += "; chance " + formatSignificant(*metric.chance);
            if (mass) score.note += "; " + massCaution(*mass);
            score.low = metric.low;
            score.high = metric.high;
            out.push_back(std::move(score));
        }
    }
}

void addBalance(std::vector<HeadlineFigure>& out, const RunSummary& run) {
    const BalanceHeadline balance = balanceHeadline(run.routing);
    if (balance.layers == 0) return;
    const std::string basis =
        balanceBasis(balance.tokens) + "; mean of " + formatCounted(balance.layers, "layer");
    out.push_back(figure("balance_excess", "Excess imbalance", balance.excess, "",
                         formatSignificant(balance.excess) + " x chance",
                         basis + "; greatest in layer " + formatCount(balance.worstLayer) + " (" +
                             formatSignificant(balance.worstExcess) + " x)"));
    out.push_back(figure(
        "balance_max_over_mean", "Expert load, max/mean", balance.maxOverMean, "",
        formatSignificant(balance.maxOverMean) + " x",
        basis + "; uniform router by chance " + formatSignificant(balance.nullMaxOverMean) + " x"));
    out.back().tokens = balance.tokens;
    out.back().raw = true;
    out.push_back(figure("balance_normalized_entropy", "Router entropy, normalised",
                         balance.normalizedEntropy, "", formatFixed(balance.normalizedEntropy, 3),
                         basis + "; 1 is even"));
    out.back().tokens = balance.tokens;
}

}  // namespace

BalanceHeadline balanceHeadline(std::span<const LayerRouting> routing) {
    BalanceHeadline mean;
    for (const LayerRouting& layer : routing) {
        if (layer.balance.tokens == 0) continue;
        mean.tokens =
            mean.layers == 0 ? layer.balance.tokens : std::min(mean.tokens, layer.balance.tokens);
        ++mean.layers;
        mean.maxOverMean += layer.balance.maxOverMean;
        mean.nullMaxOverMean += layer.null.maxOverMean;
        mean.excess += layer.excess;
        mean.normalizedEntropy += layer.balance.normalizedEntropy;
        mean.deadExperts += layer.balance.deadExperts;
        if (layer.balance.maxOverMean > layer.null.maxOverMean95) ++mean.aboveChance;
        if (mean.worstLayer < 0 || layer.excess > mean.worstExcess) {
            mean.worstLayer = layer.layer;
            mean.worstExcess = layer.excess;
        }
    }
    if (mean.layers == 0) return mean;
    for (double* value :
         {&mean.maxOverMean, &mean.nullMaxOverMean, &mean.excess, &mean.normalizedEntropy})
        *value /= mean.layers;
    return mean;
}

std::string balanceBasis(std::int64_t tokens) {
    return "per expert, per layer, accumulated over " + formatCounted(tokens, "token");
}

std::vector<TellingMetric> tellingMetrics(const RunSummary& run, std::int64_t suite,
                                          std::size_t limit) {
    std::vector<TellingMetric> chosen;
    for (const Telling& kind : kTelling) {
        if (chosen.size() == limit) break;
        TellingMetric best;
        double greatest = -1;
        for (const MetricRow& metric : run.metrics) {
            if (metric.suite != suite || metric.name != kind.name ||
                metric.group.starts_with("control="))
                continue;
            const double deviation = metric.group.empty() ? std::numeric_limits<double>::infinity()
                                                          : std::abs(metric.value - kind.even);
            best.groups += metric.group.empty() ? 0 : 1;
            if (deviation > greatest) {
                greatest = deviation;
                best.metric = metric;
            }
        }
        if (greatest < 0) continue;
        if (best.metric.group.empty()) best.groups = 0;
        chosen.push_back(std::move(best));
    }
    if (!chosen.empty()) return chosen;
    for (const MetricRow& metric : run.metrics) {  // a suite of its own metrics
        if (metric.suite == suite && metric.group.empty() && isScore(metric.name) &&
            chosen.size() < limit)
            chosen.push_back({metric, 0});
    }
    return chosen;
}

namespace {

/// What was said when the suite's data was read: records that were left out, files that differ.
/// None when the settings are no JSON: "Settings of" shows them as they are.
std::vector<std::string> readingWarnings(const SuiteRow& suite) {
    const nlohmann::json settings = looseJson(suite.settings);
    std::vector<std::string> out;
    if (!settings.is_object()) return out;
    const auto warnings = settings.find("warnings");
    if (warnings == settings.end() || !warnings->is_array()) return out;
    for (const nlohmann::json& warning : *warnings)
        if (warning.is_string()) out.push_back(warning.get<std::string>());
    return out;
}

/// A whole number among the settings; 0 where there is none.
std::int64_t settingOf(const SuiteRow& suite, const char* key) {
    const nlohmann::json settings = looseJson(suite.settings);
    if (!settings.is_object()) return 0;
    const auto found = settings.find(key);
    return found != settings.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

}  // namespace

std::vector<std::string> scoreWarnings(const RunSummary& run) {
    std::vector<std::string> out;
    for (const SuiteRow& suite : run.suites) {
        const ItemCounts counts = itemCounts(run, suite);
        if (isUnfinished(suite, counts))
            out.push_back(suite.name + ": " + evaluatedItems(suite, counts));
        if (const auto mass = littleMass(run.metrics, suite.id))
            out.push_back(suite.name + ": " + massCaution(*mass));
        if (const std::string cut = cutOffCaution(run.metrics, suite.id); !cut.empty())
            out.push_back(suite.name + ": " + cut);
    }
    return out;
}

std::vector<std::string> evaluationWarnings(const RunSummary& run) {
    std::vector<std::string> out = scoreWarnings(run);
    for (const SuiteRow& suite : run.suites) {
        for (std::string& warning : readingWarnings(suite)) out.push_back(std::move(warning));
        for (const MetricRow& metric : run.metrics) {
            if (metric.suite == suite.id && metric.name == kItemsTooLong && metric.value > 0)
                out.push_back(suite.name + ": " + formatCount(std::llround(metric.value)) + " of " +
                              formatCount(metric.n) +
                              " items did not fit the context and are in no metric");
        }
    }
    return out;
}

std::int64_t availableItems(const SuiteRow& suite) {
    return std::max(suite.items, settingOf(suite, kAvailableItems));
}

std::int64_t repeatsOf(const SuiteRow& suite) {
    return std::max<std::int64_t>(1, settingOf(suite, kRepeats));
}

std::int64_t plannedRows(const SuiteRow& suite) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    const std::int64_t repeats = repeatsOf(suite);
    return suite.items > kMost / repeats ? kMost : suite.items * repeats;
}

ItemCounts itemCounts(const RunSummary& run, const SuiteRow& suite) {
    const auto found = run.itemCounts.find(suite.id);
    return found == run.itemCounts.end() ? ItemCounts{} : found->second;
}

bool isUnfinished(const SuiteRow& suite, const ItemCounts& counts) {
    return suite.kind != kNumericsKind && counts.done < plannedRows(suite);
}

std::string evaluatedItems(const SuiteRow& suite, const ItemCounts& counts) {
    const std::int64_t available = availableItems(suite), repeats = repeatsOf(suite);
    const std::string items = formatCounted(suite.items, "item");
    return formatCount(counts.scored) + " of " +
           (repeats == 1
                ? items + " evaluated"
                : formatCounted(plannedRows(suite), "reply") + " evaluated, " +
                      formatCount(repeats) +
                      (isUnfinished(suite, counts) ? " planned for each of " : " to each of ") +
                      items) +
           (available > suite.items ? ", chosen by --limit out of " + formatCount(available) : "") +
           (isUnfinished(suite, counts) ? ": NOT FINISHED" : "");
}

std::string metricText(const MetricRow& metric) {
    std::string text = formatSignificant(metric.value);
    if (metric.low && metric.high) {
        text += " (95 % interval " + formatSignificant(*metric.low) + " to " +
                formatSignificant(*metric.high) + ")";
    }
    return text;
}

std::vector<HeadlineFigure> headline(const RunSummary& run,
                                     std::span<const RunSummary* const> earlier) {
    std::vector<HeadlineFigure> figures;
    addPhase(figures, run.prefill, "prefill", "Prefill");
    addPhase(figures, run.decode, "decode", "Decode");
    addLatency(figures, run);
    addBandwidth(figures, run);
    addMemory(figures, run);
    addScores(figures, run, earlier);
    addBalance(figures, run);
    return figures;
}

}  // namespace moescope
