// SPDX-License-Identifier: Apache-2.0
// moescope eval: scores capability and fairness suites into a run file; --resume after a kill.
#include <algorithm>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/eval_results.h"
#include "cli/eval_run.h"
#include "cli/lists.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "engine/text/chat.h"
#include "reports/report_model.h"

namespace moescope::cli {
namespace {

void addOptions(Options& options) {
    options.positional("model", 1, "a file, folder or name", true);
    options.add("suite,s", po::value<std::string>()->value_name("NAME,.."),
                "suites by name, or .json files; --list names them");
    options.flag("list", "list the suites that are known, and stop");
    options.add("data", po::value<std::string>()->value_name("DIR"),
                "folder that holds the suites' published data");
    options.add("limit", po::value<std::int64_t>()->default_value(0)->value_name("N"),
                "items per suite, of all levels it is stratified by; 0: all");
    options.add("shots", po::value<int>()->default_value(-1)->value_name("N"),
                "worked examples; -1: what the suite says");
    options.add("seed", po::value<std::uint64_t>()->default_value(1)->value_name("N"),
                "of subsets, bootstraps, permutations and drawn replies");
    options.flag("chat", "ask through the chat template (a no-reasoning score on harmony models)");
    options.flag(
        "generate",
        "let the model write a reply, its reasoning included, and read the answer from it");
    options.add("tokens,n", po::value<int>()->default_value(0)->value_name("N"),
                "with --generate: tokens a reply may have; 0: what --context leaves");
    options.add("temperature", po::value<double>()->default_value(0)->value_name("T"),
                "with --generate: 0 takes the likeliest token");
    options.add("top-p", po::value<double>()->default_value(1)->value_name("P"),
                "with --generate: draw from the likeliest that have this share");
    options.add("repeats", po::value<int>()->default_value(1)->value_name("K"),
                "with --temperature above 0: replies to each item, each drawn anew");
    options.add("parallel", po::value<int>()->default_value(8)->value_name("N"),
                "with --generate: replies written at a time");
    options.add("reasoning",
                po::value<std::string>()->default_value("medium")->value_name("EFFORT,.."),
                "with --chat or --generate: low, medium, high, stated in the prompt; with "
                "--generate several, each into a run of its own, RUN-low.moescope ..");
    options.add("context", po::value<int>()->default_value(4096)->value_name("N"),
                "tokens an item may have; at most those that the model was made for");
    options.add("out,o", po::value<std::string>()->value_name("RUN"), "run file to write");
    options.flag("resume",
                 "continue the run in --out after an interruption; begin it where there is none");
    options.flag("overwrite", "replace an existing run file");
    options.flag("trace", "also time every operation (larger run file)");
    options.flag("routing-tokens",
                 "keep the tokens of each item and their experts, so that 'moescope routing --by' "
                 "can compare the same words said of other people (larger run file)");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addModelOptions(options);
}

int listAll() {
    TextTable table({"suite", "kind", "title"});
    for (const SuiteListing& suite : listSuites()) table.row({suite.name, suite.kind, suite.title});
    std::cout << table.text();
    return kDone;
}

std::vector<SuiteData> loadSuites(const Options& options) {
    std::vector<SuiteData> suites;
    SuiteLoadOptions load;
    if (options.has("data")) load.dataFolder = options.get<std::string>("data");
    load.shots = options.get<int>("shots");
    load.replies = options.isSet("generate");
    for (const std::string& name : splitList(options.get<std::string>("suite"))) {
        for (const SuiteData& earlier : suites) {
            if (earlier.definition.name == name)
                throw UsageError("suite '" + name + "' is named twice");
        }
        suites.push_back(loadSuite(findSuite(name), load));
        limitItems(suites.back(), options.get<std::int64_t>("limit"),
                   options.get<std::uint64_t>("seed"));
        for (const std::string& warning : suites.back().warnings) note("warning: " + warning);
    }
    if (suites.empty())
        throw UsageError("--suite names no suite", "'moescope eval --list' lists them");
    return suites;
}

/// What is said of replies is not ignored when none is asked for.
void checkReplyOptions(const Options& options, bool replies) {
    const int repeats = options.get<int>("repeats");
    if (repeats < 1) throw UsageError("--repeats takes 1 or more");
    if (options.get<int>("tokens") < 0) throw UsageError("--tokens takes 0 or more");
    if (options.get<int>("parallel") < 1) throw UsageError("--parallel takes 1 or more");
    SamplingOptions sampling;
    sampling.temperature = options.get<double>("temperature");
    sampling.topP = options.get<double>("top-p");
    const Sampler refusesWhatIsOutOfRange(sampling);
    if (!replies && !options.isSet("chat"))
        options.refuse({"reasoning"}, "goes with --chat or --generate");
    if (!replies)
        options.refuse({"tokens", "temperature", "top-p", "repeats", "parallel"},
                       "goes with --generate");
    if (repeats > 1 && !(sampling.temperature > 0))
        throw UsageError(
            "--repeats needs a --temperature above 0: at 0 all replies to an item are the same",
            "gpt-oss is evaluated at --temperature 1");
}

/// What can be told to be wrong before anything is read.
void checkOptions(const Options& options) {
    if (!options.has("model")) throw UsageError("'eval' needs a MODEL");
    if (!options.has("suite"))
        throw UsageError("'eval' needs --suite NAME", "'moescope eval --list' lists the suites");
    if (!options.has("out")) throw UsageError("'eval' needs --out RUN");
    if (options.get<std::int64_t>("limit") < 0) throw UsageError("--limit takes 0 or more");
    if (options.get<int>("shots") < -1) throw UsageError("--shots takes 0 or more, or -1");
    if (options.get<int>("context") < 1)
        throw UsageError("--context takes a positive number of tokens");
}

/// Refused before the weights are read.
void checkModel(const Model& model, const std::string& name, const Options& options, bool replies,
                bool sweep) {
    const auto format = chatFormatFor(model.tokenizer());
    if ((options.isSet("chat") || replies) && format == nullptr)
        throw UsageError(
            name + ": this model has no chat template",
            replies ? "written replies need one: name a model for conversations, or suites "
                      "that are scored by likelihood"
                    : "leave out --chat");
    if (!options.has("reasoning") || format->name() == "harmony") return;
    if (sweep)
        throw UsageError(name + ": this model's format (" + std::string(format->name()) +
                             ") states no reasoning effort: it would be asked the same " +
                             "for each of --reasoning",
                         "leave out --reasoning");
    note("warning: this model's format states no reasoning effort: --reasoning has no effect");
}

using EvalRuns = std::vector<std::unique_ptr<EvalRun>>;

void printSweep(const EvalRuns& runs) {
    std::vector<EffortResults> efforts;
    std::string files;
    for (const auto& run : runs) {
        efforts.push_back({run->plan().effort, &run->results()});
        files += " " + shellWord(run->plan().out.string());
    }
    printEfforts(efforts);
    std::cout << "\nWhich differences are more than noise: moescope compare" << files << '\n';
}

void printDocument(const EvalRuns& runs, bool synthetic) {
    if (runs.size() == 1) {
        printJson("eval", {{"run", runs.front()->plan().out.string()},
                           {"synthetic", synthetic},
                           {"suites", resultsJson(runs.front()->results())}});
        return;
    }
    nlohmann::json list = nlohmann::json::array();
    for (const auto& run : runs)
        list.push_back({{"run", run->plan().out.string()},
                        {"reasoning", run->plan().effort},
                        {"suites", resultsJson(run->results())}});
    printJson("eval", {{"synthetic", synthetic}, {"runs", std::move(list)}});
}

void requireScores(const EvalRuns& runs) {
    for (const auto& run : runs)
        for (const SuiteResult& result : run->results())
            if (result.scored > 0) return;
    throw Error("none of the items fits the context of " + std::to_string(runs.front()->context()) +
                    " tokens: nothing was scored",
                "give a larger --context");
}

}  // namespace

int runEval(const Invocation& invocation) {
    Options options("eval");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    if (options.isSet("list")) return listAll();
    checkOptions(options);
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    std::vector<EvalRunPlan> plans = planEvalRuns(options);
    const bool sweep = plans.size() > 1;
    const std::vector<SuiteData> suites = loadSuites(options);
    const bool replies = std::any_of(suites.begin(), suites.end(),
                                     [](const SuiteData& data) { return data.replies; });
    checkReplyOptions(options, replies);
    requireRoom(suites, evalOptions(options));
    for (const SuiteData& data : suites)
        if (data.replies && !options.isSet("generate"))
            note("suite '" + data.definition.name +
                 "' knows no likelihoods: the model writes its replies (--tokens bounds them)");

    const auto name = options.get<std::vector<std::string>>("model").front();
    const auto model = loadModel(name, options, [&](const Model& opened) {
        checkModel(opened, name, options, replies, sweep);
    });
    EvalRuns runs;
    for (EvalRunPlan& plan : plans) {
        runs.push_back(
            std::make_unique<EvalRun>(invocation, options, std::move(plan), suites, *model));
        runs.back()->requireResumable();
    }
    const bool json = options.isSet("json"), synthetic = model->spec().synthetic;
    for (const auto& run : runs) {
        const std::string label = sweep ? "reasoning " + run->plan().effort : "";
        run->run(style, label);
        if (json) continue;
        if (sweep) std::cout << '\n' << label << ": " << run->plan().out.string() << '\n';
        printResults(run->results(), synthetic);
    }
    if (json)
        printDocument(runs, synthetic);
    else if (sweep)
        printSweep(runs);
    requireScores(runs);
    return kDone;
}

}  // namespace moescope::cli
