// SPDX-License-Identifier: Apache-2.0
// The table of sections.
#include "reports/html/sections.h"

#include <array>

#include "reports/html/escape.h"

namespace moescope {

std::string SectionContext::heading(int deeper, std::string_view text) const {
    const std::string tag = "h" + std::to_string(level + deeper);
    return "<" + tag + ">" + htmlEscape(text) + "</" + tag + ">\n";
}

std::string paragraph(std::string_view text, std::string_view style) {
    return (style.empty() ? "<p>" : "<p class=\"" + std::string(style) + "\">") + htmlEscape(text) +
           "</p>\n";
}

std::span<const ReportSection> reportSections() {
    static constexpr std::array kSections = {
        ReportSection{"what-ran", "What ran, on what", renderWhatRan},
        ReportSection{"headline", "Headline figures", renderHeadline},
        ReportSection{"suites", "Suites", renderSuites, hasSuites},
        ReportSection{"operations", "Operations by time", renderOperations},
        ReportSection{"time", "Where the time went", renderTime},
        ReportSection{"experts", "Expert load", renderExperts},
        ReportSection{"specialization", "Specialisation", renderSpecialization},
        ReportSection{"item-groups", "Routing of groups of items", renderItemGroups, hasItemGroups},
        ReportSection{"parallel", "Experts on several GPUs", renderParallel},
        ReportSection{"expert-cache", "Expert cache", renderCache},
        ReportSection{"routing", "Token routing", renderTokenRouting},
        ReportSection{"numerics", "Numerics, B beside A", renderNumerics, hasNumerics},
        ReportSection{"method", "How the numbers were computed", renderMethod},
    };
    return kSections;
}

}  // namespace moescope
