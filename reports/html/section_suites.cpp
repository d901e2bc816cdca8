// SPDX-License-Identifier: Apache-2.0
// Suites: metrics with intervals, by group, and the items worth reading.
#include <algorithm>
#include <cmath>
#include <utility>

#include "reports/headline.h"
#include "reports/html/escape.h"
#include "reports/html/facts.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"

namespace moescope {
namespace {

constexpr std::size_t kShownItems = 12;
constexpr std::size_t kShownCharacters = 180;

std::vector<MetricRow> metricsOf(const RunSummary& run, std::int64_t suite) {
    std::vector<MetricRow> metrics;
    for (const MetricRow& metric : run.metrics) {
        if (metric.suite == suite) metrics.push_back(metric);
    }
    return metrics;
}

std::string metricTable(const SuiteRow& suite, const std::vector<MetricRow>& metrics) {
    HtmlTable table("Metrics of " + suite.name + ", overall and by group",
                    {{"metric"},
                     {"group"},
                     {"value", true},
                     {"95 % interval", true},
                     {"chance", true},
                     {"p", true, "of the test of the value, adjusted for the levels of its group"},
                     {"n", true, "items, and the clusters of these that are independent"},
                     {"method"},
                     {"caution"}},
                    true);
    for (const auto& [row, test] : metricLines(metrics)) {
        const MetricRow& metric = *row;
        const std::string interval =
            metric.low && metric.high
                ? formatSignificant(*metric.low) + " to " + formatSignificant(*metric.high)
                : kNoData;
        table.row({metric.name, groupTitle(metric.name, metric.group),
                   HtmlCell(formatSignificant(metric.value), metric.value), interval,
                   metric.chance ? formatSignificant(*metric.chance) : kNoData,
                   test != nullptr ? HtmlCell(testText(test), test->value) : HtmlCell(kNoData),
                   HtmlCell(basisText(metric), static_cast<double>(metric.n)),
                   metric.method + (test != nullptr ? "; p: " + test->method : ""),
                   metricCaution(metric, metrics)});
    }
    std::string out = table.html();
    for (const std::string& note : itemCountNotes(metrics)) out += paragraph(note + ".");
    return out;
}

/// One plot per metric: metrics of a suite differ in scale.
std::string plots(const std::vector<MetricRow>& metrics, const std::string& id) {
    std::vector<std::pair<std::string, std::vector<Interval>>> byMetric;  // in the suite's order
    for (const MetricLine& line : metricLines(metrics)) {
        const MetricRow& metric = *line.metric;
        auto plot = std::find_if(byMetric.begin(), byMetric.end(),
                                 [&](const auto& one) { return one.first == metric.name; });
        if (plot == byMetric.end()) plot = byMetric.insert(byMetric.end(), {metric.name, {}});
        plot->second.push_back({groupTitle(metric.name, metric.group), metric.value, metric.low,
                                metric.high, metric.chance});
    }
    std::string out;
    std::size_t number = 0;
    for (const auto& [name, intervals] : byMetric) {
        // A lone value is no picture; the table says it better.
        if (intervals.size() < 2) continue;
        // The extremes over groups, for instance, have none.
        const bool bounded = std::any_of(intervals.begin(), intervals.end(),
                                         [](const Interval& i) { return i.low && i.high; });
        const std::string with = bounded ? " with 95 % intervals" : "";
        out += "<figure>\n" +
               intervalPlot({id + "-plot" + std::to_string(number++), name + " by group",
                             "Values" + with + "; the table above has the same numbers."},
                            intervals) +
               "<figcaption>" + htmlEscape(name) + " by group" + (bounded ? "," : "") + with +
               ".</figcaption></figure>\n";
    }
    return out;
}

std::string itemTable(const SuiteRow& suite, const std::vector<MetricRow>& metrics,
                      const std::vector<ItemRow>& items) {
    const bool perCharacter = countsPerCharacter(metrics);
    const std::vector<Replies> all = byItem(items), shown = tellingItems(items, kShownItems);
    // Items with a written reply have no likelihoods, and so no margin.
    const bool written = std::any_of(items.begin(), items.end(), [](const ItemRow& item) {
        return writtenReply(item).has_value();
    });
    const bool repeated = all.size() < items.size();
    std::vector<HtmlColumn> columns{{"item"}, {"prompt"}, {"answer"}, {"target"}, {"score", true}};
    if (written) {
        columns[2].help =
            repeated ? "what was read from the replies" : "what was read from the reply";
        columns.push_back({"reply", false,
                           repeated ? "the beginning of the first, without the reasoning"
                                    : "its beginning, without the reasoning"});
        if (repeated) columns[4].help = "mean over the replies";
    } else {
        columns.push_back(
            {"margin", true, "log-likelihood of the answer over the runner-up, nats"});
    }
    if (perCharacter)
        columns.insert(columns.begin() + 3, {"answer per character", false,
                                             "likeliest per character: what accuracy_norm counts"});
    const auto scored = std::count_if(
        all.begin(), all.end(), [](const Replies& item) { return !std::isnan(meanScore(item)); });
    HtmlTable table("Items of " + suite.name + " with the lowest score" +
                        (written ? " (" : ", the surest answers first (") +
                        formatCount(static_cast<std::int64_t>(shown.size())) + " of " +
                        formatCount(scored) + ")",
                    columns);
    for (const Replies replies : shown) {
        const ItemRow& item = replies.front();
        std::vector<HtmlCell> cells{
            shorten(item.id, 60),
            shorten(item.prompt, kShownCharacters),
            shorten(answersText(replies), 80),
            item.target.empty() ? kNoData : shorten(item.target, 80),
            formatSignificant(meanScore(replies)),
            written ? shorten(writtenReply(item).value_or(kNoData), kShownCharacters)
                    : formatSignificant(likelihoodMargin(item))};
        if (perCharacter) {
            const std::string answer = answerPerCharacter(item);
            cells.insert(cells.begin() + 3, answer.empty() ? kNoData : shorten(answer, 80));
        }
        table.row(std::move(cells));
    }
    return table.html();
}

std::string suiteHtml(const ReportRun& run, const SuiteRow& suite, const SectionContext& at) {
    std::string out = at.heading(1, suite.title.empty() ? suite.name : suite.title);
    const ItemCounts counts = itemCounts(run.summary, suite);
    out += paragraph((suite.kind.empty() ? "" : "A " + suite.kind + " suite. ") +
                     evaluatedItems(suite, counts) + "." +
                     (suite.version.empty() ? "" : " Version " + suite.version + ".") +
                     (suite.source.empty() ? "" : " Source: " + suite.source + "."));
    const std::vector<MetricRow> metrics = metricsOf(run.summary, suite.id);
    if (metrics.empty()) {
        out += paragraph("No metric was computed.");
    } else {
        out +=
            metricTable(suite, metrics) + plots(metrics, at.id("suite" + std::to_string(suite.id)));
    }
    if (const auto items = run.items.find(suite.id); counts.scored > 0 && items != run.items.end())
        out += itemTable(suite, metrics, items->second);
    if (!suite.settings.empty() && suite.settings != "{}")
        out += htmlDetails("Settings of " + suite.name,
                           settingsHtml("Settings of " + suite.name, suite.settings));
    return out;
}

}  // namespace

namespace {

bool isScored(const SuiteRow& suite) {
    return suite.kind != kNumericsKind;
}

}  // namespace

bool hasSuites(const ReportRun& run) {
    return std::any_of(run.summary.suites.begin(), run.summary.suites.end(), isScored);
}

std::string renderSuites(const ReportRun& run, const SectionContext& at) {
    std::string out;
    // Of numbers alone: an evaluation that was stopped early has none yet.
    if (std::any_of(run.summary.metrics.begin(), run.summary.metrics.end(),
                    [](const MetricRow& metric) { return metric.low && metric.high; }))
        out = paragraph(
            "Intervals are 95 %: of many such evaluations, 95 in 100 would cover the value for the "
            "population the items "
            "were drawn from. Whether two runs differ is told by a paired test of their items, not "
            "by how "
            "their intervals overlap: a report of both, or moescope compare, has it.");
    for (const SuiteRow& suite : run.summary.suites) {
        if (isScored(suite)) out += suiteHtml(run, suite, at);
    }
    return out;
}

}  // namespace moescope
