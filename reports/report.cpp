// SPDX-License-Identifier: Apache-2.0
// The table of report formats, and writing their files.
#include "reports/report.h"

#include <algorithm>
#include <array>

#include "engine/core/edit_distance.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "reports/numbers.h"

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

/// Whether a name that ends so is meant for a file: of a report, or of what is none.
bool namesFile(std::string_view ending) {
    constexpr std::array<std::string_view, 4> kOthers = {".htm", ".pdf", ".txt", ".moescope"};
    return std::find(kOthers.begin(), kOthers.end(), ending) != kOthers.end() ||
           std::any_of(kFormats.begin(), kFormats.end(),
                       [&](const ReportFormat& format) { return format.extension == ending; });
}

/// Where each of `files` goes.
std::vector<std::filesystem::path> outputPaths(std::span<const ReportFile> files,
                                               std::span<const std::string> formats,
                                               const std::filesystem::path& out) {
    const std::string ending = out.extension().string();
    if (files.size() == 1 && ending == reportFormat(formats.front()).extension) return {out};
    // A folder "x.html" holding "report.json" is not what was meant, unless it is there already.
    std::error_code absent;
    if (namesFile(ending) && !std::filesystem::is_directory(out, absent)) {
        if (files.size() > 1)
            throw UsageError(out.string() + ": names one file, but " +
                                 formatCounted(static_cast<std::int64_t>(files.size()), "file") +
                                 " are due",
                             "name a folder");
        const ReportFormat& format = reportFormat(formats.front());
        throw UsageError(
            out.string() + ": its ending is not that of the format " + std::string(format.name),
            "name a folder, or a file that ends in " + std::string(format.extension));
    }
    std::vector<std::filesystem::path> paths;
    for (const ReportFile& file : files) paths.push_back(out / file.name);
    return paths;
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

std::vector<std::filesystem::path> writeReport(std::span<const ReportRun> runs,
                                               std::span<const std::string> formats,
                                               const std::filesystem::path& out,
                                               const StopFlag* stop) {
    if (runs.empty())
        throw UsageError("no run file given for the report", "name one or more .moescope files");
    for (const std::string& format : formats) reportFormat(format);  // all names, before the work
    std::vector<ReportFile> files;
    for (const std::string& format : formats) {
        throwIfStopped(stop);
        for (ReportFile& file : renderReport(runs, format)) files.push_back(std::move(file));
    }
    throwIfStopped(stop);
    const std::vector<std::filesystem::path> paths = outputPaths(files, formats, out);
    for (const std::filesystem::path& path : paths) {
        for (const ReportRun& run : runs) {
            if (!run.source.empty() && sameFile(path, run.source))
                throw UsageError(
                    path.string() + ": a run that is read, which the report would " + "replace",
                    "choose another --out");
        }
    }
    for (std::size_t i = 0; i < files.size(); ++i) writeFile(paths[i], files[i].content);
    return paths;
}

}  // namespace moescope
