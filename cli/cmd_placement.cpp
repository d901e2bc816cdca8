// SPDX-License-Identifier: Apache-2.0
// moescope placement: what a run's routing would cost with its experts on one GPU or on several.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/trace_part.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/analysis/run_summary.h"
#include "reports/parallel_lines.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

constexpr int kMostGpus = 1024;
constexpr int kMostStepTokens = 16384;

int atLeast(const Options& options, const char* option, int least, int most) {
    const int value = options.get<int>(option);
    if (value < least || value > most)
        throw UsageError("--" + std::string(option) + " takes a number from " +
                         std::to_string(least) + " to " + std::to_string(most));
    return value;
}

void addOptions(Options& options) {
    options.positional("run", 1, "a run file with the experts of each token");
    options.add("gpus", po::value<std::string>()->default_value("1,2,4,8")->value_name("N,.."),
                "numbers of GPUs that the experts of each layer are spread over");
    options.add("tokens,n", po::value<int>()->default_value(64)->value_name("N"),
                "tokens of a step, over all GPUs");
    options.add("step", po::value<std::string>()->default_value("decode")->value_name("KIND"),
                "decode: each token of another text; prefill: consecutive tokens");
    addTracePart(options);
    options.add("redundant", po::value<int>()->default_value(-1)->value_name("N"),
                "further copies of experts in each layer (replicated); -1: one for each GPU");
    options.add("held-out", po::value<std::string>()->default_value("halves")->value_name("WHAT"),
                "placements are judged on texts that they were not decided on: random halves, or "
                "whole groups");
    options.add("history", po::value<std::string>()->value_name("RUN"),
                "decide placements on this other run of the same model");
    options.add("splits", po::value<int>()->default_value(5)->value_name("N"),
                "random halvings of the texts");
    options.add("gpu", po::value<std::string>()->default_value("h100")->value_name("NAME"),
                "whose rates the model of times takes: h100, h200, b200");
    options.add("expert-bytes", po::value<double>()->value_name("N"),
                "size of one expert, where the run does not say it or another format is meant");
    options.add("seed", po::value<std::uint64_t>()->default_value(1)->value_name("N"),
                "of the halves and of the steps drawn");
    options.add("write", po::value<std::string>()->value_name("F.json"),
                "write the placement, decided on all texts, for SGLang's --init-expert-location; "
                "--gpus names one number");
    options.add("policy", po::value<std::string>()->default_value("replicated")->value_name("NAME"),
                "with --write: contiguous, packed, replicated");
    options.flag("overwrite", "with --write: replace an existing file");
    options.flag("json", "print one JSON document");
    options.epilog(
        "Record a run with 'moescope profile MODEL --workload TEXTS.jsonl -n 0 --routing-tokens "
        "--out RUN': many texts, of\nthe kind that will be served. Definitions: docs/metrics.md.");
}

ExpertParallelOptions simulationOptions(const Options& options) {
    using Mixes = std::array<std::pair<const char*, StepMix>, 2>;
    using Sides = std::array<std::pair<const char*, HeldOut>, 2>;
    ExpertParallelOptions out;
    out.gpus = parseIntList(options.get<std::string>("gpus"), "--gpus", kMostGpus);
    std::sort(out.gpus.begin(), out.gpus.end());
    out.gpus.erase(std::unique(out.gpus.begin(), out.gpus.end()), out.gpus.end());
    out.tokens = atLeast(options, "tokens", 1, kMostStepTokens);
    out.mix = chosenBy(options.get<std::string>("step"), "--step",
                       Mixes{{{"decode", StepMix::Decode}, {"prefill", StepMix::Prefill}}});
    out.heldOut = chosenBy(options.get<std::string>("held-out"), "--held-out",
                           Sides{{{"halves", HeldOut::Halves}, {"groups", HeldOut::Groups}}});
    out.redundant = atLeast(options, "redundant", -1, kMostGpus * 64);
    out.splits = atLeast(options, "splits", 1, 100);
    out.seed = options.get<std::uint64_t>("seed");
    out.stop = options.stop();
    const double bytes = options.get<double>("expert-bytes", 1);
    if (!std::isfinite(bytes) || bytes <= 0)
        throw UsageError("--expert-bytes takes a number of bytes above 0");
    if (options.has("history"))
        options.refuse({"held-out", "splits"}, "has no meaning with --history, which is held out");
    return out;
}

/// "" where the run does not say which model it was of.
std::string identityOf(const RunReader& run) {
    const nlohmann::json model = run.metaJson("model");
    const bool known =
        model.is_object() && model.contains("identity") && model["identity"].is_string();
    return known ? model["identity"].get<std::string>() : std::string();
}

std::vector<double> readHistory(const Options& options, const RunReader& run,
                                const RoutingTrace& trace) {
    const RunReader other(options.get<std::string>("history"), options.stop());
    const std::string path = other.path().string();
    std::error_code unreadable;
    if (std::filesystem::equivalent(run.path(), other.path(), unreadable))
        throw UsageError("--history " + path +
                         ": is the run itself, by which its own placement always looks good");
    const std::string ours = identityOf(run), theirs = identityOf(other);
    if (!ours.empty() && !theirs.empty() && ours != theirs)
        throw Error(path + ": is a run of another model",
                    "A placement can be decided on a run of the same model only.");
    return historyLoad(other, trace);
}

PlacementPolicy policyOf(const Options& options) {
    using Policies = std::array<std::pair<const char*, PlacementPolicy>, 3>;
    return chosenBy(options.get<std::string>("policy"), "--policy",
                    Policies{{{"contiguous", PlacementPolicy::Contiguous},
                              {"packed", PlacementPolicy::Packed},
                              {"replicated", PlacementPolicy::Replicated}}});
}

void checkWriting(const Options& options, const ExpertParallelOptions& simulation,
                  const std::string& run) {
    if (!options.has("write")) {
        options.refuse({"policy", "overwrite"}, "has no meaning without --write");
        return;
    }
    if (simulation.gpus.size() != 1) throw UsageError("--write takes one number of GPUs: --gpus N");
    const auto file = options.get<std::string>("write");
    refuseSameFile("--write", file,
                   {{"run", run}, {"--history", options.get<std::string>("history", "")}});
    requireFreshOutput(file, options.isSet("overwrite"), "--write");
}

/// Of the model, those without experts among them; 0 where the run does not say.
int modelLayers(const RunReader& run) {
    const nlohmann::json routing = run.metaJson("routing");
    const bool known =
        routing.is_object() && routing.contains("layers") && routing["layers"].is_number_integer();
    return known ? static_cast<int>(std::clamp<std::int64_t>(routing["layers"].get<std::int64_t>(),
                                                             0, INT16_MAX))
                 : 0;
}

/// SGLang passes every key of the file on by name: there is no room for another.
void write(const Options& options, const RoutingTrace& trace,
           const ExpertParallelOptions& simulation, int layers) {
    const nlohmann::json map =
        physicalExperts(trace, simulation, policyOf(options), simulation.gpus.front(), layers);
    const auto file = options.get<std::string>("write");
    writeFile(file, nlohmann::json{{"physical_to_logical_map", map}}.dump() + '\n');
    std::cerr << "placement: wrote " << visibleLine(file) << '\n';
}

void print(const ParallelForecast& forecast) {
    const std::vector<ParallelColumn> columns = parallelColumns(forecast);
    const std::vector<ParallelLine> lines = parallelLines(forecast);
    for (const std::string& sentence : parallelSentences(forecast)) std::cout << sentence << '\n';
    // Two tables: one line of all columns is wider than a terminal.
    for (const bool costs : {false, true}) {
        std::vector<std::string> header;
        std::vector<const ParallelColumn*> shown;
        for (const ParallelColumn& column : columns) {
            if (shown.size() < 2 || column.cost == costs) shown.push_back(&column);
        }
        if (shown.size() <= 2) continue;
        for (const ParallelColumn* column : shown) header.emplace_back(column->title);
        TextTable table(header);
        for (const ParallelLine& line : lines) {
            std::vector<std::string> cells;
            for (const ParallelColumn* column : shown) cells.push_back(column->text(line));
            table.row(std::move(cells));
        }
        std::cout << '\n' << table.text();
    }
    std::cout << '\n';
    for (const ParallelColumn& column : columns)
        std::cout << column.title << ": " << column.help << ".\n";
}

}  // namespace

int runPlacement(const Invocation& invocation) {
    Options options("placement");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    ExpertParallelOptions simulation = simulationOptions(options);
    ParallelForecast forecast;
    forecast.hardware = &findGpuHardware(options.get<std::string>("gpu"));
    const std::string path = options.get<std::vector<std::string>>("run").front();
    checkWriting(options, simulation, path);

    const RunReader reader(path, options.stop());
    const RunSummary run = summarize(reader);
    if (run.routing.empty())
        throw Error(path + ": holds no routing",
                    "'moescope profile' on a mixture-of-experts model records it");
    const RoutingTrace trace =
        routingTrace(reader, run.experts, tracePart(options), options.stop());
    if (trace.empty()) throw Error(path + ": " + trace.reason);
    if (options.has("history")) simulation.history = readHistory(options, reader, trace);
    for (const QualityRow& row : run.quality)
        if (!row.ok) note("warning: " + qualityWarning(row));
    if (simulation.gpus.front() > run.experts)
        throw UsageError("--gpus: a layer of this run has " + std::to_string(run.experts) +
                         " experts, which cannot be spread over more GPUs");
    forecast.shape = expertShapeOf(reader, static_cast<int>(trace.layers.size()));
    if (options.has("expert-bytes")) forecast.shape.bytes = options.get<double>("expert-bytes");
    forecast.of = expertParallel(trace, simulation);
    if (forecast.of.empty()) throw Error(path + ": " + forecast.of.reason);
    if (options.has("write")) write(options, trace, simulation, modelLayers(reader));
    if (options.isSet("json")) {
        printJson("placement", parallelJson(forecast));
    } else {
        print(forecast);
    }
    return kDone;
}

}  // namespace moescope::cli
