// SPDX-License-Identifier: Apache-2.0
// A short Markdown summary, and the ten lines that the terminal shows when a run ends.
#include <algorithm>

#include "engine/core/file.h"
#include "reports/headline.h"
#include "reports/numbers.h"
#include "reports/ranking.h"
#include "reports/report.h"

namespace moescope {
namespace {

/// Control characters and line breaks would break a line of text (or a terminal).
std::string plain(std::string_view bytes) {
    std::string text = toValidUtf8(bytes);
    std::erase_if(text, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
    });
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t' || c == 0x7F; }, ' ');
    return text;
}

/// Text inside a Markdown table cell: nothing may start markup or HTML.
std::string md(std::string_view bytes) {
    std::string out;
    for (const char c : plain(bytes)) {
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
    for (const QualityRow& row : run.summary.quality) {
        if (!row.ok)
            out.push_back(row.name + " = " + formatSignificant(row.value) +
                          (row.unit.empty() ? "" : " " + row.unit) +
                          (row.note.empty() ? "" : ": " + row.note));
    }
    if (run.synthetic())
        out.emplace_back(
            "synthetic model: text, routing and scores say nothing about a trained model");
    if (run.imported()) out.emplace_back("imported: recorded by another tool");
    return out;
}

std::string runMarkdown(const ReportRun& run) {
    std::string out = "## " + md(run.modelName()) + "\n\n";
    for (const std::string& warning : warnings(run)) out += "> **Note:** " + md(warning) + "\n\n";
    const std::vector<HeadlineFigure> figures = headline(run.summary);
    if (!figures.empty()) {
        out += "| figure | value | note |\n|---|---:|---|\n";
        for (const HeadlineFigure& figure : figures)
            out += "| " + md(figure.label) + " | " + md(figure.text) + " | " + md(figure.note) +
                   " |\n";
        out += "\n";
    }
    if (!run.summary.operations.empty()) {
        constexpr std::size_t kShown = 8;
        out += "| operation | phase | calls | total | share |\n|---|---|---:|---:|---:|\n";
        for (std::size_t i = 0; i < std::min(kShown, run.summary.operations.size()); ++i) {
            const OperationGroup& group = run.summary.operations[i];
            out += "| " + md(group.op) + " | " + md(group.phase) + " | " +
                   formatCount(group.calls) + " | " +
                   formatDuration(static_cast<double>(group.totalNs)) + " | " +
                   formatPercent(group.share) + " |\n";
        }
        out += "\n";
    }
    if (!run.summary.metrics.empty()) {
        out += "| suite | metric | group | value | n | caution |\n|---|---|---|---|---:|---|\n";
        for (const SuiteRow& suite : run.summary.suites) {
            for (const MetricRow& metric : run.summary.metrics) {
                if (metric.suite != suite.id) continue;
                out += "| " + md(suite.name) + " | " + md(metric.name) + " | " +
                       md(metric.group.empty() ? "all" : metric.group) + " | " +
                       metricText(metric) + " | " + formatCount(metric.n) + " | " +
                       metricCaution(metric) + " |\n";
            }
        }
        out += "\n";
    }
    out += "Run file: " + md(run.source) + (run.sha256.empty() ? "" : ", SHA-256 " + run.sha256) +
           "\n";
    return out;
}

}  // namespace

std::vector<ReportFile> renderMarkdown(std::span<const ReportRun> runs) {
    std::string out = "# MoEScope report\n";
    for (const ReportRun& run : runs) out += "\n" + runMarkdown(run);
    return {{"report.md", std::move(out)}};
}

std::vector<std::string> summaryLines(const RunSummary& summary) {
    ReportRun run;
    run.summary = summary;
    std::vector<std::string> lines;
    const auto kind = summary.meta.find("kind");
    std::string first = run.modelName();
    if (kind != summary.meta.end()) first += (first.empty() ? "" : ", ") + kind->second;
    lines.push_back(plain(first + (first.empty() ? "" : ", ") + "status " +
                          std::string(runStatusName(summary.status))));
    constexpr std::size_t kWarnings = 3;
    const std::vector<std::string> notes = warnings(run);
    for (std::size_t i = 0; i < std::min(kWarnings, notes.size()); ++i)
        lines.push_back(plain("! " + notes[i]));
    if (notes.size() > kWarnings)
        lines.push_back("! and " + std::to_string(notes.size() - kWarnings) +
                        " more warnings, see the report");
    std::size_t width = 0;
    const std::vector<HeadlineFigure> figures = headline(summary);
    for (const HeadlineFigure& figure : figures) width = std::max(width, figure.label.size());
    for (const HeadlineFigure& figure : figures) {
        lines.push_back(plain(figure.label + std::string(width - figure.label.size() + 2, ' ') +
                              figure.text +
                              (figure.note.empty() ? "" : "  (" + figure.note + ")")));
    }
    return lines;
}

}  // namespace moescope
