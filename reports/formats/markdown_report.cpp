// SPDX-License-Identifier: Apache-2.0
// A short Markdown summary, and the ten lines that the terminal shows when a run ends.
#include <algorithm>
#include <array>

#include "engine/core/count_text.h"
#include "profiler/analysis/quality_block.h"
#include "reports/cache_text.h"
#include "reports/comparison.h"
#include "reports/counter_names.h"
#include "reports/headline.h"
#include "reports/item_comparisons.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"
#include "reports/report.h"
#include "reports/roofline_plane.h"
#include "reports/specialization_text.h"
#include "reports/suite_comparison.h"
#include "reports/terms.h"
#include "reports/visible_text.h"

namespace moescope {
namespace {

/// Text inside a Markdown table cell: nothing may start markup or HTML.
std::string md(std::string_view bytes) {
    std::string out;
    for (const char c : visibleLine(bytes)) {
        if (c == '<')
            out += "&lt;";
        else if (c == '&')
            out += "&amp;";
        else {
            if (std::string_view("\\`*_[]|#").find(c) != std::string_view::npos) out += '\\';
            out += c;
        }
    }
    return out;
}

/// Name, kind, status and whatever limits the numbers.
std::vector<std::string> warnings(const ReportRun& run) {
    std::vector<std::string> out;
    if (run.summary.status != RunStatus::Done)
        out.push_back("status " + std::string(runStatusName(run.summary.status)) +
                      ": what was saved is shown");
    if (run.synthetic())
        out.emplace_back(
            "synthetic model: text, routing and scores say nothing about a trained model");
    if (run.imported()) out.emplace_back("imported, not measured here: recorded by another tool");
    for (std::string& warning : evaluationWarnings(run.summary)) out.push_back(std::move(warning));
    for (const QualityRow& row : run.summary.quality) {
        if (!row.ok) out.push_back(qualityWarning(row));
    }
    return out;
}

/// Rows of the longest tables; what is cut says so.
constexpr std::size_t kShown = 8;

std::string rest(std::size_t rows, const std::string& where) {
    return rows <= kShown ? "" : countText(rows - kShown, "more row") + ": see " + where + ".\n\n";
}

std::string qualityMarkdown(const RunSummary& run) {
    std::string out = "| quality of the measurement | value | note |\n|---|---|---|\n";
    std::string unknown;
    for (const QualityLine& line : qualityBlock(run.meta, run.status, run.quality)) {
        if (line.known)
            out += "| " + std::string(line.ok ? "" : "! ") + md(line.label) + " | " +
                   md(line.value) + " | " + md(line.note) + " |\n";
        else
            unknown += (unknown.empty() ? "" : ", ") + md(line.label);
    }
    return out + "\n" + (unknown.empty() ? "" : "Not recorded by this run: " + unknown + ".\n\n");
}

std::string rooflineMarkdown(const Roofline& roofline) {
    if (roofline.points.empty()) return {};
    std::string out = md(ceilingsSentence(roofline.ceilings)) + "\n\n";
    if (!(roofline.ceilings.bytesPerSecond > 0)) return out;
    out +=
        "| roofline of | kernel | phase | operations per byte | arithmetic | roof | peak of | "
        "of roof | bound by | bytes and operations |\n"
        "|---|---|---|---:|---:|---:|---|---:|---|---|\n";
    for (std::size_t i = 0; i < std::min(kShown, roofline.points.size()); ++i) {
        const RooflinePoint& p = roofline.points[i];
        out += "| " + md(p.op) + " | " + md(p.kernel) + " | " + md(p.phase) + " | " +
               formatSignificant(p.intensity) + " | " +
               formatPerSecond(p.operationsPerSecond, "OP") + " | " +
               formatPerSecond(p.roof, "OP") + " | " + md(p.operationKind) + " | " +
               formatPercent(p.share) + " | " + (p.bound() != nullptr ? p.bound() : kNoData) +
               " | " + p.origin() + " |\n";
    }
    out += "\n" +
           rest(roofline.points.size(), "report.html or report.json (report --format html,json)");
    if (const std::string above = aboveRoofNote(roofline); !above.empty()) out += above + "\n\n";
    return out + (roofline.anyModelled() ? std::string(kModelledNote) + "\n\n" : "");
}

std::string itemGroupsMarkdown(const std::vector<ItemComparison>& comparisons) {
    if (comparisons.empty()) return {};
    std::string out;
    for (const std::string& sentence : itemComparisonSentences(comparisons))
        out += md(sentence) + " ";
    out +=
        "\n\n| suite | by | groups | tokens | names exchanged | divergence, bits | p | q |\n"
        "|---|---|---|---|---|---:|---:|---:|\n";
    for (const ItemComparison& one : comparisons) {
        if (one.of.empty()) continue;
        out += "| " + md(one.suite) + " | " + md(one.key) + " | " + md(levelsText(one.of)) + " | " +
               tokensText(one) + " | " + exchangeText(one.of) + " | " + divergenceText(one) +
               " | " + formatFixed(one.of.p, 4) + " | " + formatFixed(one.q, 4) + " |\n";
    }
    return out + "\n";
}

std::string parallelMarkdown(const ParallelForecast& forecast) {
    if (forecast.of.empty()) return {};
    std::string out;
    for (const std::string& sentence : parallelSentences(forecast)) out += md(sentence) + " ";
    out += "\n\n|";
    const std::vector<ParallelColumn> columns = parallelColumns(forecast);
    for (const ParallelColumn& column : columns) out += " " + md(column.title) + " |";
    out += "\n|";
    for (const ParallelColumn& column : columns) out += column.value ? "---:|" : "---|";
    for (const ParallelLine& line : parallelLines(forecast)) {
        out += "\n|";
        for (const ParallelColumn& column : columns) out += " " + md(column.text(line)) + " |";
    }
    return out + "\n\n";
}

/// Empty where the run does not hold each token's experts.
std::string cacheMarkdown(const ReportRun& run) {
    const ExpertCache& of = run.cache;
    if (of.empty()) return {};
    std::string out = "**Expert cache.** ";
    for (const std::string& sentence : cacheSentences(of, run.expertBytes))
        out += md(sentence) + " ";
    std::string rule = "\n|---:|";
    out += "\n\n| experts of each layer in fast memory |";
    for (const CachePolicyName& name : cachePolicies()) {
        out += " " + std::string(name.title) + " |";
        rule += "---:|";
    }
    out += " uniform router |" + rule + "---:|\n";
    for (const int size : shownSizes(of)) {
        out += "| " + formatCount(size) + " |";
        for (const CachePolicyName& name : cachePolicies())
            out += " " + md(hitsText(of.all, name.policy, of.index(size))) + " |";
        out += " " + formatFixed(of.uniformHits(size), 3) + " |\n";
    }
    return out + "\n";
}

std::string runMarkdown(const ReportRun& run, const std::string& title) {
    std::string out = "## " + md(title) + "\n\n| what ran | |\n|---|---|\n";
    for (const auto& [label, value] : run.whatRan())
        out += "| " + md(label) + " | " + md(value) + " |\n";
    out += "\n";
    for (const std::string& warning : warnings(run)) out += "> **Note:** " + md(warning) + "\n\n";
    out += qualityMarkdown(run.summary);
    const std::vector<HeadlineFigure> figures = headline(run.summary);
    if (!figures.empty()) {
        out += "| figure | value | note |\n|---|---:|---|\n";
        for (const HeadlineFigure& figure : figures)
            out += "| " + md(figure.label) + " | " + md(figure.text) + " | " + md(figure.note) +
                   " |\n";
        out += "\n";
    }
    if (!run.summary.operations.empty()) {
        out +=
            "| operation | kernel | phase | calls | total | share of run |\n"
            "|---|---|---|---:|---:|---:|\n";
        for (std::size_t i = 0; i < std::min(kShown, run.summary.operations.size()); ++i) {
            const OperationGroup& group = run.summary.operations[i];
            out += "| " + md(group.op) + " | " + md(group.kernel) + " | " + md(group.phase) +
                   " | " + formatCount(group.calls) + " | " +
                   formatDuration(static_cast<double>(group.totalNs)) + " | " +
                   formatPercent(group.share) + " |\n";
        }
        out += "\n" + rest(run.summary.operations.size(),
                           "report.html or operations.csv (report --format html,csv)");
    }
    out += rooflineMarkdown(run.analysis.roofline);
    if (!run.analysis.sampled.empty()) {
        out +=
            "| sampled counter | phase | samples | mean | peak | NVIDIA's name |\n"
            "|---|---|---:|---:|---:|---|\n";
        for (const SampledMetric& metric : run.analysis.sampled)
            for (const SampledPhase& phase : metric.phases)
                out += "| " + md(counterName(metric.metric)) + " | " + md(phase.phase) + " | " +
                       formatCount(phase.samples) + " | " +
                       formatCounter(metric.metric, phase.mean) + " | " +
                       formatCounter(metric.metric, phase.peak) + " | " + md(metric.metric) +
                       " |\n";
        out += "\n";
    }
    for (const SuiteRow& suite : run.summary.suites) {
        if (suite.kind == kNumericsKind) continue;
        out += "**" + md(suite.title.empty() ? suite.name : suite.title) + "** (" + md(suite.name) +
               "): " + evaluatedItems(suite, itemCounts(run.summary, suite)) + ".\n\n";
    }
    if (!run.summary.metrics.empty()) {
        out +=
            "| suite | metric | group | value | p | n | caution |\n"
            "|---|---|---|---|---:|---:|---|\n";
        const std::vector<MetricLine> lines = metricLines(run.summary.metrics);
        for (const SuiteRow& suite : run.summary.suites) {
            for (const auto& [metric, test] : lines) {
                if (metric->suite != suite.id) continue;
                out += "| " + md(suite.name) + " | " + md(metric->name) + " | " +
                       md(groupTitle(metric->name, metric->group)) + " | " + metricText(*metric) +
                       " | " + testText(test) + " | " + basisText(*metric) + " | " +
                       md(metricCaution(*metric, run.summary.metrics)) + " |\n";
            }
        }
        out += "\n";
        for (const std::string& note : itemCountNotes(run.summary.metrics))
            out += md(note) + ".\n\n";
    }
    if (!run.specialization.empty()) {
        for (const std::string& sentence : specializationSentences(run.specialization))
            out += md(sentence) + " ";
        out +=
            std::string("\n\n| group | texts | ") + kLeadingExpertsTitle + " |\n|---|---:|---|\n";
        constexpr std::size_t kExperts = 5;
        const std::vector<TextGroup>& groups = run.specialization.groups;
        for (std::size_t g = 0; g < groups.size(); ++g)
            out += "| " + md(groups[g].name) + " | " + formatCount(groups[g].sequences) + " | " +
                   leadingExpertsText(run.specialization, g, kExperts) + " |\n";
        out += "\n";
    }
    out += itemGroupsMarkdown(run.itemGroups);
    out += parallelMarkdown(run.parallel);
    out += cacheMarkdown(run);
    out += "Run file: " + md(run.source) + (run.sha256.empty() ? "" : ", SHA-256 " + run.sha256) +
           "\n";
    return out;
}

/// What must be known before the runs are read beside each other.
std::string cautionsMarkdown(std::span<const ReportRun> runs) {
    std::string out;
    for (std::size_t i = 1; i < runs.size(); ++i)
        for (const std::string& caution : allCautions(runs.front().summary, runs[i].summary))
            out += "\n> **Note:** Run " + std::to_string(i + 1) + ": " + md(caution) + "\n";
    return out;
}

/// Empty unless two runs have a suite in common.
std::string suiteComparisonMarkdown(std::span<const ReportRun> runs) {
    const SuiteComparison comparison = compareSuites(runs);
    if (comparison.changes.empty()) return {};
    std::string out = "\n## Suites, each run beside run 1\n\n";
    for (const std::string& warning : comparison.warnings)
        out += "> **Note:** " + md(warning) + "\n\n";
    out +=
        "| suite | metric | group | run | in run 1 | in this run | difference | p | note |\n"
        "|---|---|---|---:|---|---|---|---:|---|\n";
    for (const MetricChange& change : comparison.changes)
        out += "| " + md(change.suite) + " | " + md(change.name) + " | " +
               md(groupTitle(change.name, change.group)) + " | " + std::to_string(change.run + 1) +
               " | " + scoreCell(&change.before) + " | " +
               scoreCell(change.after ? &*change.after : nullptr) + " | " + differenceCell(change) +
               " | " + probabilityCell(change.holm) + " | " + md(change.note) + " |\n";
    return out + "\n" + kSuiteComparisonNote + "\n";
}

/// A terminal of ordinary width shows the line unbroken.
std::string fit(std::string_view text) {
    constexpr std::size_t kColumns = 110;
    std::string line = visibleLine(text);
    std::size_t columns = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if ((static_cast<unsigned char>(line[i]) & 0xC0) == 0x80) continue;
        if (++columns > kColumns) return line.substr(0, i) + "\xE2\x80\xA6";
    }
    return line;
}

std::string labelled(const std::string& label, const std::string& text) {
    constexpr std::size_t kWidth = 28;
    return fit(label + std::string(label.size() < kWidth ? kWidth - label.size() : 1, ' ') + text);
}

std::string suiteLine(const RunSummary& run, const SuiteRow& suite) {
    std::string text;
    for (const auto& [metric, groups] : tellingMetrics(run, suite.id, 2)) {
        text += (text.empty() ? "" : "; ") + metric.name + " " + formatSignificant(metric.value);
        if (metric.low && metric.high)
            text += " [" + formatSignificant(*metric.low) + ", " + formatSignificant(*metric.high) +
                    "]";
        if (groups > 0) text += " " + groupTitle(metric.name, metric.group);
    }
    if (text.empty()) text = "no metric was computed";
    if (littleMass(run.metrics, suite.id)) text = "! small answer_mass; " + text;
    const ItemCounts counts = itemCounts(run, suite);
    if (isUnfinished(suite, counts))
        text = "NOT FINISHED, " + formatCount(counts.scored) + " of " +
               formatCounted(plannedRows(suite), repeatsOf(suite) == 1 ? "item" : "reply") + "; " +
               text;
    else if (counts.scored < counts.done)
        text = formatCount(counts.scored) + " of " + formatCount(counts.done) +
               " fitted the context; " + text;
    else if (const std::int64_t available = availableItems(suite); available > suite.items)
        text = formatCount(suite.items) + " of " + formatCounted(available, "item") + "; " + text;
    return labelled(suite.name, text);
}

}  // namespace

std::vector<ReportFile> renderMarkdown(std::span<const ReportRun> runs) {
    std::string out =
        "# MoEScope report\n" + cautionsMarkdown(runs) + suiteComparisonMarkdown(runs);
    for (std::size_t i = 0; i < runs.size(); ++i)
        out +=
            "\n" + runMarkdown(runs[i], runs.size() == 1 ? runs[i].title() : runTitle(runs[i], i));
    return {{"report.md", std::move(out)}};
}

std::vector<std::string> summaryLines(const RunSummary& summary) {
    ReportRun run;
    run.summary = summary;
    std::vector<std::string> lines;
    std::string first = run.modelName();
    if (!run.kind().empty()) first += (first.empty() ? "" : ", ") + run.kind();
    lines.push_back(visibleLine(first + (first.empty() ? "" : ", ") + "status " +
                                std::string(runStatusName(summary.status))));
    constexpr std::size_t kWarnings = 3;
    const std::vector<std::string> notes = warnings(run);
    for (std::size_t i = 0; i < std::min(kWarnings, notes.size()); ++i)
        lines.push_back(fit("! " + notes[i]));
    if (notes.size() > kWarnings)
        lines.push_back("! and " + std::to_string(notes.size() - kWarnings) +
                        " more warnings, see the report");
    constexpr std::array<std::string_view, 7> kShown = {
        "prefill_tokens_per_second", "decode_tokens_per_second", "ttft_ns",       "tpot_median_ns",
        "decode_bytes_per_second",   "decode_bandwidth_share",   "peak_rss_bytes"};
    for (const HeadlineFigure& figure : headline(summary)) {
        if (std::find(kShown.begin(), kShown.end(), figure.id) == kShown.end()) continue;
        lines.push_back(labelled(figure.label, figure.text + "  (" + figure.note + ")"));
    }
    const BalanceHeadline balance = balanceHeadline(summary.routing);
    if (balance.layers > 0)
        lines.push_back(labelled("Expert load, max/mean",
                                 formatSignificant(balance.maxOverMean) + " x  (uniform router " +
                                     formatSignificant(balance.nullMaxOverMean) + " x; mean of " +
                                     formatCounted(balance.layers, "layer") + " over " +
                                     formatCounted(balance.tokens, "token") + ")"));
    for (const SuiteRow& suite : summary.suites) lines.push_back(suiteLine(summary, suite));
    return lines;
}

}  // namespace moescope
