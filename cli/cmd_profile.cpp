// SPDX-License-Identifier: Apache-2.0
// moescope profile: runs prompts with every operation timed and every routing decision recorded.
#include <algorithm>
#include <iostream>
#include <optional>

#include "cli/analysis_text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/device_options.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/prompting.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "profiler/analysis/run_analysis.h"
#include "profiler/record/run_recorder.h"
#include "reports/analysis_json.h"
#include "reports/report.h"

namespace moescope::cli {
namespace {

struct Job {
    std::string place;  ///< "F.jsonl: line 3: ", before an error; empty for an option
    std::string label, group;
    Prompt prompt;
};

void addOptions(Options& options) {
    options.positional("model", 1, "a file, folder or name");
    options.add("prompt,p", po::value<std::string>()->value_name("TEXT"), "continue this text");
    options.add("chat", po::value<std::string>()->value_name("TEXT"),
                "answer this message, through the model's chat template");
    options.add(
        "workload,w", po::value<std::string>()->value_name("F.jsonl"),
        "one {\"id\", \"text\" or \"chat\" or \"tokens\", optional \"group\"} a line; \"chat\" is "
        "a message or a list of {\"role\", \"content\"}");
    options.flag("routing-tokens",
                 "keep the experts and gate weights of every token, not only counts");
    options.add("context", po::value<int>()->value_name("N"),
                "tokens of context; default: what is needed");
    options.add("out,o", po::value<std::string>()->value_name("RUN"), "run file to write");
    options.flag("overwrite", "replace an existing run file");
    options.flag("no-warmup",
                 "measure from the first step on; without this the beginning of the first text is "
                 "evaluated once before");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addChatOptions(options);
    addSamplingOptions(options, 64);
    addModelOptions(options);
    addDeviceOptions(options);
    options.epilog(
        "-n 0 evaluates the given texts and generates nothing. With \"group\" (domain, language) "
        "in "
        "the workload\n'moescope routing' tells whether the groups use different experts.");
}

struct Jobs {
    std::vector<Job> list;
    int context = 1;  ///< that the longest needs, what it generates included
    Sha256 texts;     ///< of the prompts as given, which are the same for every tokenizer
};

Jobs readJobs(const Model& model, const Options& options, const ChatSettings& settings) {
    const auto needed = [&]() -> const Tokenizer& {
        if (!model.hasTokenizer())
            throw Error("the checkpoint carries no tokenizer",
                        "give \"tokens\" in a workload file");
        return model.tokenizer();
    };
    Jobs jobs;
    const auto add = [&](Job&& job, const char* kind, const nlohmann::json& given) {
        nlohmann::json text{{kind, given}};
        if (!settings.system.empty()) text["system"] = settings.system;
        jobs.texts.update(dumpJson(text) + '\n');
        const auto length = static_cast<std::int64_t>(job.prompt.tokens.size());
        const int generated = options.get<int>("tokens");  // the last of them is not evaluated
        jobs.context =
            std::max(jobs.context, contextFor(model, options, length + std::max(generated - 1, 0)));
        jobs.list.push_back(std::move(job));
    };
    if (options.has("prompt"))
        add({"", "prompt", "", plainPrompt(needed(), options.get<std::string>("prompt"))}, "text",
            options.get<std::string>("prompt"));
    if (options.has("chat"))
        add({"", "chat", "", chatPrompt(needed(), options.get<std::string>("chat"), settings)},
            "chat", options.get<std::string>("chat"));
    if (options.has("workload")) {
        const std::string workload = options.get<std::string>("workload");
        const auto read = [&](const JsonLine& line, std::size_t number) {
            Job job;
            job.place = lineName(workload, number) + ": ";
            job.label = idField(line, number);
            if (line.contains("group")) job.group = textField(line, "group");
            if (line.contains("chat") + line.contains("tokens") + line.contains("text") != 1)
                throw Error("give \"text\", \"chat\" or \"tokens\"");
            const char* kind = line.contains("chat")     ? "chat"
                               : line.contains("tokens") ? "tokens"
                                                         : "text";
            if (line.contains("chat"))
                job.prompt = chatPrompt(needed(), line.at("chat"), settings);
            else if (line.contains("tokens"))
                job.prompt.tokens = tokensField(line, "tokens");
            else
                job.prompt = plainPrompt(needed(), textField(line, "text"));
            if (job.prompt.tokens.empty()) throw Error("the prompt is empty");
            requireTokens(model.spec(), job.prompt.tokens);
            add(std::move(job), kind, line.at(kind));
        };
        readJsonLines(workload, {"id", "group", "text", "chat", "tokens"}, read);
    }
    return jobs;
}

/// The prompt alone: how given texts are routed, without any text of the model's own.
Generation evaluate(Session& session, const std::vector<TokenId>& prompt) {
    Generation result;
    result.promptTokens = static_cast<int>(prompt.size());
    try {
        result.logitsHash = logitsHash(session.append(prompt, StepKind::Prefill));
    } catch (const Interrupted&) {
        result.reason = FinishReason::Interrupted;
    }
    return result;
}

/// Errors of a workload's line name it; those of the options do not.
Generation evaluate(Session& session, const Job& job, const GenerateOptions& options,
                    const TokenCallback& onToken) {
    try {
        return options.maxTokens > 0 ? generate(session, job.prompt.tokens, options, onToken)
                                     : evaluate(session, job.prompt.tokens);
    } catch (const Interrupted&) {
        throw;
    } catch (const UsageError&) {
        throw;  // of the options, whatever the line
    } catch (const Error& e) {
        throw Error(job.place + e.what(), e.hint());
    }
}

/// Rows of one finished sequence: its label and the text of its tokens.
std::vector<AnyRow> sequenceRows(std::int64_t id, const Job& job, const Generation& result,
                                 const Tokenizer* tokenizer) {
    std::vector<AnyRow> rows;
    SequenceRow sequence;
    sequence.id = id;
    sequence.label = job.label;
    sequence.group = job.group;
    sequence.promptTokens = static_cast<std::int64_t>(job.prompt.tokens.size());
    sequence.generatedTokens = static_cast<std::int64_t>(result.tokens.size());
    rows.emplace_back(std::move(sequence));
    std::int64_t position = 0;
    const auto add = [&](TokenId token, bool prompt) {
        TokenRow row;
        row.sequence = id;
        row.position = position++;
        row.token = token;
        row.prompt = prompt;
        if (tokenizer != nullptr) row.text = std::string(tokenizer->bytes(token));
        rows.emplace_back(std::move(row));
    };
    for (const TokenId token : job.prompt.tokens) add(token, true);
    for (const TokenId token : result.tokens) add(token, false);
    return rows;
}

void addMemory(RunWriter& writer, const Model& model, const Session& session) {
    writer.add(MemoryRow{"model_file", static_cast<std::int64_t>(model.checkpoint().fileBytes())});
    const int batch = std::min(session.maxContext(), model.backend().preferredBatch());
    const std::uint64_t bytes = model.backend().stateBytes(session.maxContext(), batch) +
                                model.backend().cacheBytes({session.maxContext(), batch});
    writer.add(MemoryRow{"session_state", static_cast<std::int64_t>(bytes)});
}

}  // namespace

int runProfile(const Invocation& invocation) {
    Options options("profile");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    if (options.has("prompt") + options.has("chat") + options.has("workload") != 1) {
        throw UsageError("'profile' needs one of --prompt, --chat and --workload");
    }
    if (!options.has("out")) throw UsageError("'profile' needs --out RUN");
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    GenerateOptions generation;
    generation.sampling = samplingOptions(options);
    generation.maxTokens = options.get<int>("tokens");
    if (generation.maxTokens < 0) throw UsageError("-n takes a number of tokens, 0 or more");
    Sampler check(generation.sampling);  // refuses nonsense before a model is loaded
    const ChatSettings chat = chatSettings(options);
    const std::filesystem::path out = options.get<std::string>("out");
    requireFreshOutput(out, options.isSet("overwrite"));

    const auto device = startDevice(options);  // outlives the recorder, precedes the model
    Jobs read;
    const auto model =
        loadModel(options.get<std::vector<std::string>>("model").front(), options,
                  [&](const Model& opened) { read = readJobs(opened, options, chat); });
    const auto counters = startCounters(options);
    const ModelSpec& spec = model->spec();
    const Tokenizer* tokenizer = model->hasTokenizer() ? &model->tokenizer() : nullptr;
    const std::vector<Job>& jobs = read.list;
    const int context = read.context;

    RunFacts facts;
    facts.kind = "profile";
    facts.command = invocation.commandLine;
    facts.model = modelFacts(*model);
    facts.settings = backendFacts(*model, options);
    facts.settings.update({{"context", context},
                           {"max_tokens", generation.maxTokens},
                           {"temperature", generation.sampling.temperature},
                           {"top_k", generation.sampling.topK},
                           {"top_p", generation.sampling.topP},
                           {"min_p", generation.sampling.minP},
                           {"seed", generation.sampling.seed},
                           {"sequences", jobs.size()},
                           {"warmup", !options.isSet("no-warmup")},
                           {"texts_sha256", read.texts.hex()}});
    facts.synthetic = spec.synthetic;
    facts.routing = routingOptions(spec);
    if (facts.routing)
        facts.routing->perToken = facts.routing->weights = options.isSet("routing-tokens");
    // What the host can do is no ceiling of a device.
    if (model->backend().deviceMemory().total == 0)
        facts.bandwidthThreads = model->backend().threads();
    RunRecorder recorder(out, facts, RunWriter::Mode::Create, options.isSet("overwrite"));

    recorder.record([&] {
        Session session(*model, context);
        session.setStop(invocation.stop);
        try {
            if (!options.isSet("no-warmup")) session.warmUp(jobs.front().prompt.tokens);
        } catch (const Interrupted&) {
            throw Interrupted("interrupted before anything was measured",
                              out.string() + " holds no step");
        }
        // What ran until here is not part of the run.
        if (device) recorder.setDevice(*device);
        if (counters && counters->session) recorder.setCounters(*counters->session);
        if (counters && counters->sampling) recorder.setSampling(*counters->sampling);
        session.setTrace(recorder.trace());
        session.setRouting(recorder.routing());
        session.setLaunches(recorder.launches());
        addMemory(recorder.writer(), *model, session);
        const bool generates = generation.maxTokens > 0;
        Progress progress(style, "profile", generates ? "tokens" : "texts");
        const std::uint64_t share = static_cast<std::uint64_t>(std::max(generation.maxTokens, 1));
        const std::uint64_t total = static_cast<std::uint64_t>(jobs.size()) * share;
        std::uint64_t done = 0;
        std::uint64_t hash = 0;
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            const auto id = static_cast<std::int64_t>(i);
            session.beginSequence(id);
            generation.stopTokens = stopTokens(options, jobs[i].prompt);
            const std::uint64_t before = done;
            const auto onToken = [&](TokenId) {
                progress.update(++done, total, jobs[i].label);
                return true;
            };
            const Generation result = evaluate(session, jobs[i], generation, onToken);
            done = before + share;
            progress.update(done, total, jobs[i].label);
            hash = hash * 0x100000001b3ULL ^ result.logitsHash;
            recorder.writer().add(sequenceRows(id, jobs[i], result, tokenizer));
            if (result.reason == FinishReason::Interrupted)
                throw Interrupted("interrupted in sequence " + std::to_string(i + 1) + " of " +
                                      std::to_string(jobs.size()),
                                  "what was measured so far is kept in " + out.string());
        }
        progress.update(total, total);
        recorder.writer().setMeta("logits_hash", hashText(hash));
    });

    const AnalysedRun run = analyse(RunReader(out));
    const RunSummary& summary = run.summary;
    if (options.isSet("json")) {
        printJson("profile",
                  {{"run", out.string()},
                   {"quality", qualityJson(run.analysis.quality)},
                   {"synthetic", spec.synthetic},
                   {"prefill_tokens_per_second", summary.prefill.tokensPerSecond},
                   {"decode_tokens_per_second", summary.decode.tokensPerSecond},
                   {"ttft_ns", summary.ttftNs},
                   {"operation_share",
                    {{"prefill", summary.prefill.operationShare},
                     {"decode", summary.decode.operationShare}}},
                   {"logits_hash",
                    summary.meta.count("logits_hash") > 0 ? summary.meta.at("logits_hash") : ""}});
    } else {
        constexpr std::size_t kRows = 12;
        std::cout << qualityText(run.analysis.quality) << '\n';
        for (const std::string& line : summaryLines(summary)) std::cout << line << '\n';
        std::cout << '\n'
                  << operationTableText(groupOperations(run.kernels(), GroupBy::Kernel), run.steps,
                                        run.analysis.roofline.ceilings, kRows)
                  << '\n'
                  << timeText(run.analysis.time) << '\n'
                  << "more: moescope kernels " << out.string() << '\n'
                  << "run file: " << out.string() << '\n';
    }
    return kDone;
}

}  // namespace moescope::cli
