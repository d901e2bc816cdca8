// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "cli/eval_results.h"

#include <algorithm>
#include <iostream>

#include "cli/output.h"
#include "reports/headline.h"
#include "reports/json_number.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"
#include "reports/suite_comparison.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

nlohmann::json metricJson(const MetricRow& m) {
    return {{"name", m.name},
            {"group", m.group},
            {"value", jsonNumber(m.value)},
            {"low", jsonNumber(m.low)},
            {"high", jsonNumber(m.high)},
            {"standard_error", jsonNumber(m.standardError)},
            {"chance", jsonNumber(m.chance)},
            {"method", m.method},
            {"n", m.n},
            {"clusters", m.clusters > 0 ? nlohmann::json(m.clusters) : nlohmann::json(nullptr)}};
}

const MetricRow* find(const SuiteResult& result, const MetricRow& wanted) {
    for (const MetricRow& row : result.metrics)
        if (row.name == wanted.name && row.group == wanted.group) return &row;
    return nullptr;
}

const MetricRow* ofAll(const SuiteResult& result, const char* name) {
    MetricRow wanted;
    wanted.name = name;
    return find(result, wanted);
}

/// What is said of it elsewhere is left out: how many replies hold an answer has a column.
std::optional<MetricRow> tellingMetric(const SuiteResult& result) {
    RunSummary run;
    run.metrics = result.metrics;
    for (TellingMetric& telling : tellingMetrics(run, result.suite.id, run.metrics.size()))
        if (telling.metric.name != "answered") return std::move(telling.metric);
    return std::nullopt;
}

std::string shareText(const MetricRow* count) {
    return count == nullptr || count->n == 0
               ? "-"
               : formatPercent(count->value / static_cast<double>(count->n));
}

}  // namespace

void printResults(const std::vector<SuiteResult>& results, bool synthetic) {
    if (synthetic)
        std::cout << "SYNTHETIC model (seeded random weights): these scores mean nothing\n";
    for (const SuiteResult& result : results) {
        const ItemCounts counts{result.scored + result.tooLong, result.scored};
        std::cout << '\n'
                  << visibleLine(result.suite.title) << ": "
                  << evaluatedItems(result.suite, counts);
        if (result.tooLong > 0)
            std::cout << "; " << formatCount(result.tooLong)
                      << " did not fit the context and are in no metric";
        std::cout << "\n";
        TextTable table({"metric", "group", "value", "95 % interval", "chance", "p", "n", "how"});
        std::vector<std::string> methods;  // too long for a column: numbered, and listed below
        const auto numbered = [&](const std::string& method) {
            auto known = std::find(methods.begin(), methods.end(), method);
            if (known == methods.end()) known = methods.insert(methods.end(), method);
            return '(' + std::to_string(known - methods.begin() + 1) + ')';
        };
        for (const auto& [metric, test] : metricLines(result.metrics)) {
            const MetricRow& m = *metric;
            std::string how = numbered(m.method);
            if (test != nullptr) how += " p: " + numbered(test->method);
            table.row(
                {m.name, groupTitle(m.name, m.group), formatSignificant(m.value),
                 m.low && m.high
                     ? "[" + formatSignificant(*m.low) + ", " + formatSignificant(*m.high) + "]"
                     : "",
                 m.chance ? formatSignificant(*m.chance) : "", testText(test), basisText(m), how});
        }
        std::cout << table.text();
        if (const auto mass = littleMass(result.metrics, result.suite.id))
            std::cout << "! " << massCaution(*mass) << '\n';
        if (const std::string cut = cutOffCaution(result.metrics, result.suite.id); !cut.empty())
            std::cout << "! " << cut << '\n';
        for (const std::string& count : itemCountNotes(result.metrics))
            std::cout << visibleLine(count) << '\n';
        for (std::size_t i = 0; i < methods.size(); ++i)
            std::cout << '(' << i + 1 << ") " << visibleLine(methods[i]) << '\n';
    }
}

nlohmann::json resultsJson(const std::vector<SuiteResult>& results) {
    nlohmann::json list = nlohmann::json::array();
    for (const SuiteResult& result : results) {
        nlohmann::json metrics = nlohmann::json::array();
        for (const MetricRow& m : result.metrics) metrics.push_back(metricJson(m));
        const std::int64_t repeats = repeatsOf(result.suite);
        list.push_back({{"suite", result.suite.name},
                        {"items", result.scored / repeats},
                        {"repeats", repeats},
                        {"resumed", result.resumed},
                        {"too_long", result.tooLong / repeats},
                        {"tokens", result.tokens},
                        {"metrics", std::move(metrics)}});
    }
    return list;
}

void printEfforts(std::span<const EffortResults> efforts) {
    TextTable table({"suite", "metric", "group", "reasoning", "value", "reply tokens", "unanswered",
                     "cut off"});
    const std::vector<SuiteResult>& first = *efforts.front().results;
    for (std::size_t s = 0; s < first.size(); ++s) {
        const std::optional<MetricRow> telling = tellingMetric(first[s]);
        for (const EffortResults& at : efforts) {
            const SuiteResult& result = (*at.results)[s];
            table.row({result.suite.name, telling ? telling->name : "-",
                       telling ? groupTitle(telling->name, telling->group) : "-", at.effort,
                       scoreCell(telling ? find(result, *telling) : nullptr),
                       scoreCell(ofAll(result, "reply_tokens")),
                       shareText(ofAll(result, "replies_unanswered")),
                       shareText(ofAll(result, "replies_cut_off"))});
        }
    }
    std::cout << '\n' << table.text();
}

}  // namespace moescope::cli
