// SPDX-License-Identifier: Apache-2.0
// Are items of an evaluation routed otherwise by whom they speak of, or by how they were answered?
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/item_comparisons.h"
#include "reports/numbers.h"

namespace moescope {

bool hasItemGroups(const ReportRun& run) {
    return !run.itemGroups.empty();
}

std::string renderItemGroups(const ReportRun& run, const SectionContext&) {
    std::string out = paragraph(
        "How to read it: a suite says of its items whom they speak of, or what else it changes, "
        "and "
        "which items are one case. Chance is told by letting the groups of each case swap their "
        "names, or whole cases where a case has one group.");
    for (const std::string& sentence : itemComparisonSentences(run.itemGroups))
        out += paragraph(sentence);
    HtmlTable table(
        "Groups of items and their experts",
        {{"suite"},
         {"by"},
         {"groups"},
         {"tokens", false,
          "of each item: all, or those at the end of the prompt that "
          "all items of a case have alike"},
         {"names exchanged"},
         {"divergence", true, "Jensen-Shannon between the groups, bits, mean of layers"},
         {"by chance", true, "mean with the names exchanged"},
         {"p", true, "share of exchanges that reach the divergence"},
         {"q", true, "p adjusted for the number of rows"}});
    const auto number = [](double value, const std::string& text) { return HtmlCell(text, value); };
    for (const ItemComparison& one : run.itemGroups) {
        const Specialization& of = one.of;
        if (of.empty()) continue;
        table.row({one.suite, one.key, levelsText(of), tokensText(one), exchangeText(of),
                   number(of.meanDivergence, formatSignificant(of.meanDivergence)),
                   number(of.meanNull, formatSignificant(of.meanNull)),
                   number(of.p, formatFixed(of.p, 4)), number(one.q, formatFixed(one.q, 4))});
    }
    return table.empty() ? out : out + table.html();
}

}  // namespace moescope
