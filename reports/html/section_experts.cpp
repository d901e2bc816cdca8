// SPDX-License-Identifier: Apache-2.0
// Expert load: heat map, balance by layer, and what chance alone would show.
#include <algorithm>

#include "reports/headline.h"
#include "reports/html/escape.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope {
namespace {

std::string twinTable(const RunSummary& run) {
    std::vector<HtmlColumn> columns = {{"layer"}};
    std::size_t experts = 0;
    for (const LayerRouting& layer : run.routing) experts = std::max(experts, layer.counts.size());
    for (std::size_t e = 0; e < experts; ++e) columns.push_back({"e" + std::to_string(e), true});
    HtmlTable table("Assignments by layer and expert (a token choosing an expert counts one)",
                    columns);
    for (const LayerRouting& layer : run.routing) {
        std::vector<HtmlCell> cells = {std::to_string(layer.layer)};
        for (std::size_t e = 0; e < experts; ++e)
            cells.emplace_back(e < layer.counts.size() ? formatCount(layer.counts[e])
                                                       : std::string(kNoData));
        table.row(std::move(cells));
    }
    return table.html();
}

std::string balanceTable(const RunSummary& run, const std::string& basis) {
    HtmlTable table(
        "Load balance by layer, " + basis,
        {{"layer"},
         {"tokens", true},
         {"max/mean", true, "load of the busiest expert over the fair share; 1 is even"},
         {kByChance, true, "mean max/mean of a perfectly uniform router with as many tokens"},
         {"95 % of chance", true, "a uniform router exceeds this in one of 20 runs"},
         {"excess", true, "max/mean over its mean by chance"},
         {"above chance", false, "max/mean exceeds the 95th percentile of chance"},
         {"entropy", true, "normalised: H / log2(experts); 1 is even"},
         {kByChance, true, "mean normalised entropy of a uniform router"},
         {kEffectiveExperts, true, "2^H"},
         {kDeadExperts, true, kDeadExpertsNote},
         {"dead by chance", true, "E (1 - k/E)^T"}},
        true);
    for (const LayerRouting& layer : run.routing) {
        const Balance& seen = layer.balance;
        const bool above = seen.maxOverMean > layer.null.maxOverMean95;
        const auto fixed = [](double value, int decimals) {
            return HtmlCell(formatFixed(value, decimals), value);
        };
        table.row({HtmlCell(std::to_string(layer.layer), layer.layer),
                   HtmlCell(formatCount(seen.tokens), static_cast<double>(seen.tokens)),
                   fixed(seen.maxOverMean, 2), fixed(layer.null.maxOverMean, 2),
                   fixed(layer.null.maxOverMean95, 2), fixed(layer.excess, 2),
                   seen.tokens == 0 ? kNoData
                   : above          ? "yes"
                                    : "no",
                   fixed(seen.normalizedEntropy, 3), fixed(layer.null.normalizedEntropy, 3),
                   fixed(seen.effectiveExperts, 1),
                   HtmlCell(formatCount(seen.deadExperts), static_cast<double>(seen.deadExperts)),
                   fixed(layer.null.deadExperts, 1)});
    }
    return table.html();
}

}  // namespace

std::string renderExperts(const ReportRun& run, const SectionContext& at) {
    const BalanceHeadline mean = balanceHeadline(run.summary.routing);
    if (mean.layers == 0) return paragraph("This run recorded no expert routing.");
    const std::string basis = balanceBasis(mean.tokens);
    std::string out = paragraph(
        "How to read it: each cell is the load of one expert in one layer over the fair share, so "
        "1 x everywhere "
        "would be perfect balance. Even a perfectly uniform router is uneven by chance when tokens "
        "are few, so "
        "compare max/mean with the value by chance: only what exceeds it is the model's doing.");
    out += paragraph(
        "Every balance number here is " + basis + ". The model has " +
        formatCounted(run.summary.experts, "expert") + " per layer and chooses " +
        formatCount(run.summary.topK) + " per token. In " + formatCount(mean.aboveChance) + " of " +
        formatCounted(mean.layers, "layer") +
        " max/mean lies above the 95th percentile of chance (one in 20 would by chance).");
    out += at.heading(1, "Load by layer and expert");
    out += "<figure>\n" +
           expertHeatmap(
               {at.id("heatmap"), "Expert load by layer and expert, over fair share",
                "Rows are layers, columns experts. The table after the figure has the counts."},
               run.summary.routing) +
           "<figcaption>Load over fair share, " + htmlEscape(basis) + ".</figcaption></figure>\n";
    out += htmlDetails("Table: assignments by layer and expert", twinTable(run.summary));
    out += at.heading(1, "Balance by layer, and by chance");
    out +=
        "<figure>\n" +
        balanceChart(
            {at.id("balance"), "Max/mean load by layer against chance",
             "A dot per layer with a bar for chance. The table after the figure has the numbers."},
            run.summary.routing) +
        "<figcaption>Busiest expert over fair share, " + htmlEscape(basis) +
        ".</figcaption></figure>\n";
    return out + balanceTable(run.summary, basis);
}

}  // namespace moescope
