// SPDX-License-Identifier: Apache-2.0
// moescope compare: headline figures of several runs side by side, the first as the baseline.
#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>

#include "cli/analysis_text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_names.h"
#include "engine/core/error.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/analysis/run_difference.h"
#include "profiler/analysis/run_summary.h"
#include "reports/analysis_json.h"
#include "reports/comparison.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/suite_comparison_json.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

struct Figure {
    const char* name;
    const char* unit;
    int decimals;
    std::function<double(const RunSummary&)> value;   ///< NaN when the run has none
    const PhaseSummary RunSummary::*phase = nullptr;  ///< that it is of; null: of none
};

double orNan(bool present, double value) {
    return present ? value : std::nan("");
}

double tokensOf(const PhaseSummary& phase) {
    return orNan(phase.tokens > 0, static_cast<double>(phase.tokens));
}

double meanOverLayers(const RunSummary& run, double LayerRouting::*field) {
    double sum = 0;
    for (const LayerRouting& layer : run.routing) sum += layer.*field;
    return orNan(!run.routing.empty(), sum / static_cast<double>(run.routing.size()));
}

double meanEntropy(const RunSummary& run) {
    double sum = 0;
    for (const LayerRouting& layer : run.routing) sum += layer.balance.normalizedEntropy;
    return orNan(!run.routing.empty(), sum / static_cast<double>(run.routing.size()));
}

double memoryOf(const RunSummary& run, const std::string& name) {
    for (const MemoryRow& row : run.memory) {
        if (row.name == name) return static_cast<double>(row.bytes) / 1e9;
    }
    return std::nan("");
}

const std::vector<Figure>& figures() {
    static const std::vector<Figure> all{
        {"prefill", "tok/s", 1,
         [](const RunSummary& r) { return orNan(r.prefill.tokens > 0, r.prefill.tokensPerSecond); },
         &RunSummary::prefill},
        {"prefill tokens", "", 0, [](const RunSummary& r) { return tokensOf(r.prefill); }},
        {"decode", "tok/s", 2,
         [](const RunSummary& r) { return orNan(r.decode.tokens > 0, r.decode.tokensPerSecond); },
         &RunSummary::decode},
        {"decode tokens", "", 0, [](const RunSummary& r) { return tokensOf(r.decode); }},
        {"TTFT", "ms", 2, [](const RunSummary& r) { return orNan(r.ttftNs > 0, r.ttftNs / 1e6); }},
        {"TPOT median", "ms", 3,
         [](const RunSummary& r) { return orNan(r.decode.steps > 0, r.decode.medianStepNs / 1e6); },
         &RunSummary::decode},
        {"TPOT p95", "ms", 3,
         [](const RunSummary& r) { return orNan(r.decode.steps > 0, r.decode.p95StepNs / 1e6); },
         &RunSummary::decode},
        {"decode bandwidth", "GB/s", 2,
         [](const RunSummary& r) { return r.decode.bytesPerSecond() / 1e9; }, &RunSummary::decode},
        {"peak memory", "GB", 3, [](const RunSummary& r) { return memoryOf(r, "peak_rss"); }},
        {"routing excess, mean of layers", "x chance", 3,
         [](const RunSummary& r) { return meanOverLayers(r, &LayerRouting::excess); }},
        {"routing entropy / max, mean of layers", "", 4, meanEntropy},
    };
    return all;
}

std::string change(double base, double value) {
    if (std::isnan(base) || std::isnan(value) || base == 0) return "";
    const double percent = (value / base - 1) * 100;
    return (percent >= 0 ? "+" : "") + formatFixed(percent, 1) + " %";
}

nlohmann::json numberOrNull(double value) {
    return std::isnan(value) ? nlohmann::json(nullptr) : nlohmann::json(value);
}

/// Suites of every run with their items, which the comparison points into.
struct Evaluations {
    std::vector<std::map<std::int64_t, std::vector<ItemRow>>> items;  ///< by run, then suite

    SuiteComparison compare(const std::vector<RunSummary>& runs) const {
        std::vector<EvaluatedRun> evaluated;
        for (std::size_t i = 0; i < runs.size(); ++i)
            evaluated.push_back(
                {&runs[i], [this, i](std::int64_t suite) -> std::span<const ItemRow> {
                     const auto found = items[i].find(suite);
                     return found == items[i].end() ? std::span<const ItemRow>() : found->second;
                 }});
        return compareSuites(std::span<const EvaluatedRun>(evaluated));
    }
};

nlohmann::json pairedJson(const std::vector<MetricChange>& changes) {
    nlohmann::json list = nlohmann::json::array();
    for (const MetricChange& change : changes)
        if (change.p) list.push_back(metricChangeJson(change));
    return list;
}

/// Every metric of the first run in all of them: what is not compared, tests and counts, too.
nlohmann::json metricsJson(const std::vector<RunSummary>& runs) {
    const auto find = [](const RunSummary& run, const SuiteRow& suite, const MetricRow& wanted) {
        for (const SuiteRow& other : run.suites)
            for (const MetricRow& m : run.metrics)
                if (other.name == suite.name && m.suite == other.id && m.name == wanted.name &&
                    m.group == wanted.group)
                    return &m;
        return static_cast<const MetricRow*>(nullptr);
    };
    nlohmann::json list = nlohmann::json::array();
    for (const SuiteRow& suite : runs.front().suites) {
        for (const MetricRow& metric : runs.front().metrics) {
            if (metric.suite != suite.id) continue;
            nlohmann::json values = nlohmann::json::array();
            for (const RunSummary& run : runs) {
                const MetricRow* m = find(run, suite, metric);
                values.push_back(
                    m == nullptr
                        ? nlohmann::json(nullptr)
                        : nlohmann::json{{"value", numberOrNull(m->value)},
                                         {"low", m->low ? numberOrNull(*m->low) : nullptr},
                                         {"high", m->high ? numberOrNull(*m->high) : nullptr},
                                         {"n", m->n}});
            }
            list.push_back({{"suite", suite.name},
                            {"name", metric.name},
                            {"group", metric.group},
                            {"values", std::move(values)}});
        }
    }
    return list;
}

void printSuites(const std::vector<std::string>& names, const std::vector<MetricChange>& changes) {
    std::vector<std::string> columns{"suite", "metric", "group"};
    const bool many = names.size() > 2;
    if (many) columns.emplace_back("run");
    columns.push_back(names.front());
    columns.push_back(many ? "this run" : names.back());
    for (const char* title : {"difference", "p", "items", "note"}) columns.emplace_back(title);
    TextTable table(columns);
    for (const MetricChange& change : changes) {
        std::vector<std::string> cells{change.suite, change.name,
                                       groupTitle(change.name, change.group)};
        if (many) cells.push_back(names[change.run]);
        cells.push_back(scoreCell(&change.before));
        cells.push_back(scoreCell(change.after ? &*change.after : nullptr));
        cells.push_back(differenceCell(change));
        cells.push_back(probabilityCell(change.holm));
        cells.push_back(change.p ? formatCount(change.items) : "");
        cells.push_back(change.note);
        table.row(cells);
    }
    std::cout << '\n' << table.text() << kSuiteComparisonNote << '\n';
}

/// What the difference of times is told from.
struct AnalysedTimes {
    std::vector<StepRow> steps;
    OperationColumns operations;
};

nlohmann::json timesJson(const std::vector<RunDifference>& differences) {
    nlohmann::json list = nlohmann::json::array();
    for (const RunDifference& difference : differences) list.push_back(differenceJson(difference));
    return list;
}

nlohmann::json qualityOfAll(const std::vector<RunSummary>& runs) {
    nlohmann::json list = nlohmann::json::array();
    for (const RunSummary& run : runs)
        list.push_back(qualityJson(qualityBlock(run.meta, run.status, run.quality)));
    return list;
}

/// The mode of each run, and only what a person must know about (two whole blocks before two
/// numbers would be skipped by every reader); then in what the runs are not of the same thing.
void printQuality(const std::vector<std::string>& names, const std::vector<RunSummary>& runs) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
        std::string line;
        const auto quality = qualityBlock(runs[i].meta, runs[i].status, runs[i].quality);
        for (const QualityLine& row : quality) {
            if (row.label == "mode")  // which is not ok where the run was not finished
                line = row.value + (row.ok ? "" : "; ! " + row.note);
            else if (!row.ok)
                line += "; ! " + row.label + " " + row.value;
        }
        std::cout << visibleLine(names[i] + ": " + line) << '\n';
    }
    for (std::size_t i = 1; i < runs.size(); ++i)
        for (const std::string& caution : allCautions(runs.front(), runs[i]))
            std::cout << visibleLine("! " + names[i] + ": " + caution) << '\n';
    std::cout << '\n';
}

}  // namespace

int runCompare(const Invocation& invocation) {
    Options options("compare");
    options.positional("run", -1, "two or more run files; the first is the baseline");
    options.flag("json", "print one JSON document");
    if (!options.parse(invocation)) return kDone;
    const auto paths = options.get<std::vector<std::string>>("run");
    if (paths.size() < 2) throw UsageError("'compare' needs at least two run files");

    std::vector<RunSummary> runs;
    std::vector<AnalysedTimes> times;
    Evaluations evaluations;
    for (const std::string& path : paths) {
        const RunReader reader(path);
        AnalysedTimes of{reader.steps(), {}};
        OperationCollector collector(of.steps);
        runs.push_back(summarize(reader, [&](const OperationRow& row) { collector.add(row); }));
        of.operations = collector.take();
        times.push_back(std::move(of));
        evaluations.items.emplace_back();
        for (const SuiteRow& suite : runs.back().suites)
            evaluations.items.back()[suite.id] = reader.items(suite.id);
    }
    std::vector<RunDifference> timeDifferences;
    for (std::size_t i = 1; i < times.size(); ++i)
        timeDifferences.push_back(runDifference({times.front().steps, times.front().operations},
                                                {times[i].steps, times[i].operations}));
    const SuiteComparison suites = evaluations.compare(runs);
    std::vector<std::string> warnings = suites.warnings;
    if (options.isSet("json")) {
        for (std::size_t i = 1; i < runs.size(); ++i)
            for (const std::string& caution : allCautions(runs.front(), runs[i]))
                warnings.push_back("run " + std::to_string(i + 1) + ": " + caution);
        nlohmann::json rows = nlohmann::json::array();
        for (const Figure& figure : figures()) {
            nlohmann::json values = nlohmann::json::array();
            for (const RunSummary& run : runs) {
                const double value = figure.value(run);
                values.push_back(numberOrNull(value));
            }
            rows.push_back(
                {{"name", figure.name}, {"unit", figure.unit}, {"values", std::move(values)}});
        }
        printJson("compare", {{"runs", paths},
                              {"figures", std::move(rows)},
                              {"metrics", metricsJson(runs)},
                              {"paired", pairedJson(suites.changes)},
                              {"quality", qualityOfAll(runs)},
                              {"times", timesJson(timeDifferences)},
                              {"warnings", warnings}});
        return kDone;
    }
    for (const std::string& warning : warnings) note("warning: " + warning);
    const std::vector<std::string> names = runNames(paths);
    std::vector<std::string> header{"figure", "unit"};
    for (std::size_t i = 0; i < runs.size(); ++i) {
        header.push_back(names[i]);
        if (i > 0) header.emplace_back("change");
    }
    printQuality(names, runs);
    TextTable table(header);
    bool any = false;
    for (const Figure& figure : figures()) {
        if (std::all_of(runs.begin(), runs.end(),
                        [&](const RunSummary& run) { return std::isnan(figure.value(run)); }))
            continue;
        any = true;
        std::vector<std::string> cells{figure.name, figure.unit};
        const double base = figure.value(runs.front());
        for (std::size_t i = 0; i < runs.size(); ++i) {
            const double value = figure.value(runs[i]);
            cells.push_back(std::isnan(value) ? "-" : formatMeasured(value, figure.decimals));
            if (i == 0) continue;
            const bool apart =
                figure.phase != nullptr &&
                tokensApart((runs.front().*figure.phase).tokens, (runs[i].*figure.phase).tokens);
            cells.push_back((apart ? "! " : "") + change(base, value));
        }
        table.row(cells);
    }
    if (any) std::cout << table.text();
    for (std::size_t i = 0; i < timeDifferences.size(); ++i) {
        const std::string text = differenceText(timeDifferences[i]);
        if (!text.empty())
            std::cout << '\n'
                      << visibleLine(names[i + 1] + " (this run) against " + names.front())
                      << " (the baseline). " << text;
    }
    if (!suites.changes.empty()) printSuites(names, suites.changes);
    return kDone;
}

}  // namespace moescope::cli
