// SPDX-License-Identifier: Apache-2.0
// The page: head, contents, and the sections of every run.
#include "engine/core/count_text.h"
#include "reports/comparison.h"
#include "reports/html/assets.h"
#include "reports/html/escape.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/report.h"
#include "reports/suite_comparison.h"

namespace moescope {
namespace {

std::string head(const std::string& title) {
    const std::string style = pageStyle();
    const std::string script = pageScript();
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; "
           "style-src " +
           htmlEscape(policyHash(style)) + "; script-src " + htmlEscape(policyHash(script)) +
           "; base-uri &#39;none&#39;; form-action &#39;none&#39;\"/>\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
           "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
           "<meta name=\"generator\" content=\"moescope " +
           htmlEscape(toolVersion()) + "\"/>\n<title>" + htmlEscape(title) + "</title>\n<style>" +
           style + "</style>\n</head>\n";
}

std::string qualityWord(const ReportRun& run) {
    std::size_t failed = 0;
    for (const QualityRow& row : run.summary.quality) failed += row.ok ? 0 : 1;
    std::string words = failed == 0
                            ? "no warning"
                            : (run.imported() ? countText(failed, "limit") + " of the source"
                                              : countText(failed, "failed check"));
    if (const std::size_t cautions = evaluationWarnings(run.summary).size(); cautions > 0)
        words += ", " + countText(cautions, "caution") + " of its scores";
    if (run.synthetic()) words += ", synthetic model";
    if (run.imported()) words += ", imported";
    return words;
}

std::string overview(std::span<const ReportRun> runs) {
    HtmlTable table(
        "Runs in this report",
        {{"run"}, {"model"}, {"kind"}, {"status"}, {"measurement"}, {"file"}, {"SHA-256"}});
    for (std::size_t i = 0; i < runs.size(); ++i) {
        table.row(
            {std::to_string(i + 1), runs[i].modelName(), runs[i].kind(),
             std::string(runStatusName(runs[i].summary.status)), qualityWord(runs[i]),
             runs[i].source,
             runs[i].sha256.empty() ? kNoData : runs[i].sha256.substr(0, 16) + "\xE2\x80\xA6"});
    }
    return "<h2 id=\"runs\">Runs</h2>\n" + table.html();
}

/// What only one run has cannot be compared: it is named and left out.
std::string leftOut(const std::vector<ComparisonRow>& rows) {
    std::string labels;
    for (const ComparisonRow& row : rows)
        if (!row.shared()) labels += (labels.empty() ? "" : "; ") + row.label;
    return labels.empty()
               ? labels
               : paragraph("Left out, since only one run has such a figure: " + labels + ".");
}

std::string changeText(const ComparisonRow& row, std::size_t index) {
    const auto& base = row.figures.front();
    const auto& other = row.figures[index];
    if (base && other && base->raw && base->tokens != other->tokens) return "not comparable";
    if (base && base->score) {
        const double apart = difference(row, index);
        return (apart > 0 ? "+" : "") + formatSignificant(apart);
    }
    const double change = relativeChange(row, index);
    return std::string(ofOtherLength(row, index) ? "! " : "") + (change > 0 ? "+" : "") +
           formatPercent(change);
}

/// What must be known before the figures are read.
std::string cautions(const ReportRun& base, const ReportRun& run, std::size_t index) {
    std::string out;
    for (const std::string& caution : allCautions(base.summary, run.summary))
        out += paragraph("Run " + std::to_string(index + 1) + ": " + caution + ".");
    return out;
}

/// Of evaluations: each metric's difference with its paired test, and what forbids comparing.
std::string suiteComparison(std::span<const ReportRun> runs) {
    const SuiteComparison compared = compareSuites(runs);
    std::string out;
    for (const std::string& warning : compared.warnings) out += paragraph(warning + ".");
    if (compared.changes.empty()) return out;
    HtmlTable table("Metrics of the suites that the runs have in common, beside run 1",
                    {{"suite"},
                     {"metric"},
                     {"group"},
                     {"run", true},
                     {"in run 1", true},
                     {"in this run", true},
                     {"difference", true, "this run less run 1, with its 95 % interval"},
                     {"p", true, "adjusted (Holm)"},
                     {"items", true, "that both runs scored"},
                     {"note"}},
                    true);
    for (const MetricChange& change : compared.changes) {
        const MetricRow* after = change.after ? &*change.after : nullptr;
        const std::string difference = differenceCell(change), p = probabilityCell(change.holm);
        table.row(
            {change.suite, change.name, groupTitle(change.name, change.group),
             std::to_string(change.run + 1),
             HtmlCell(scoreCell(&change.before), change.before.value),
             after != nullptr ? HtmlCell(scoreCell(after), after->value) : HtmlCell(""),
             difference.empty() ? HtmlCell("") : HtmlCell(difference, change.difference),
             p.empty() ? HtmlCell("") : HtmlCell(p, *change.holm),
             change.p ? HtmlCell(formatCount(change.items), double(change.items)) : HtmlCell(""),
             change.note});
    }
    return "<h3 id=\"suite-comparison\">Suites</h3>\n" + out + paragraph(kSuiteComparisonNote) +
           table.html();
}

std::string comparison(std::span<const ReportRun> runs) {
    std::vector<HtmlColumn> columns = {{"figure"}};
    for (std::size_t i = 0; i < runs.size(); ++i) {
        columns.push_back({"run " + std::to_string(i + 1), true});
        if (i > 0) columns.push_back({"change", true, "against run 1"});
    }
    const std::vector<ComparisonRow> rows = compareHeadlines(runs);
    bool marked = false;
    for (const ComparisonRow& row : rows)
        for (std::size_t i = 1; i < runs.size(); ++i) marked = marked || ofOtherLength(row, i);
    HtmlTable table("Headline figures; changes are against run 1" +
                        std::string(marked ? "; !: of tokens more than twofold apart" : ""),
                    columns);
    for (const ComparisonRow& row : rows) {
        if (!row.shared()) continue;
        std::vector<HtmlCell> cells = {row.label};
        for (std::size_t i = 0; i < runs.size(); ++i) {
            std::string text = row.figures[i] ? row.figures[i]->text : kNoData;
            if (row.figures[i] && row.figures[i]->tokens > 0)
                text += " (" + formatCounted(row.figures[i]->tokens, "token") + ")";
            if (row.figures[i] && row.figures[i]->low && row.figures[i]->high)
                text += " (" + formatSignificant(*row.figures[i]->low) + " to " +
                        formatSignificant(*row.figures[i]->high) + ")";
            cells.emplace_back(text);
            if (i > 0) cells.emplace_back(changeText(row, i));
        }
        table.row(std::move(cells));
    }
    std::string out = "<h2 id=\"comparison\">Comparison</h2>\n";
    for (std::size_t i = 1; i < runs.size(); ++i) out += cautions(runs.front(), runs[i], i);
    const std::string suites = suiteComparison(runs) + renderDepth(runs);
    if (table.empty())
        return out + paragraph("The runs have no figure in common.") + leftOut(rows) + suites;
    return out + table.html() + leftOut(rows) + suites;
}

std::string contents(std::span<const ReportRun> runs) {
    std::string out = "<nav aria-label=\"Contents\">\n<ol>\n";
    if (runs.size() > 1) {
        out +=
            "<li><a href=\"#runs\">Runs</a></li>\n<li><a "
            "href=\"#comparison\">Comparison</a></li>\n";
        for (std::size_t i = 0; i < runs.size(); ++i)
            out += "<li><a href=\"#r" + std::to_string(i + 1) + "\">" +
                   htmlEscape(shorten(runTitle(runs[i], i), 60)) + "</a></li>\n";
    } else {
        for (const ReportSection& section : reportSections()) {
            if (section.applies != nullptr && !section.applies(runs.front())) continue;
            out += "<li><a href=\"#r1-" + std::string(section.id) + "\">" +
                   htmlEscape(section.title) + "</a></li>\n";
        }
    }
    return out + "</ol>\n</nav>\n";
}

std::string runHtml(const ReportRun& run, std::size_t index, bool alone) {
    const std::string number = "r" + std::to_string(index + 1);
    const SectionContext at{number + "-", alone ? 2 : 3};
    std::string out = "<section class=\"" + std::string(alone ? "single" : "run") + "\" id=\"" +
                      number + "\" aria-label=\"" + htmlEscape(runTitle(run, index)) + "\">\n";
    if (!alone) out += "<h2>" + htmlEscape(runTitle(run, index)) + "</h2>\n";
    for (const ReportSection& section : reportSections()) {
        if (section.applies != nullptr && !section.applies(run)) continue;
        const std::string id = at.id(section.id);
        const std::string tag = "h" + std::to_string(at.level);
        out += "<section aria-labelledby=\"" + id + "\">\n<" + tag + " id=\"" + id + "\">" +
               htmlEscape(section.title) + "</" + tag + ">\n" + section.render(run, at) +
               "</section>\n";
    }
    return out + "</section>\n";
}

}  // namespace

std::vector<ReportFile> renderHtml(std::span<const ReportRun> runs) {
    const bool alone = runs.size() == 1;
    const std::string title =
        alone ? runs.front().title() : "MoEScope report: " + std::to_string(runs.size()) + " runs";
    std::string out =
        head(title) +
        "<body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<header>\n<h1>" +
        htmlEscape(title) + "</h1>\n" + contents(runs) + "</header>\n<main id=\"main\">\n";
    if (!alone) out += overview(runs) + comparison(runs);
    for (std::size_t i = 0; i < runs.size(); ++i) out += runHtml(runs[i], i, alone);
    out += "</main>\n<script>" + pageScript() + "</script>\n</body>\n</html>\n";
    return {{"report.html", std::move(out)}};
}

}  // namespace moescope
