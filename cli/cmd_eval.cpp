// SPDX-License-Identifier: Apache-2.0
// moescope eval: scores capability and fairness suites into a run file; --resume after a kill.
#include <algorithm>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/lists.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/prompting.h"
#include "datasets/suite.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "evals/engine_model.h"
#include "evals/runner.h"
#include "profiler/record/run_recorder.h"
#include "profiler/runfile/run_reader.h"
#include "reports/headline.h"
#include "reports/json_number.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"
#include "reports/terms.h"
#include "reports/visible_text.h"

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
    options.add("parallel", po::value<int>()->default_value(8)->value_name("N"),
                "with --generate: replies written at a time");
    options.add("reasoning",
                po::value<std::string>()->default_value("medium")->value_name("EFFORT"),
                "with --chat or --generate: low, medium, high, stated in the prompt");
    options.add("context", po::value<int>()->default_value(4096)->value_name("N"),
                "tokens an item may have; at most those that the model was made for");
    options.add("out,o", po::value<std::string>()->value_name("RUN"), "run file to write");
    options.flag("resume",
                 "continue the run in --out after an interruption; begin it where there is none");
    options.flag("overwrite", "replace an existing run file");
    options.flag("trace", "also time every operation (larger run file)");
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
    if (options.get<int>("tokens") < 0) throw UsageError("--tokens takes 0 or more");
    if (options.get<int>("parallel") < 1) throw UsageError("--parallel takes 1 or more");
    SamplingOptions sampling;
    sampling.temperature = options.get<double>("temperature");
    sampling.topP = options.get<double>("top-p");
    const Sampler refusesWhatIsOutOfRange(sampling);
    if (!replies && !options.isSet("chat"))
        options.refuse({"reasoning"}, "goes with --chat or --generate");
    if (!replies)
        options.refuse({"tokens", "temperature", "top-p", "parallel"}, "goes with --generate");
}

/// "written", "by likelihood", or what each suite is asked for.
std::string answersOf(const std::vector<SuiteData>& suites) {
    std::string each;
    bool written = false, likelihood = false;
    for (const SuiteData& data : suites) {
        (data.replies ? written : likelihood) = true;
        each += (each.empty() ? "" : ", ") + data.definition.name + " " + answersOf(data);
    }
    return written && likelihood ? each : answersOf(suites.front());
}

/// Whether `path` is a run that --resume could continue; whatever else it is, it is not ours to
/// say.
bool unfinishedRun(const std::filesystem::path& path) {
    try {
        const RunReader run(path);
        return run.meta("kind") == "eval" && run.status() != RunStatus::Done;
    } catch (const Error&) {
        return false;
    }
}

nlohmann::json metricJson(const MetricRow& m) {
    return {{"name", m.name},
            {"group", m.group},
            {"value", jsonNumber(m.value)},
            {"low", jsonNumber(m.low)},
            {"high", jsonNumber(m.high)},
            {"standard_error", jsonNumber(m.standardError)},
            {"chance", jsonNumber(m.chance)},
            {"method", m.method},
            {"n", m.n},
            {"clusters", m.clusters > 0 ? nlohmann::json(m.clusters) : nlohmann::json(nullptr)}};
}

void printResults(const std::vector<SuiteResult>& results, bool synthetic) {
    if (synthetic)
        std::cout << "SYNTHETIC model (seeded random weights): these scores mean nothing\n";
    for (const SuiteResult& result : results) {
        const ItemCounts counts{result.scored + result.tooLong, result.scored};
        std::cout << '\n'
                  << visibleLine(result.suite.title) << ": "
                  << evaluatedItems(result.suite, counts);
        if (result.tooLong > 0)
            std::cout << "; " << formatCount(result.tooLong)
                      << " did not fit the context and are in no metric";
        std::cout << "\n";
        TextTable table({"metric", "group", "value", "95 % interval", "chance", "p", "n", "how"});
        std::vector<std::string> methods;  // too long for a column: numbered, and listed below
        const auto numbered = [&](const std::string& method) {
            auto known = std::find(methods.begin(), methods.end(), method);
            if (known == methods.end()) known = methods.insert(methods.end(), method);
            return '(' + std::to_string(known - methods.begin() + 1) + ')';
        };
        for (const auto& [metric, test] : metricLines(result.metrics)) {
            const MetricRow& m = *metric;
            std::string how = numbered(m.method);
            if (test != nullptr) how += " p: " + numbered(test->method);
            table.row(
                {m.name, m.group.empty() ? kAllGroups : m.group, formatSignificant(m.value),
                 m.low && m.high
                     ? "[" + formatSignificant(*m.low) + ", " + formatSignificant(*m.high) + "]"
                     : "",
                 m.chance ? formatSignificant(*m.chance) : "", testText(test), basisText(m), how});
        }
        std::cout << table.text();
        if (const auto mass = littleMass(result.metrics, result.suite.id))
            std::cout << "! " << massCaution(*mass) << '\n';
        for (const std::string& count : itemCountNotes(result.metrics))
            std::cout << visibleLine(count) << '\n';
        for (std::size_t i = 0; i < methods.size(); ++i)
            std::cout << '(' << i + 1 << ") " << visibleLine(methods[i]) << '\n';
    }
}

}  // namespace

int runEval(const Invocation& invocation) {
    Options options("eval");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    if (options.isSet("list")) return listAll();
    if (!options.has("model")) throw UsageError("'eval' needs a MODEL");
    if (!options.has("suite"))
        throw UsageError("'eval' needs --suite NAME", "'moescope eval --list' lists the suites");
    if (!options.has("out")) throw UsageError("'eval' needs --out RUN");
    const ReasoningEffort reasoning = parseReasoning(options.get<std::string>("reasoning"));
    if (options.get<std::int64_t>("limit") < 0) throw UsageError("--limit takes 0 or more");
    if (options.get<int>("shots") < -1) throw UsageError("--shots takes 0 or more, or -1");
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    if (options.get<int>("context") < 1)
        throw UsageError("--context takes a positive number of tokens");
    const std::filesystem::path out = options.get<std::string>("out");
    bool resume = options.isSet("resume");
    if (resume && options.isSet("overwrite"))
        throw UsageError("--resume continues a run and --overwrite discards it: give one of them");
    if (std::error_code absent; resume && !std::filesystem::exists(out, absent)) {
        noteFreshStart(out.string());
        resume = false;
    }
    if (!resume) requireFreshOutput(out, options.isSet("overwrite"), "--out", unfinishedRun(out));
    std::vector<SuiteData> suites = loadSuites(options);
    const bool replies = std::any_of(suites.begin(), suites.end(),
                                     [](const SuiteData& data) { return data.replies; });
    checkReplyOptions(options, replies);
    for (const SuiteData& data : suites)
        if (data.replies && !options.isSet("generate"))
            note("suite '" + data.definition.name +
                 "' knows no likelihoods: the model writes its replies (--tokens bounds them)");
    std::optional<PriorRun> prior;
    if (resume) prior = readPriorRun(out);

    const auto name = options.get<std::vector<std::string>>("model").front();
    const auto model = loadModel(name, options, [&](const Model& opened) {
        if ((options.isSet("chat") || replies) && chatFormatFor(opened.tokenizer()) == nullptr)
            throw UsageError(
                name + ": this model has no chat template",
                replies ? "written replies need one: name a model for conversations, or suites "
                          "that are scored by likelihood"
                        : "leave out --chat");
    });
    if (options.has("reasoning") && chatFormatFor(model->tokenizer())->name() != "harmony")
        note("warning: this model's format states no reasoning effort: --reasoning has no effect");
    const ModelSpec& spec = model->spec();
    RunFacts facts;
    facts.kind = "eval";
    facts.command = invocation.commandLine;
    facts.model = modelFacts(*model);
    facts.settings = backendFacts(*model, options);
    facts.settings.update({{"suites", options.get<std::string>("suite")},
                           {"limit", options.get<std::int64_t>("limit")},
                           {"seed", options.get<std::uint64_t>("seed")},
                           {"chat", options.isSet("chat")},
                           {"answers", answersOf(suites)},
                           {"reasoning", options.get<std::string>("reasoning")}});
    facts.synthetic = spec.synthetic;
    facts.routing = routingOptions(spec);
    if (facts.routing) facts.routing->interleaved = true;

    EngineModelOptions engine;
    engine.maxContext = options.get<int>("context");
    engine.reasoning = reasoning;
    engine.sampling.temperature = options.get<double>("temperature");
    engine.sampling.topP = options.get<double>("top-p");
    engine.sampling.seed = options.get<std::uint64_t>("seed");
    engine.maxReplyTokens = options.get<int>("tokens");
    engine.parallelReplies = options.get<int>("parallel");
    engine.extraIdentity = {{"numerics", options.get<std::string>("numerics")},
                            {"backend", options.get<std::string>("backend")},
                            {"reasoning", options.get<std::string>("reasoning")}};
    engine.scores = std::any_of(suites.begin(), suites.end(),
                                [](const SuiteData& data) { return !data.replies; });
    if (replies) {
        const nlohmann::json drawn = {{"reply_tokens", engine.maxReplyTokens},
                                      {"temperature", engine.sampling.temperature},
                                      {"top_p", engine.sampling.topP}};
        engine.extraIdentity.update(drawn);
        facts.settings.update(drawn);
    }
    EngineModel languageModel(*model, engine);
    languageModel.setStop(invocation.stop);
    if (replies) noteFullContext(options, languageModel.maxContext(), 1);
    facts.settings["context"] = languageModel.maxContext();  // what the model has of --context
    EvalOptions eval;
    eval.seed = options.get<std::uint64_t>("seed");
    eval.chat = options.isSet("chat");
    eval.stop = invocation.stop;
    if (prior) requireResumable(suites, languageModel, eval, *prior);

    RunRecorder recorder(out, facts, resume ? RunWriter::Mode::Resume : RunWriter::Mode::Create,
                         options.isSet("overwrite"));
    std::vector<SuiteResult> results;
    std::string reached;  // of the suite that is being evaluated
    try {
        recorder.record([&] {
            languageModel.observe(options.isSet("trace") ? recorder.trace() : nullptr,
                                  recorder.routing());
            if (recorder.routingRecorder() != nullptr)
                eval.takeRouting = [&](std::int64_t sequence) {
                    return recorder.routingRecorder()->drain(sequence);
                };
            std::string current;
            std::optional<Progress> progress;
            eval.progress = [&](const EvalProgress& p) {
                if (current != p.suite) {
                    current = p.suite;
                    progress.emplace(style, "eval " + current, "items");
                }
                reached = formatCount(p.done) + " of " + formatCounted(p.total, "item") + " of " +
                          current;
                progress->setResumed(static_cast<std::uint64_t>(p.resumed));
                progress->update(static_cast<std::uint64_t>(p.done),
                                 static_cast<std::uint64_t>(p.total));
            };
            results = evaluate(std::move(suites), languageModel, recorder.writer(), eval,
                               prior ? &*prior : nullptr);
        });
    } catch (const Interrupted& e) {
        throw Interrupted(std::string(e.what()) + (reached.empty() ? "" : " after " + reached),
                          "what was scored is kept in " + out.string() +
                              "; the same command with --resume continues it");
    }

    if (options.isSet("json")) {
        nlohmann::json list = nlohmann::json::array();
        for (const SuiteResult& result : results) {
            nlohmann::json metrics = nlohmann::json::array();
            for (const MetricRow& m : result.metrics) metrics.push_back(metricJson(m));
            list.push_back({{"suite", result.suite.name},
                            {"items", result.scored},
                            {"resumed", result.resumed},
                            {"too_long", result.tooLong},
                            {"tokens", result.tokens},
                            {"metrics", std::move(metrics)}});
        }
        printJson(
            "eval",
            {{"run", out.string()}, {"synthetic", spec.synthetic}, {"suites", std::move(list)}});
    } else {
        printResults(results, spec.synthetic);
    }
    const bool none = std::all_of(results.begin(), results.end(),
                                  [](const SuiteResult& result) { return result.scored == 0; });
    if (none)
        throw Error("none of the items fits the context of " +
                        std::to_string(languageModel.maxContext()) + " tokens: nothing was scored",
                    "give a larger --context");
    return kDone;
}

}  // namespace moescope::cli
