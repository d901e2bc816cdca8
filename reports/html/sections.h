// SPDX-License-Identifier: Apache-2.0
// The sections of the page, in order. To add one: a file section_<name>.cpp and a line in the table
// in sections.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "reports/report_model.h"

namespace moescope {

/// Where a section stands in the page.
struct SectionContext {
    std::string prefix;  ///< of ids, unique per run: "r1-"
    int level = 2;       ///< of the section's own heading; its parts are one deeper

    std::string id(std::string_view name) const { return prefix + std::string(name); }
    /// Heading `deeper` levels below the section's own, plain text.
    std::string heading(int deeper, std::string_view text) const;
};

struct ReportSection {
    std::string_view id;
    std::string_view title;
    /// Body without the section's own heading. A run that has nothing for it says so in a sentence.
    std::string (*render)(const ReportRun& run, const SectionContext& at);
    /// Null: every run has the section. Else only those for which this is true.
    bool (*applies)(const ReportRun& run) = nullptr;
};

std::span<const ReportSection> reportSections();

std::string renderWhatRan(const ReportRun& run, const SectionContext& at);
std::string renderHeadline(const ReportRun& run, const SectionContext& at);
std::string renderOperations(const ReportRun& run, const SectionContext& at);
std::string renderTime(const ReportRun& run, const SectionContext& at);
std::string renderExperts(const ReportRun& run, const SectionContext& at);
std::string renderSpecialization(const ReportRun& run, const SectionContext& at);
std::string renderItemGroups(const ReportRun& run, const SectionContext& at);
bool hasItemGroups(const ReportRun& run);  ///< the run compares groups of a suite's items
std::string renderParallel(const ReportRun& run, const SectionContext& at);
std::string renderCache(const ReportRun& run, const SectionContext& at);
std::string renderTokenRouting(const ReportRun& run, const SectionContext& at);
bool hasSuites(const ReportRun& run);  ///< the run evaluates suites
std::string renderSuites(const ReportRun& run, const SectionContext& at);
std::string renderNumerics(const ReportRun& run, const SectionContext& at);
bool hasNumerics(const ReportRun& run);  ///< the run compares two models' numerics
std::string renderMethod(const ReportRun& run, const SectionContext& at);

/// Of several runs, below their comparison: figures where two have routing, what the others lack
/// where one has; empty where none has.
std::string renderDepth(std::span<const ReportRun> runs);

/// "<p>...</p>" of escaped text.
std::string paragraph(std::string_view text, std::string_view style = {});

}  // namespace moescope
