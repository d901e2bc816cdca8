// SPDX-License-Identifier: Apache-2.0
// The table of report formats, and writing their files.
#include "reports/report.h"

#include <algorithm>
#include <array>

#include "engine/core/edit_distance.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope {
namespace {

constexpr std::array kFormats = {
    ReportFormat{"html", ".html", "one self-contained page, for reading and printing", renderHtml},
    ReportFormat{"json", ".json", "everything in one document, for programs", renderJson},
    ReportFormat{"csv", ".csv", "a folder of tables, for spreadsheets", renderCsv},
    ReportFormat{"md", ".md", "a short summary, for pull requests and notes", renderMarkdown},
};

std::string unknownFormatHint(std::string_view name) {
    if (name == "pdf") return "make the html report and print it to PDF from any browser";
    const ReportFormat* nearest = nullptr;
    std::size_t best = 0;
    std::string known;
    for (const ReportFormat& format : kFormats) {
        const std::size_t distance = editDistance(name, format.name);
        if (nearest == nullptr || distance < best) {
            nearest = &format;
            best = distance;
        }
        known += (known.empty() ? "" : ", ") + std::string(format.name);
    }
    return "did you mean \"" + std::string(nearest->name) + "\"? Formats: " + known;
}

}  // namespace

std::span<const ReportFormat> reportFormats() {
    return kFormats;
}

const ReportFormat& reportFormat(std::string_view name) {
    for (const ReportFormat& format : kFormats) {
        if (format.name == name) return format;
    }
    const std::string shown = toValidUtf8(name.substr(0, 40));
    throw UsageError("unknown report format \"" + shown + "\"",
                     unknownFormatHint(name.substr(0, 40)));
}

std::vector<ReportFile> renderReport(std::span<const ReportRun> runs, std::string_view format) {
    return reportFormat(format).render(runs);
}

std::vector<std::filesystem::path> writeReport(std::span<const std::filesystem::path> runs,
                                               std::string_view format,
                                               const std::filesystem::path& out) {
    const ReportFormat& chosen = reportFormat(format);
    if (runs.empty())
        throw UsageError("no run file given for the report", "name one or more .moescope files");
    std::vector<ReportRun> loaded;
    loaded.reserve(runs.size());
    for (const std::filesystem::path& run : runs) loaded.push_back(loadReportRun(run));
    const std::vector<ReportFile> files = chosen.render(loaded);

    const bool single = files.size() == 1 && out.extension() == chosen.extension;
    std::vector<std::filesystem::path> written;
    for (const ReportFile& file : files) {
        written.push_back(single ? out : out / file.name);
        writeFile(written.back(), file.content);
    }
    return written;
}

}  // namespace moescope
