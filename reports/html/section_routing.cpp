// SPDX-License-Identifier: Apache-2.0
// The text of one sequence with the experts of each token.
#include <algorithm>
#include <limits>

#include "reports/colors.h"
#include "reports/html/escape.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

/// The layer with the greatest excess imbalance says most about the text.
std::size_t chosenLayer(const ReportRun& run) {
    std::size_t chosen = 0;
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < run.sample->layers.size(); ++i) {
        for (const LayerRouting& layer : run.summary.routing) {
            if (layer.layer == run.sample->layers[i] && layer.excess > best) {
                best = layer.excess;
                chosen = i;
            }
        }
    }
    return chosen;
}

std::string tokenName(const TokenRow& token) {
    if (!token.text.empty()) return token.text;
    return token.token >= 0 ? "#" + std::to_string(token.token)
                            : "@" + std::to_string(token.position);
}

/// The break follows the chip, so that the expert stays beside a trailing line feed's arrow.
std::string tokenMarkup(const TokenRow& token) {
    std::string markup = htmlEscapeToken(tokenName(token));
    if (markup.ends_with('\n')) markup.pop_back();
    return markup;
}

/// "5 (0.41), 17 (0.33)"
std::string expertList(const RoutingSample& sample, std::size_t layer, std::size_t token) {
    std::string list;
    for (std::size_t k = 0; k < static_cast<std::size_t>(sample.topK); ++k) {
        const std::size_t at = sample.index(layer, token, k);
        if (sample.experts[at] < 0) continue;
        list += (list.empty() ? "" : ", ") + std::to_string(sample.experts[at]);
        if (!sample.weights.empty())
            list += " (" + formatFixed(static_cast<double>(sample.weights[at]), 2) + ")";
    }
    return list.empty() ? kNoData : list;
}

std::string firstExpert(const RoutingSample& sample, std::size_t layer, std::size_t token) {
    const int expert = sample.experts[sample.index(layer, token, 0)];
    return expert < 0 ? "\xE2\x80\x93" : std::to_string(expert);
}

/// All layers for the page's layer chooser: ranks by comma, layers by semicolon.
std::string allExperts(const RoutingSample& sample, std::size_t token) {
    std::string list;
    for (std::size_t layer = 0; layer < sample.layers.size(); ++layer) {
        if (layer > 0) list += ';';
        for (std::size_t k = 0; k < static_cast<std::size_t>(sample.topK); ++k) {
            const int expert = sample.experts[sample.index(layer, token, k)];
            if (expert >= 0) list += (k == 0 ? "" : ",") + std::to_string(expert);
        }
    }
    return list;
}

std::string tokenText(const RoutingSample& sample, std::size_t layer) {
    std::string layers;
    for (const int number : sample.layers)
        layers += (layers.empty() ? "" : ",") + std::to_string(number);
    std::string out = "<div class=\"tokens\" data-layers=\"" + layers + "\" data-layer=\"" +
                      std::to_string(layer) + "\">";
    for (std::size_t t = 0; t < sample.tokens.size(); ++t) {
        const TokenRow& token = sample.tokens[t];
        const int expert = sample.experts[sample.index(layer, t, 0)];
        out += "<span class=\"token " + std::string(token.prompt ? "prompt " : "") +
               (expert < 0 ? "cx"
                           : "c" + std::to_string(static_cast<std::size_t>(expert) %
                                                  kCategoryColors.size())) +
               "\" title=\"position " + formatCount(token.position) + ", layer " +
               std::to_string(sample.layers[layer]) + ": experts " + expertList(sample, layer, t) +
               "\" data-e=\"" + allExperts(sample, t) + "\"><bdi>" + tokenMarkup(token) +
               "</bdi><sub>" + firstExpert(sample, layer, t) + "</sub></span>";
        // Chips are inline: the break goes between them, where the text breaks.
        if (token.text.ends_with('\n')) out += "<br/>";
    }
    return out + "</div>\n";
}

std::string twinTable(const RoutingSample& sample, std::size_t layer) {
    std::vector<HtmlColumn> columns = {
        {"position", true},
        {"token"},
        {"experts in layer " + std::to_string(sample.layers[layer])}};
    for (const int number : sample.layers) columns.push_back({"L" + std::to_string(number), true});
    HtmlTable table("Each token's experts in the chosen layer, and its first expert in every layer",
                    columns);
    for (std::size_t t = 0; t < sample.tokens.size(); ++t) {
        std::vector<HtmlCell> cells = {formatCount(sample.tokens[t].position),
                                       shorten(tokenName(sample.tokens[t]), 40),
                                       expertList(sample, layer, t)};
        for (std::size_t l = 0; l < sample.layers.size(); ++l)
            cells.emplace_back(firstExpert(sample, l, t));
        table.row(std::move(cells));
    }
    return table.html();
}

}  // namespace

std::string renderTokenRouting(const ReportRun& run, const SectionContext&) {
    if (!run.sample || run.sample->tokens.empty() || run.sample->layers.empty() ||
        run.sample->topK <= 0)
        return paragraph("This run recorded no routing of single tokens.");
    const RoutingSample& sample = *run.sample;
    const std::size_t layer = chosenLayer(run);
    const std::string label = sample.sequence.label.empty()
                                  ? "sequence " + std::to_string(sample.sequence.id)
                                  : sample.sequence.label;
    const auto shown = static_cast<std::int64_t>(sample.tokens.size());
    std::string out = paragraph(
        "Sequence \"" + shorten(label, 80) + "\": " +
        (shown < sample.availableTokens
             ? (sample.skippedTokens == 0
                    ? "the first " + formatCount(shown)
                    : "tokens " + formatCount(sample.skippedTokens + 1) + " to " +
                          formatCount(sample.skippedTokens + shown)) +
                   " of " + formatCounted(sample.availableTokens, "token") + " (cut here)."
             : "all " + formatCounted(shown, "token") + ".") +
        " The small number after each token is its first expert in layer " +
        std::to_string(sample.layers[layer]) +
        ", the layer whose load is furthest above chance; hover for all " +
        std::to_string(sample.topK) +
        ". Colours repeat and only help the eye: the number is the expert. Italic tokens "
        "are prompt; a dash means that no routing was recorded.");
    out += tokenText(sample, layer);
    return out + htmlDetails("Table: tokens and their experts", twinTable(sample, layer));
}

}  // namespace moescope
