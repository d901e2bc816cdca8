// SPDX-License-Identifier: Apache-2.0
// Specialisation: do groups of texts use different experts, and which are whose.
#include "reports/html/escape.h"
#include "reports/html/figures.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"
#include "reports/specialization_text.h"

namespace moescope {
namespace {

HtmlCell fixed(double value, int decimals) {
    return {formatFixed(value, decimals), value};
}

HtmlCell significant(double value) {
    return {formatSignificant(value), value};
}

std::string groupTable(const Specialization& of) {
    HtmlTable table(
        "Groups of texts and the experts that are most their own",
        {{"mark"},
         {"group"},
         {"texts", true},
         {"experts", false, "layer, expert, lift: " + reliablyText(of) + "; greatest lift first"}});
    for (std::size_t g = 0; g < of.groups.size(); ++g)
        table.row({groupMark(g), shorten(of.groups[g].name, 60),
                   HtmlCell(formatCount(of.groups[g].sequences),
                            static_cast<double>(of.groups[g].sequences)),
                   leadingExpertsText(of, g, 6)});
    return table.html();
}

std::string divergenceTable(const Specialization& of) {
    HtmlTable table(
        "Jensen-Shannon divergence between the groups by layer, bits",
        {{"layer"},
         {"divergence", true, "0: all groups alike; log2 of the number of groups: nothing shared"},
         {"by chance", true, "mean with the groups' names shuffled over whole texts"},
         {"95 % of chance", true, "shuffled names exceed this in one of 20 shuffles"},
         {"above chance", true, "divergence less its mean by chance"},
         {"pairwise", true, "mean over pairs of groups, 0 to 1 bit, as papers give it"},
         {"p", true, "share of shuffles that reach the divergence"},
         {"q", true, "p adjusted for the number of layers"}},
        true);
    for (const LayerSpecialization& layer : of.layers)
        table.row({HtmlCell(std::to_string(layer.layer), layer.layer),
                   significant(layer.divergence), significant(layer.nullMean),
                   significant(layer.null95), significant(layer.excess()),
                   significant(layer.meanPairwise), fixed(layer.p, 3), fixed(layer.q, 3)});
    return table.html();
}

/// The figure's numbers: per layer and expert the group of the greatest lift.
std::string twinTable(const Specialization& of) {
    std::vector<HtmlColumn> columns = {{"layer"}};
    for (int e = 0; e < of.experts; ++e) columns.push_back({"e" + std::to_string(e), true});
    HtmlTable table("Group with the greatest lift, and that lift; * " + reliablyText(of), columns);
    for (const LayerSpecialization& layer : of.layers) {
        std::vector<HtmlCell> cells = {std::to_string(layer.layer)};
        for (std::size_t e = 0; e < layer.dominant.size(); ++e) {
            if (layer.dominant[e] < 0) {
                cells.emplace_back(kNoData);
                continue;
            }
            cells.emplace_back(groupMark(static_cast<std::size_t>(layer.dominant[e])) + " " +
                               formatFixed(layer.topLift(e), 2) +
                               (of.reliable(layer, e) ? "*" : ""));
        }
        table.row(std::move(cells));
    }
    return table.html();
}

}  // namespace

std::string renderSpecialization(const ReportRun& run, const SectionContext& at) {
    const Specialization& of = run.specialization;
    if (of.empty())
        return paragraph(of.reason.empty() ? "This run recorded no expert routing." : of.reason);
    std::string out = paragraph(
        "How to read it: lift is an expert's share of a group's choices over its mean share in all "
        "groups, so 1 means no preference. With few texts some lifts are large by chance: chance "
        "is told by shuffling the groups' names over whole texts, " +
        formatCount(of.permutations) + " times.");
    for (const std::string& sentence : specializationSentences(of)) out += paragraph(sentence);
    out += at.heading(1, "Whose experts they are");
    out += "<figure>\n" +
           liftHeatmap({at.id("lift"), "Greatest lift by layer and expert, and its group",
                        "Rows are layers, columns experts. The table after the figure has the "
                        "groups and lifts."},
                       of) +
           "<figcaption>Greatest lift of any group; the marks are explained in the next "
           "table.</figcaption></figure>\n";
    out += htmlDetails("Table: greatest lift by layer and expert", twinTable(of));
    out += groupTable(of);
    out += at.heading(1, "How much the groups differ");
    return out + divergenceTable(of);
}

}  // namespace moescope
