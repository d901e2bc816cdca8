// SPDX-License-Identifier: Apache-2.0
// moescope report: writes reports of run files, or prints their summaries.
#include <algorithm>
#include <iostream>

#include "cli/command.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "profiler/analysis/run_summary.h"
#include "reports/report.h"

namespace moescope::cli {
namespace {

void printSummary(const RunSummary& run) {
    for (const std::string& line : summaryLines(run)) std::cout << line << '\n';
    std::cout << '\n';
}

}  // namespace

int runReport(const Invocation& invocation) {
    std::string names;
    for (const ReportFormat& format : reportFormats()) names += std::string(format.name) + ", ";
    Options options("report");
    options.positional("run", -1, "one or more run files");
    options.add(
        "format", po::value<std::string>()->default_value("html")->value_name("LIST"),
        ("separated by commas: " + names + "or summary (ten lines a run on stdout)").c_str());
    options.add("out,o", po::value<std::string>()->value_name("DIR"),
                "folder (or file, for one format); reports that are there are replaced");
    options.flag("json", "print the paths written as one JSON document");
    if (!options.parse(invocation)) return kDone;

    const auto paths = options.get<std::vector<std::string>>("run");
    std::vector<std::string> formats = splitList(options.get<std::string>("format"));
    if (formats.empty()) throw UsageError("--format names no format");
    std::vector<std::string> once;  // a format that is named twice is one
    for (const std::string& format : formats)
        if (std::find(once.begin(), once.end(), format) == once.end()) once.push_back(format);
    formats = std::move(once);
    const bool summaries = std::erase(formats, "summary") > 0;
    if (summaries)
        options.refuse({"json"}, "goes with reports: a summary is text on standard output");
    if (formats.empty()) {
        options.refuse({"out"}, "goes with reports: a summary goes to standard output");
        for (const std::string& path : paths) printSummary(summarize(RunReader(path)));
        return kDone;
    }
    if (!options.has("out") || options.get<std::string>("out").empty())
        throw UsageError("'report' needs --out DIR");
    for (const std::string& format : formats)
        reportFormat(format);  // all names, before the runs are read

    std::vector<ReportRun> runs;
    for (const std::string& path : paths) {
        throwIfStopped(invocation.stop);
        runs.push_back(loadReportRun(path));
    }
    nlohmann::json written = nlohmann::json::array();
    for (const auto& path :
         writeReport(runs, formats, options.get<std::string>("out"), invocation.stop))
        written.push_back(path.string());
    if (summaries)
        for (const ReportRun& run : runs) printSummary(run.summary);
    if (options.isSet("json")) {
        printJson("report-files", {{"files", written}});
    } else {
        for (const auto& path : written) std::cout << path.get<std::string>() << '\n';
    }
    return kDone;
}

}  // namespace moescope::cli
