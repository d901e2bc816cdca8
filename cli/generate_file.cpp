// SPDX-License-Identifier: Apache-2.0
#include "cli/generate_file.h"

#include <algorithm>

#include "cli/console.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/prompting.h"
#include "cli/replies.h"
#include "cli/result_file.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/run/generate_many.h"
#include "engine/run/sequence_error.h"

namespace moescope::cli {
namespace {

struct Item {
    std::string id;
    std::size_t line = 0;
    Prompt prompt;
};

struct Items {
    std::vector<Item> list;
    int context = 1;          ///< of the longest, its answer included as far as the model's allows
    std::size_t longest = 0;  ///< prompt, in tokens
};

Items readItems(const Model& model, const Options& options, const ChatSettings& chat) {
    const std::string input = options.get<std::string>("input");
    const Tokenizer& tokenizer = model.tokenizer();
    Items items;
    LineIds ids;
    readJsonLines(input, {"id", "prompt", "chat"}, [&](const JsonLine& line, std::size_t number) {
        Item& item = items.list.emplace_back();
        item.id = ids.next(line, number);
        item.line = number;
        const bool chatted = line.contains("chat");
        if (chatted == line.contains("prompt")) throw Error("give \"prompt\" or \"chat\"");
        item.prompt = chatted ? chatPrompt(tokenizer, line.at("chat"), chat)
                              : plainPrompt(tokenizer, textField(line, "prompt"));
        const std::size_t length = item.prompt.tokens.size();
        items.context = std::max(items.context, contextToGenerate(model, options, length));
        items.longest = std::max(items.longest, length);
    });
    return items;
}

/// Everything a result depends on; what is generated beside it is not.
nlohmann::ordered_json headerOf(const Model& model, const Options& options,
                                const std::vector<Item>& items) {
    const SamplingOptions s = samplingOptions(options);
    std::string prompts;  // as the model gets them: whatever options they come from
    for (const Item& item : items) {
        prompts += dumpJson({item.id, item.prompt.tokens, stopTokens(options, item.prompt)}) + "\n";
    }
    return {{"schema", "moescope.generate.part"},
            {"version", 2},
            {"model", model.checkpoint().identity()},
            {"back end", numericIdentity(model, options)},
            {"-n", options.get<int>("tokens")},
            {"--temperature", s.temperature},
            {"--top-k", s.topK},
            {"--top-p", s.topP},
            {"--min-p", s.minP},
            {"--seed", s.seed},
            {"--input, --ignore-stop or options of chats", sha256Hex(prompts)}};
}

nlohmann::json resultOf(const Tokenizer& tokenizer, const Item& item, const Generation& result) {
    nlohmann::json out = {{"id", item.id},
                          {"prompt_tokens", result.promptTokens},
                          {"tokens", result.tokens},
                          {"finish_reason", std::string(finishReasonName(result.reason))},
                          {"logits_hash", hashText(result.logitsHash)}};
    if (item.prompt.chat == nullptr) {
        std::vector<TokenId> text = result.tokens;
        if (result.reason == FinishReason::StopToken) text.pop_back();
        out["text"] = toValidUtf8(tokenizer.decode(text));
        return out;
    }
    const auto parser = item.prompt.chat->newParser(item.prompt.chatOptions);
    for (const TokenId token : result.tokens) parser->feed(token);
    const std::vector<ChatMessage> messages = parser->finish();
    out["text"] = toValidUtf8(answerOf(messages));
    out["messages"] = messagesJson(messages);
    return out;
}

}  // namespace

void addGenerateFileOptions(Options& options) {
    options.add(
        "input", po::value<std::string>()->value_name("F.jsonl"),
        "one {\"id\", \"prompt\" or \"chat\"} a line, generated many at a time; \"chat\" is "
        "a message or a list of {\"role\", \"content\"}");
    options.add("output", po::value<std::string>()->value_name("F.jsonl"),
                "with --input: one result a line, in the same order");
    options.add("parallel", po::value<int>()->default_value(16)->value_name("N"),
                "with --input: sequences at a time");
    options.flag("resume", "with --input: continue what was interrupted");
    options.flag("overwrite",
                 "with --input: replace an existing file; throw what is unfinished away");
}

int runGenerateFile(const Invocation& invocation, const Options& options) {
    if (!options.has("output")) throw UsageError("--input needs --output");
    options.refuse({"show-reasoning"}, "goes with one answer: --input keeps all messages");
    refuseSameFile("--output", options.get<std::string>("output"),
                   {{"--input", options.get<std::string>("input")},
                    {"model's", options.get<std::vector<std::string>>("model").front()}});
    if (options.get<int>("parallel") < 1) throw UsageError("--parallel takes 1 or more");
    const ResultFile::Mode mode = ResultFile::modeOf(options);
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    const std::string input = options.get<std::string>("input");
    const std::string output = options.get<std::string>("output");
    const ChatSettings chat = chatSettings(options);
    GenerateOptions generation;
    generation.sampling = samplingOptions(options);
    generation.maxTokens = options.get<int>("tokens");

    Items read;
    const auto model =
        loadModel(options.get<std::vector<std::string>>("model").front(), options,
                  [&](const Model& opened) { read = readItems(opened, options, chat); });
    const std::vector<Item>& items = read.list;
    noteFullContext(options, read.context, read.longest);
    ResultFile results(output, headerOf(*model, options, items), mode);
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < items.size(); ++i)
        if (!results.has(i)) missing.push_back(i);
    const int most = std::max<int>(1, static_cast<int>(missing.size()));
    BatchGenerator generator(model->backend(),
                             {read.context, std::min(options.get<int>("parallel"), most)});
    generator.setStop(invocation.stop);

    Progress progress(style, "generate", "items");
    progress.setResumed(results.count());
    if (results.count() > 0 && !results.whole()) progress.update(results.count(), items.size());
    std::size_t begun = 0;
    try {
        generator.run(
            [&]() -> std::optional<GenerateRequest> {
                if (begun == missing.size()) return std::nullopt;
                const Item& item = items[missing[begun++]];
                GenerateRequest request{item.prompt.tokens, generation,
                                        static_cast<std::int64_t>(item.line)};
                request.options.stopTokens = stopTokens(options, item.prompt);
                return request;
            },
            [&](std::size_t index, Generation&& result) {
                // Half an answer is none: the same command with --resume gives it whole.
                if (result.reason == FinishReason::Interrupted) return;
                const std::size_t i = missing[index];
                results.add(i, resultOf(model->tokenizer(), items[i], result));
                progress.update(results.count(), items.size());
            });
    } catch (const Interrupted&) {
        throw Interrupted("interrupted", results.kept());
    } catch (const SequenceError& e) {
        throw Error(lineName(input, items[missing[e.sequence()]].line) + ": " + e.what(), e.hint());
    }
    progress.finish();
    std::size_t tokens = 0;
    results.finish([&](const nlohmann::json& result) { tokens += result["tokens"].size(); });
    if (options.isSet("json"))
        printJson("generate", {{"model", modelFacts(*model)},
                               {"settings", backendFacts(*model, options)},
                               {"items", items.size()},
                               {"tokens", tokens}});
    else
        note(countText(items.size(), "item") + ", " + countText(tokens, "token"));
    return kDone;
}

}  // namespace moescope::cli
