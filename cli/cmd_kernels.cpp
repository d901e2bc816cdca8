// SPDX-License-Identifier: Apache-2.0
// moescope kernels: where the time of a run went.
#include <array>
#include <iostream>

#include "cli/analysis_text.h"
#include "cli/command.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "profiler/analysis/run_analysis.h"
#include "reports/analysis_json.h"

namespace moescope::cli {
namespace {

constexpr std::array<std::pair<const char*, GroupBy>, 5> kGroupings{{{"kernel", GroupBy::Kernel},
                                                                     {"op", GroupBy::Operation},
                                                                     {"layer", GroupBy::Layer},
                                                                     {"step", GroupBy::Step},
                                                                     {"phase", GroupBy::Phase}}};

nlohmann::json rowsJson(const AnalysedRun& run, const std::vector<OperationGroupRow>& rows) {
    nlohmann::json out = nlohmann::json::array();
    for (const OperationGroupRow& row : rows) {
        nlohmann::json entry = operationGroupJson(row.group, run.analysis.roofline.ceilings);
        if (row.layer) entry["layer"] = *row.layer;
        if (row.step)
            entry["step"] = *row.step < 0
                                ? nlohmann::json()
                                : nlohmann::json(run.steps[static_cast<std::size_t>(*row.step)].id);
        out.push_back(std::move(entry));
    }
    return out;
}

}  // namespace

int runKernels(const Invocation& invocation) {
    Options options("kernels");
    options.positional("run", 1, "a run file with timed operations");
    options.add("by", po::value<std::string>()->default_value("kernel")->value_name("WHAT"),
                "rows of the table: kernel, op, layer, step, phase");
    options.add("phase", po::value<std::string>()->value_name("NAME"),
                "only operations of this phase: prefill, decode");
    options.add("limit", po::value<int>()->default_value(20)->value_name("N"),
                "rows of the tables; 0: all");
    options.flag("json", "print one JSON document");
    options.epilog(
        "The share of the roof and the roofline stand against ceilings that the run measured "
        "itself. Time "
        "against expert\nload needs each token's experts: moescope profile --routing-tokens.");
    if (!options.parse(invocation)) return kDone;
    const GroupBy by = chosenBy(options.get<std::string>("by"), "--by", kGroupings);
    if (options.get<int>("limit") < 0)
        throw UsageError("--limit takes a number of rows, 0 for all");
    const std::size_t limit =
        options.get<int>("limit") == 0 ? SIZE_MAX : std::size_t(options.get<int>("limit"));

    const std::string path = options.get<std::vector<std::string>>("run").front();
    const AnalysedRun run = analyse(RunReader(path));
    if (run.operations.size() == 0)
        throw Error(path + ": holds no timed operations", "'moescope profile' records them");
    const std::string phase = options.has("phase") ? options.get<std::string>("phase") : "";
    const std::vector<OperationGroupRow> rows = groupOperations(
        by == GroupBy::Kernel ? run.kernels() : run.operations, by, std::nullopt, phase);
    if (rows.empty()) throw UsageError("this run has no phase '" + phase + "'");
    if (options.isSet("json")) {
        nlohmann::json document = analysisJson(run.analysis);
        document["run"] = path;
        document["operations"] = rowsJson(run, rows);
        printJson("kernels", document);
        return kDone;
    }
    std::cout << qualityText(run.analysis.quality) << '\n'
              << operationTableText(rows, run.steps, run.analysis.roofline.ceilings, limit) << '\n'
              << timeText(run.analysis.time);
    for (const std::string& part :
         {latencyText(run.analysis.latency), rooflineText(run.analysis.roofline, limit),
          sampledText(run.analysis.sampled), expertLoadText(run.analysis.expertLoad)})
        if (!part.empty()) std::cout << '\n' << part;
    return kDone;
}

}  // namespace moescope::cli
