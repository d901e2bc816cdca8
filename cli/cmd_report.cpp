// SPDX-License-Identifier: Apache-2.0
// moescope report: writes reports of run files, or prints their summaries.
#include <iostream>

#include "cli/command.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "profiler/analysis/run_summary.h"
#include "reports/report.h"

namespace moescope::cli {
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

    std::vector<std::filesystem::path> runs;
    for (const std::string& path : options.get<std::vector<std::string>>("run"))
        runs.emplace_back(path);
    std::vector<std::string> formats = splitList(options.get<std::string>("format"));
    if (formats.empty()) throw UsageError("--format names no format");
    if (formats == std::vector<std::string>{"summary"}) {
        options.refuse({"out", "json"}, "goes with reports: a summary goes to standard output");
        for (const auto& path : runs) {
            for (const std::string& line : summaryLines(summarize(RunReader(path))))
                std::cout << line << '\n';
            std::cout << '\n';
        }
        return kDone;
    }
    if (!options.has("out") || options.get<std::string>("out").empty())
        throw UsageError("'report' needs --out DIR");
    for (const std::string& format : formats)
        reportFormat(format);  // all names, before anything is written

    nlohmann::json written = nlohmann::json::array();
    for (const std::string& format : formats) {
        throwIfStopped(invocation.stop);
        for (const auto& path : writeReport(runs, format, options.get<std::string>("out")))
            written.push_back(path.string());
    }
    if (options.isSet("json")) {
        printJson("report", {{"files", written}});
    } else {
        for (const auto& path : written) std::cout << path.get<std::string>() << '\n';
    }
    return kDone;
}

}  // namespace moescope::cli
