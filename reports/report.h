// SPDX-License-Identifier: Apache-2.0
// Reports of one or more run files: `loadReportRun` and `writeReport` are the interface of this
// module for the CLI and the window; `summaryLines` is what a terminal shows when a run ends.
//
// To add a format: one file in reports/formats and one line in the table in reports/report.cpp.
// To add a section to the page: one file in reports/html and one line in reports/html/sections.cpp.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/interrupt.h"
#include "reports/report_model.h"

namespace moescope {

/// One finished file of a report; `name` is a bare file name.
struct ReportFile {
    std::string name;
    std::string content;
};

struct ReportFormat {
    std::string_view name;       ///< as given to --format
    std::string_view extension;  ///< of its files, with the dot
    std::string_view summary;    ///< for --help
    std::vector<ReportFile> (*render)(std::span<const ReportRun> runs);
};

/// html, json, csv, md.
std::span<const ReportFormat> reportFormats();

/// Throws UsageError whose hint suggests the nearest name.
const ReportFormat& reportFormat(std::string_view name);

/// Renders without touching the disk. `runs` must not be empty.
std::vector<ReportFile> renderReport(std::span<const ReportRun> runs, std::string_view format);

/// Writes the reports of `runs` in each of `formats` and returns the paths written. `out` names the
/// file when it ends in the extension of the one format, and that makes one file (html, json, md),
/// else a folder, created when absent. Throws UsageError (a format; no runs; `out` ends as a file
/// does and several are due, or one of another format; a report would replace one of the runs),
/// Error (out unwritable) and Interrupted (`stop` was set). Nothing is written unless every report
/// could be made.
std::vector<std::filesystem::path> writeReport(std::span<const ReportRun> runs,
                                               std::span<const std::string> formats,
                                               const std::filesystem::path& out,
                                               const StopFlag* stop = nullptr);

/// About ten lines of plain text, without newlines: what ran, speed, balance, scores, warnings.
std::vector<std::string> summaryLines(const RunSummary& run);

// The formats, for the table in report.cpp.
std::vector<ReportFile> renderHtml(std::span<const ReportRun> runs);
std::vector<ReportFile> renderJson(std::span<const ReportRun> runs);
std::vector<ReportFile> renderCsv(std::span<const ReportRun> runs);
std::vector<ReportFile> renderMarkdown(std::span<const ReportRun> runs);

}  // namespace moescope
