// SPDX-License-Identifier: Apache-2.0
// Two models on the same text: what a change of number format changes, in all and layer by layer.
#include <algorithm>
#include <array>

#include "reports/html/escape.h"
#include "reports/html/facts.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

constexpr std::string_view kLayerGroup = "layer=";

struct Figure {
    const char* metric;
    const char* label;
    bool share;  ///< shown in percent
};
constexpr std::array kFigures = {
    Figure{"perplexity_a", "perplexity of A", false},
    Figure{"perplexity_b", "perplexity of B", false},
    Figure{"nats_difference", "nats a token, B less A", false},
    Figure{"kl_mean", "KL of B from A, mean, nats a token", false},
    Figure{"kl_p99", "KL of B from A, 99th percentile", false},
    Figure{"same_top1", "same likeliest token", true},
    Figure{"routing_agreement", "same experts, over tokens and layers", true},
    Figure{"routing_agreement_all_layers", "same experts in every layer", true}};

std::string shown(double value, bool share) {
    return share ? formatFixed(100 * value, 2) + " %" : formatSignificant(value, 4);
}

std::string interval(const MetricRow& metric, bool share) {
    return metric.low && metric.high
               ? shown(*metric.low, share) + " to " + shown(*metric.high, share)
               : kNoData;
}

const MetricRow* find(const RunSummary& run, std::int64_t suite, std::string_view name,
                      std::string_view group) {
    for (const MetricRow& metric : run.metrics) {
        if (metric.suite == suite && metric.name == name && metric.group == group) return &metric;
    }
    return nullptr;
}

std::string figureTable(const RunSummary& run, const SuiteRow& suite) {
    HtmlTable table(
        "B beside A on the same tokens",
        {{"figure"}, {"value", true}, {"95 % interval", true}, {"n", true}, {"method"}});
    for (const Figure& figure : kFigures) {
        const MetricRow* metric = find(run, suite.id, figure.metric, "");
        if (metric == nullptr) continue;
        table.row({figure.label, HtmlCell(shown(metric->value, figure.share), metric->value),
                   interval(*metric, figure.share), formatCount(metric->n), metric->method});
    }
    return table.html();
}

/// "layer=007" -> "7"; other groups as they are.
std::string layerName(const std::string& group) {
    if (!group.starts_with(kLayerGroup)) return group;
    const std::size_t digit = group.find_first_not_of('0', kLayerGroup.size());
    return digit == std::string::npos ? "0" : group.substr(digit);
}

std::string layerParts(const RunSummary& run, const SuiteRow& suite, const SectionContext& at) {
    HtmlTable table("Layer by layer",
                    {{"layer", true},
                     {"relative error", true, "|h_B - h_A| / |h_A| of what leaves the layer"},
                     {"95 % interval", true},
                     {"same experts", true},
                     {"95 % interval", true}},
                    true);
    std::vector<Interval> errors;
    std::vector<Interval> routing;
    for (const MetricRow& error : run.metrics) {
        if (error.suite != suite.id || error.name != "relative_error") continue;
        const std::string layer = layerName(error.group);
        const MetricRow* same = find(run, suite.id, "routing_agreement", error.group);
        table.row({layer, HtmlCell(shown(error.value, false), error.value), interval(error, false),
                   same != nullptr ? HtmlCell(shown(same->value, true), same->value) : kNoData,
                   same != nullptr ? interval(*same, true) : kNoData});
        errors.push_back({"layer " + layer, error.value, error.low, error.high, {}});
        if (same != nullptr)
            routing.push_back({"layer " + layer, same->value, same->low, same->high, {}});
    }
    if (table.empty()) return {};
    std::string out = table.html();
    const auto plot = [&](const char* name, const std::string& title,
                          const std::vector<Interval>& rows) {
        if (rows.size() < 2) return;
        out += "<figure>\n" +
               intervalPlot({at.id(name) + std::to_string(suite.id), title,
                             "Values with 95 % intervals; the table above has the same numbers."},
                            rows) +
               "<figcaption>" + htmlEscape(title) + ".</figcaption></figure>\n";
    };
    plot("numerics-error", "Relative error of what leaves each layer", errors);
    plot("numerics-routing", "Share of tokens that keep their experts, by layer", routing);
    return out;
}

}  // namespace

bool hasNumerics(const ReportRun& run) {
    return std::any_of(run.summary.suites.begin(), run.summary.suites.end(),
                       [](const SuiteRow& suite) { return suite.kind == kNumericsKind; });
}

std::string renderNumerics(const ReportRun& run, const SectionContext& at) {
    std::string out;
    for (const SuiteRow& suite : run.summary.suites) {
        if (suite.kind != kNumericsKind) continue;
        out += paragraph(suite.title +
                         ". A is what B is held against; both evaluated the same blocks of text. "
                         "Perplexities depend on how the text is cut; their ratio, and what "
                         "follows, compare the two models.");
        out += figureTable(run.summary, suite) + layerParts(run.summary, suite, at);
        out += htmlDetails("Models, texts and settings",
                           settingsHtml("Models, texts and settings", suite.settings));
    }
    return out;
}

}  // namespace moescope
