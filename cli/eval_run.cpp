// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "cli/eval_run.h"

#include <algorithm>
#include <utility>

#include "cli/lists.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/prompting.h"
#include "engine/core/error.h"
#include "profiler/runfile/run_reader.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

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

bool isThere(const std::filesystem::path& path) {
    std::error_code absent;
    return std::filesystem::exists(path, absent);
}

std::vector<std::string> effortsOf(const Options& options) {
    const std::string text = options.get<std::string>("reasoning");
    std::vector<std::string> efforts = splitList(text);
    if (efforts.empty()) parseReasoning(text);  // throws
    for (auto effort = efforts.begin(); effort != efforts.end(); ++effort) {
        parseReasoning(*effort);
        if (std::find(efforts.begin(), effort, *effort) != effort)
            throw UsageError("--reasoning names '" + *effort + "' twice");
    }
    if (efforts.size() > 1 && !options.isSet("generate"))
        throw UsageError("--reasoning takes several efforts with --generate only");
    return efforts;
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

bool anyReplies(const std::vector<SuiteData>& suites) {
    return std::any_of(suites.begin(), suites.end(),
                       [](const SuiteData& data) { return data.replies; });
}

constexpr char kRoutingTokens[] = "routing_tokens";  ///< key of the run's settings

RunFacts factsOf(const Invocation& invocation, const Options& options, const EvalRunPlan& plan,
                 const std::vector<SuiteData>& suites, const Model& model) {
    RunFacts facts;
    facts.kind = "eval";
    facts.command = invocation.commandLine;
    facts.model = modelFacts(model);
    facts.settings = backendFacts(model, options);
    facts.settings.update({{"suites", options.get<std::string>("suite")},
                           {"limit", options.get<std::int64_t>("limit")},
                           {"seed", options.get<std::uint64_t>("seed")},
                           {"chat", options.isSet("chat")},
                           {"answers", answersOf(suites)},
                           {"reasoning", plan.effort}});
    facts.synthetic = model.spec().synthetic;
    facts.routing = routingOptions(model.spec());
    if (facts.routing) {
        facts.routing->interleaved = true;
        facts.routing->perToken = options.isSet("routing-tokens");
    } else if (options.isSet("routing-tokens")) {
        note("this model has no experts: of --routing-tokens only the tokens are kept");
    }
    return facts;
}

}  // namespace

std::vector<EvalRunPlan> planEvalRuns(const Options& options) {
    const std::filesystem::path out = options.get<std::string>("out");
    const bool resume = options.isSet("resume"), overwrite = options.isSet("overwrite");
    if (resume && overwrite)
        throw UsageError("--resume continues a run and --overwrite discards it: give one of them");
    std::vector<EvalRunPlan> plans;
    const std::vector<std::string> efforts = effortsOf(options);
    for (const std::string& effort : efforts) {
        EvalRunPlan plan{effort, out, std::nullopt};
        if (efforts.size() > 1)
            plan.out.replace_filename(out.stem().string() + "-" + effort +
                                      out.extension().string());
        if (resume && isThere(plan.out)) plan.prior = readPriorRun(plan.out);
        plans.push_back(std::move(plan));
    }
    const bool begun = std::any_of(plans.begin(), plans.end(),
                                   [](const EvalRunPlan& plan) { return plan.prior.has_value(); });
    // A sweep is unfinished, too, where some of its runs are not there yet.
    const bool unfinishedSweep =
        plans.size() > 1 && std::any_of(plans.begin(), plans.end(), [](const EvalRunPlan& plan) {
            return unfinishedRun(plan.out) || !isThere(plan.out);
        });
    for (const EvalRunPlan& plan : plans) {
        if (plan.prior) continue;
        requireFreshOutput(plan.out, overwrite, "--out",
                           unfinishedRun(plan.out) ? "is unfinished"
                           : unfinishedSweep       ? "its sweep is unfinished"
                                                   : "");
        if (resume && !begun) noteFreshStart(plan.out.string());
    }
    return plans;
}

EvalOptions evalOptions(const Options& options) {
    EvalOptions eval;
    eval.seed = options.get<std::uint64_t>("seed");
    eval.chat = options.isSet("chat");
    eval.repeats = options.get<int>("repeats");
    eval.stop = options.stop();
    return eval;
}

EvalRun::EvalRun(const Invocation& invocation, const Options& options, EvalRunPlan plan,
                 const std::vector<SuiteData>& suites, const Model& model)
    : plan_(std::move(plan)),
      suites_(suites),
      facts_(factsOf(invocation, options, plan_, suites, model)),
      eval_(evalOptions(options)),
      overwrite_(options.isSet("overwrite")),
      trace_(options.isSet("trace")) {
    EngineModelOptions engine = engineOptions(options);
    if (anyReplies(suites)) {
        const nlohmann::json drawn = {{"reply_tokens", engine.maxReplyTokens},
                                      {"temperature", engine.sampling.temperature},
                                      {"top_p", engine.sampling.topP}};
        engine.extraIdentity.update(drawn);
        facts_.settings.update(drawn);
        facts_.settings[kRepeats] = eval_.repeats;
    }
    model_ = std::make_unique<EngineModel>(model, engine);
    model_->setStop(eval_.stop);
    if (anyReplies(suites)) noteFullContext(options, model_->maxContext(), 1);
    facts_.settings["context"] = model_->maxContext();  // what the model has of --context
    facts_.settings[kRoutingTokens] = options.isSet("routing-tokens");
}

EvalRun::~EvalRun() = default;

EngineModelOptions EvalRun::engineOptions(const Options& options) const {
    EngineModelOptions engine;
    engine.maxContext = options.get<int>("context");
    engine.reasoning = parseReasoning(plan_.effort);
    engine.sampling.temperature = options.get<double>("temperature");
    engine.sampling.topP = options.get<double>("top-p");
    engine.sampling.seed = eval_.seed;
    engine.maxReplyTokens = options.get<int>("tokens");
    engine.parallelReplies = options.get<int>("parallel");
    engine.keepTokens = options.isSet("routing-tokens");
    engine.extraIdentity = {{"numerics", options.get<std::string>("numerics")},
                            {"backend", options.get<std::string>("backend")},
                            {"reasoning", plan_.effort}};
    engine.scores = std::any_of(suites_.begin(), suites_.end(),
                                [](const SuiteData& data) { return !data.replies; });
    return engine;
}

void EvalRun::requireResumable() const {
    if (!plan_.prior) return;
    moescope::requireResumable(suites_, *model_, eval_, *plan_.prior);
    // Half of the items with tokens would be compared as if they were all.
    const nlohmann::json before = RunReader(plan_.out).metaJson("settings");
    const bool kept = before.is_object() && before.value(kRoutingTokens, nlohmann::json()) == true;
    if (kept == (facts_.settings[kRoutingTokens] == true)) return;
    throw Error(plan_.out.string() + ": was begun " + (kept ? "with" : "without") +
                    " --routing-tokens and can only be resumed so",
                "repeat the earlier command, or write a new run with another --out");
}

void EvalRun::run(ProgressStyle style, const std::string& label) {
    RunRecorder recorder(plan_.out, facts_,
                         plan_.prior ? RunWriter::Mode::Resume : RunWriter::Mode::Create,
                         overwrite_);
    std::string reached;  // of the suite that is being evaluated
    try {
        recorder.record([&] {
            model_->observe(trace_ ? recorder.trace() : nullptr, recorder.routing());
            EvalOptions eval = eval_;
            if (recorder.routingRecorder() != nullptr)
                eval.takeRouting = [&](std::int64_t sequence) {
                    return recorder.routingRecorder()->drain(sequence);
                };
            std::string current;
            std::optional<Progress> progress;
            eval.progress = [&](const EvalProgress& p) {
                if (current != p.suite) {
                    current = p.suite;
                    progress.emplace(style, "eval " + current + (label.empty() ? "" : ", " + label),
                                     std::string(p.unit));
                }
                reached = formatCount(p.done) + " of " +
                          formatCounted(p.total, p.unit == "replies" ? "reply" : "item") + " of " +
                          current;
                progress->setResumed(static_cast<std::uint64_t>(p.resumed));
                progress->update(static_cast<std::uint64_t>(p.done),
                                 static_cast<std::uint64_t>(p.total));
            };
            results_ = evaluate(suites_, *model_, recorder.writer(), eval,
                                plan_.prior ? &*plan_.prior : nullptr);
        });
    } catch (const Interrupted& e) {
        throw Interrupted(std::string(e.what()) + (reached.empty() ? "" : " after " + reached),
                          "what was scored is kept in " + plan_.out.string() +
                              "; the same command with --resume continues it");
    }
    model_->observe(nullptr, nullptr);  // the recorder ends here
}

}  // namespace moescope::cli
