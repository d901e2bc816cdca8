// SPDX-License-Identifier: Apache-2.0
#include "gui/models/facts.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "gui/data/colors.h"
#include "gui/data/format.h"
#include "gui/models/operation_groups.h"
#include "profiler/analysis/quality_block.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope::gui {
namespace {

struct Facts {
    Q_DECLARE_TR_FUNCTIONS(Facts)
};
QString tr(const char* source) {
    return Facts::tr(source);
}

FactRow section(const QString& name) {
    return {name, {}, {}, true};
}

void phaseFacts(const PhaseSummary& phase, const QString& title, bool decode,
                std::vector<FactRow>& rows) {
    if (phase.steps == 0) return;
    rows.push_back(section(title));
    rows.push_back(
        {tr("Speed"), tr("%1 tok/s").arg(text(formatRate(phase.tokensPerSecond))), {}, false});
    rows.push_back(
        {decode ? tr("Time per output token (median, p95)") : tr("Time per step (median, p95)"),
         tr("%1, %2").arg(formatDuration(phase.medianStepNs), formatDuration(phase.p95StepNs)),
         {},
         false});
    if (const double rate = phase.bytesPerSecond(); std::isfinite(rate)) {
        rows.push_back({decode ? tr("Decode bandwidth") : tr("Prefill bandwidth"),
                        formatPerSecond(rate, "B"),
                        tr("Weights and cache that must be read, over the time that the speed is "
                           "of"),
                        false});
    }
    rows.push_back({tr("Tokens, steps"),
                    tr("%1, %2").arg(formatCount(phase.tokens), formatCount(phase.steps)),
                    {},
                    false});
    if (phase.operationNs > 0) {
        rows.push_back({tr("Explained by operations"), formatPercent(phase.operationShare),
                        tr("Operation time over the time inside steps; at least 95 % is expected"),
                        false});
    }
}

/// Figures of the summary are of the whole run; beside a view of a part they must say so.
FactRow wholeRunSection(const QString& name, const SelectionState& selection) {
    const bool part = selection.range || selection.sequence;
    return section(part ? tr("%1, %2").arg(name, text(kWholeRun)) : name);
}

void layerFacts(const RunData& run, const SelectionState& selection, std::vector<FactRow>& rows) {
    const auto& routing = run.summary.routing;
    const auto layer = std::find_if(routing.begin(), routing.end(), [&](const LayerRouting& r) {
        return r.layer == *selection.layer;
    });
    rows.push_back(wholeRunSection(tr("Layer %1").arg(*selection.layer), selection));
    const auto time = run.summary.layerNs.find(*selection.layer);
    if (time != run.summary.layerNs.end())
        rows.push_back(
            {tr("Operation time"), formatDuration(static_cast<double>(time->second)), {}, false});
    if (layer == routing.end()) return;
    const Balance& b = layer->balance;
    rows.push_back({tr("Tokens"), formatCount(b.tokens), {}, false});
    rows.push_back({tr("Max/mean"), formatNumber(b.maxOverMean), {}, false});
    rows.push_back(
        {heading(kByChance),
         tr("%1 (95 %: %2)")
             .arg(formatNumber(layer->null.maxOverMean), formatNumber(layer->null.maxOverMean95)),
         {},
         false});
    rows.push_back({tr("Normalised entropy"), formatFixed(b.normalizedEntropy, 3), {}, false});
    rows.push_back(
        {heading(kEffectiveExperts),
         tr("%1 of %2").arg(formatFixed(b.effectiveExperts, 1)).arg(layer->counts.size()),
         {},
         false});
    rows.push_back({heading(kDeadExperts), formatCount(b.deadExperts), {}, false});
    if (!selection.expert || *selection.expert < 0 ||
        static_cast<std::size_t>(*selection.expert) >= layer->counts.size())
        return;
    const std::int64_t count = layer->counts[static_cast<std::size_t>(*selection.expert)];
    const auto rank = 1 + std::count_if(layer->counts.begin(), layer->counts.end(),
                                        [&](std::int64_t c) { return c > count; });
    const double share = b.assignments > 0
                             ? static_cast<double>(count) / static_cast<double>(b.assignments)
                             : std::nan("");
    rows.push_back(wholeRunSection(
        tr("Expert %1 of layer %2").arg(*selection.expert).arg(*selection.layer), selection));
    rows.push_back({tr("Assignments"), formatCount(count), {}, false});
    rows.push_back({tr("Share of layer"), formatPercent(share), {}, false});
    rows.push_back({tr("Times uniform"),
                    formatNumber(share * static_cast<double>(layer->counts.size())),
                    {},
                    false});
    rows.push_back(
        {tr("Rank in layer"), tr("%1 of %2").arg(rank).arg(layer->counts.size()), {}, false});
}

void operationFacts(const RunData& run, const SelectionState& selection,
                    std::vector<FactRow>& rows) {
    for (const OperationGroup& g : run.summary.operations) {
        if (text(g.op) != selection.operation) continue;
        const QString title = operationTitle(g.op);
        rows.push_back(wholeRunSection(
            g.phase.empty() ? title : title + QStringLiteral(", ") + text(g.phase), selection));
        if (!g.kernel.empty()) rows.push_back({tr("Kernel"), text(g.kernel), {}, false});
        rows.push_back({tr("Calls"), formatCount(g.calls), {}, false});
        rows.push_back({tr("Total"),
                        tr("%1 (%2)").arg(formatDuration(static_cast<double>(g.totalNs)),
                                          formatPercent(g.share)),
                        {},
                        false});
        rows.push_back({tr("Median, p95"),
                        tr("%1, %2").arg(formatDuration(static_cast<double>(g.medianNs)),
                                         formatDuration(static_cast<double>(g.p95Ns))),
                        {},
                        false});
        if (g.bytes > 0)
            rows.push_back({tr("Bandwidth"), formatPerSecond(g.bytesPerSecond(), "B"), {}, false});
        if (g.flops > 0)
            rows.push_back(
                {tr("Arithmetic"), formatPerSecond(g.flopsPerSecond(), "FLOP"), {}, false});
    }
}

void sequenceFacts(const RunData& run, std::int64_t id, std::vector<FactRow>& rows) {
    const SequenceRow* sequence = run.sequence(id);
    if (sequence == nullptr) return;
    rows.push_back(section(tr("Sequence %1").arg(id)));
    rows.push_back({tr("Label"), text(sequence->label), {}, false});
    if (!sequence->group.empty()) rows.push_back({tr("Group"), text(sequence->group), {}, false});
    rows.push_back({tr("Prompt tokens"), formatCount(sequence->promptTokens), {}, false});
    rows.push_back({tr("Generated tokens"), formatCount(sequence->generatedTokens), {}, false});
}

}  // namespace

FactsModel::FactsModel(QObject* parent) : RowModel(parent) {
    const auto extra = [](const FactRow& r, int role) -> QVariant {
        if (role == Qt::ToolTipRole)
            return r.tip.isEmpty() ? (r.value.size() > 40 ? QVariant(r.value) : QVariant())
                                   : QVariant(r.tip);
        return role == kSectionRole ? QVariant(r.section) : QVariant();
    };
    setColumns(
        {{tr("Fact"), {}, [](const FactRow& r) -> QVariant { return r.name; }, {}, false, extra},
         {tr("Value"),
          {},
          [](const FactRow& r) -> QVariant { return r.value; },
          {},
          false,
          extra}});
}

std::vector<Notice> notices(const RunData& run) {
    std::vector<Notice> out;
    using Level = Notice::Level;
    const std::string error = run.meta("error");
    switch (run.summary.status) {
        case RunStatus::Failed:
            out.push_back({Level::Error,
                           tr("This run failed: %1")
                               .arg(error.empty() ? tr("no reason was recorded") : text(error))});
            break;
        case RunStatus::Interrupted:
            out.push_back(
                {Level::Warning,
                 tr("This run was interrupted; what is shown was measured before that.")});
            break;
        case RunStatus::Running:
            out.push_back(
                {Level::Warning, tr("This run is still being written; F5 reads it again.")});
            break;
        case RunStatus::Done:
            break;
    }
    if (run.meta("synthetic") == "true") {
        const bool counted = !run.meta("counters").empty() || !run.meta("sampling").empty();
        out.push_back({Level::Warning,
                       counted ? tr("Synthetic model: the weights are random, so texts and scores "
                                    "mean nothing; sizes do.")
                               : tr("Synthetic model: the weights are random, so texts and scores "
                                    "mean nothing; times and sizes do.")});
    }
    if (run.meta("kind") == "import")
        out.push_back({Level::Information,
                       tr("Imported from another tool: only what it recorded can be shown.")});
    for (const QualityRow& row : run.summary.quality) {
        if (!row.ok) out.push_back({Level::Warning, text(qualityWarning(row))});
    }
    for (const std::string& warning : evaluationWarnings(run.summary))
        out.push_back({Level::Warning, text(warning)});
    if (run.operationsInFile > static_cast<std::int64_t>(run.operations.size())) {
        out.push_back(
            {Level::Warning, tr("Only the first %1 of %2 operations are shown.")
                                 .arg(formatCount(static_cast<std::int64_t>(run.operations.size())),
                                      formatCount(run.operationsInFile))});
    }
    // Records that cannot be used are in the file but not among those shown.
    if (run.device.size() == kMaxOperations &&
        run.deviceInFile > static_cast<std::int64_t>(kMaxOperations)) {
        out.push_back(
            {Level::Warning, tr("Only the first %1 of %2 records of work on the device are shown.")
                                 .arg(formatCount(static_cast<std::int64_t>(run.device.size())),
                                      formatCount(run.deviceInFile))});
    }
    const std::string degradation = run.meta("degradation");
    // What every run on the CPU is measured with is no news.
    if (!degradation.empty() && degradation != "cpu spans" && run.meta("kind") != "import")
        out.push_back({Level::Information, tr("Measured with: %1.").arg(text(degradation))});
    std::stable_sort(out.begin(), out.end(),
                     [](const Notice& a, const Notice& b) { return a.level < b.level; });
    return out;
}

std::vector<FactRow> headlineFacts(const RunData& run) {
    std::vector<FactRow> rows;
    phaseFacts(run.summary.decode, tr("Decode"), true, rows);
    phaseFacts(run.summary.prefill, tr("Prefill"), false, rows);
    if (run.summary.ttftNs > 0)
        rows.push_back(
            {tr("Time to first token (median)"), formatDuration(run.summary.ttftNs), {}, false});
    if (!run.summary.memory.empty()) {
        rows.push_back(section(tr("Memory")));
        for (const MemoryRow& m : run.summary.memory)
            rows.push_back({heading(memoryTitle(m.name)), formatBytes(static_cast<double>(m.bytes)),
                            text(m.name), false});
    }
    return rows;
}

std::vector<FactRow> scoreFacts(const RunData& run) {
    std::vector<FactRow> rows;
    const std::vector<HeadlineFigure> figures = headline(run.summary);
    for (const SuiteData& suite : run.suites) {
        const SuiteRow& s = suite.suite;
        rows.push_back(section(text(s.title.empty() ? s.name : s.title)));
        if (s.kind != kNumericsKind)
            rows.push_back(
                {tr("Items"), text(evaluatedItems(s, itemCounts(run.summary, s))), {}, false});
        std::set<std::string> shown;
        for (const HeadlineFigure& figure : figures) {
            const std::string prefix = "suite." + s.name + '.';
            if (!figure.id.starts_with(prefix)) continue;
            const std::string name = figure.id.substr(prefix.size());
            shown.insert(name);
            rows.push_back({text(name), text(figure.text), text(figure.note), false});
            if (!figure.note.empty()) rows.back().value += "  (" + text(figure.note) + ')';
        }
        for (const MetricLine& line : metricLines(suite.metrics)) {
            const MetricRow& metric = *line.metric;
            if (!metric.group.empty() || shown.count(metric.name) > 0) continue;
            QString value = formatNumber(metric.value);
            if (metric.low && metric.high)
                value += tr("  (95 %: %1 to %2)")
                             .arg(formatNumber(*metric.low), formatNumber(*metric.high));
            if (line.test != nullptr) value += tr("  (p %1)").arg(text(testText(line.test)));
            rows.push_back({text(metric.name), value, text(metric.method), false});
        }
        for (const std::string& note : itemCountNotes(suite.metrics))
            rows.push_back({tr("Counts"), text(note), {}, false});
    }
    return rows;
}

std::vector<FactRow> selectionFacts(const RunData& run, const SelectionState& selection) {
    std::vector<FactRow> rows;
    if (selection.range) {
        const double width = static_cast<double>(selection.range->endNs - selection.range->beginNs);
        rows.push_back(section(tr("Time range")));
        rows.push_back(
            {tr("From"), formatDuration(static_cast<double>(selection.range->beginNs)), {}, false});
        rows.push_back(
            {tr("To"), formatDuration(static_cast<double>(selection.range->endNs)), {}, false});
        rows.push_back({tr("Length"), formatDuration(width), {}, false});
    }
    if (!selection.operation.isEmpty()) operationFacts(run, selection, rows);
    if (selection.layer) layerFacts(run, selection, rows);
    if (selection.sequence) sequenceFacts(run, *selection.sequence, rows);
    if (!rows.empty()) return rows;
    rows = headlineFacts(run);
    const std::string model = run.modelName();
    if (!model.empty()) rows.insert(rows.begin(), {tr("Model"), text(model), {}, false});
    return rows;
}

}  // namespace moescope::gui
