// SPDX-License-Identifier: Apache-2.0
// Reports of one or more run files: `writeReport` is the whole interface of this module for the
// CLI and the window; `summaryLines` is what a terminal shows when a run ends.
//
// To add a format: one file in reports/formats and one line in the table in reports/report.cpp.
// To add a section to the page: one file in reports/html and one line in reports/html/sections.cpp.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// Writes the report of `runs` and returns the paths written. `out` names the file when it ends in
/// the format's extension and the format makes one file (html, json, md), else a folder, created
/// when absent. Throws UsageError (format; no runs) and Error (run unreadable, out unwritable);
/// nothing is written unless every run could be read.
std::vector<std::filesystem::path> writeReport(std::span<const std::filesystem::path> runs,
                                               std::string_view format,
                                               const std::filesystem::path& out);

/// About ten lines of plain text, without newlines: what ran, speed, balance, scores, warnings.
std::vector<std::string> summaryLines(const RunSummary& run);

// The formats, for the table in report.cpp.
std::vector<ReportFile> renderHtml(std::span<const ReportRun> runs);
std::vector<ReportFile> renderJson(std::span<const ReportRun> runs);
std::vector<ReportFile> renderCsv(std::span<const ReportRun> runs);
std::vector<ReportFile> renderMarkdown(std::span<const ReportRun> runs);

}  // namespace moescope
