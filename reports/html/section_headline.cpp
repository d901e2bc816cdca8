// SPDX-License-Identifier: Apache-2.0
// Headline figures as cards.
#include "reports/headline.h"
#include "reports/html/escape.h"
#include "reports/html/sections.h"

namespace moescope {

std::string renderHeadline(const ReportRun& run, const SectionContext&) {
    const std::vector<HeadlineFigure> figures = headline(run.summary);
    if (figures.empty())
        return paragraph("This run measured neither times nor routing nor scores.");
    std::string out = "<dl class=\"cards\">\n";
    for (const HeadlineFigure& figure : figures) {
        out +=
            "<div><dt>" + htmlEscape(figure.label) + "</dt><dd class=\"value\">" +
            htmlEscape(figure.text) + "</dd>" +
            (figure.note.empty() ? "" : "<dd class=\"note\">" + htmlEscape(figure.note) + "</dd>") +
            "</div>\n";
    }
    return out + "</dl>\n";
}

}  // namespace moescope
