// SPDX-License-Identifier: Apache-2.0
// moescope generate: continues a text or answers a message, streaming to stdout; or a file of them.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/generate_file.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/prompting.h"
#include "cli/replies.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "reports/numbers.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

void addOptions(Options& options) {
    options.positional("model", 1, "a file, folder or name");
    options.add("prompt,p", po::value<std::string>()->value_name("TEXT"), "continue this text");
    options.add("chat", po::value<std::string>()->value_name("TEXT"),
                "answer this message, through the model's chat template");
    options.add(
        "messages", po::value<std::string>()->value_name("F.json"),
        "go on with this conversation: a list of {\"role\", \"content\"}, or a request with "
        "\"messages\" and \"tools\"");
    addGenerateFileOptions(options);
    addChatOptions(options);
    options.flag("show-reasoning", "print the analysis channel too, on stderr");
    options.add("context", po::value<int>()->value_name("N"),
                "tokens of context; default: what is needed, at most the model's");
    options.flag("json", "print one JSON document when done");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addSamplingOptions(options, 256);
    addModelOptions(options);
}

Prompt promptOf(const Options& options, const Tokenizer& tokenizer, const ChatSettings& chat) {
    if (options.has("chat")) return chatPrompt(tokenizer, options.get<std::string>("chat"), chat);
    if (options.has("messages"))
        return conversationPrompt(tokenizer, options.get<std::string>("messages"), chat);
    return plainPrompt(tokenizer, options.get<std::string>("prompt"));
}

/// Bytes to a stream as they are, or, where it is a terminal, which would obey control characters
/// of a model, as visibleText.
class Output {
public:
    explicit Output(std::FILE* to) : to_(to), terminal_(isTerminal(to)) {}
    bool write(std::string_view bytes) { return terminal_ ? put(visible_.add(bytes)) : put(bytes); }
    bool finish() { return put(visible_.finish()); }

private:
    bool put(std::string_view bytes) const {
        std::fwrite(bytes.data(), 1, bytes.size(), to_);
        return std::fflush(to_) == 0;
    }

    std::FILE* to_;
    bool terminal_;
    VisibleStream visible_;
};

/// Prints content as it arrives: answers on stdout, other channels on stderr when asked.
class Streamer {
public:
    Streamer(const Tokenizer& tokenizer, const Prompt& prompt, std::vector<TokenId> stopTokens,
             bool print, bool showReasoning)
        : tokenizer_(tokenizer),
          parser_(prompt.chat ? prompt.chat->newParser(prompt.chatOptions) : nullptr),
          stopTokens_(std::move(stopTokens)),
          print_(print),
          showReasoning_(showReasoning) {}

    bool feed(TokenId token) {
        if (parser_ == nullptr) {
            const bool stop =
                std::find(stopTokens_.begin(), stopTokens_.end(), token) != stopTokens_.end();
            if (!stop) answer(tokenizer_.bytes(token));
            return true;
        }
        const std::string piece = parser_->feed(token);
        if (piece.empty()) return true;
        if (isAnswer(parser_->channel())) {
            if (beginsAnother(answers_)) answer(kBetweenMessages);
            answer(piece);
        } else if (showReasoning_) {
            if (beginsAnother(others_)) stderr_.write(kBetweenMessages);
            stderr_.write(piece);
        }
        return true;  // what ends a message is among the stop tokens, and says so
    }

    /// All messages; prints what of the answer was held back so far.
    std::vector<ChatMessage> finish() {
        std::vector<ChatMessage> messages;
        if (parser_ != nullptr) {
            messages = parser_->finish();
            const std::string whole = answerOf(messages);
            if (whole.starts_with(text_)) answer(std::string_view(whole).substr(text_.size()));
        }
        if (!stdout_.finish()) throw cannotWrite();
        stderr_.finish();
        return messages;
    }
    const std::string& text() const { return text_; }

private:
    /// Whether the message that is being read is another than the one written last.
    bool beginsAnother(std::optional<std::size_t>& written) const {
        const bool another = written && written != parser_->message();
        written = parser_->message();
        return another;
    }

    void answer(std::string_view bytes) {
        text_ += bytes;
        if (print_ && !bytes.empty() && !stdout_.write(bytes)) throw cannotWrite();
    }

    static Error cannotWrite() {
        return Error("standard output: cannot write the answer (disk full or pipe closed?)");
    }

    const Tokenizer& tokenizer_;
    std::unique_ptr<ReplyParser> parser_;
    std::vector<TokenId> stopTokens_;
    bool print_, showReasoning_;
    std::string text_;
    std::optional<std::size_t> answers_, others_;  ///< the message written last
    Output stdout_{stdout}, stderr_{stderr};
};

/// Nobody runs the tools here: the caller must know what the model asks for.
void noteCalls(const std::vector<ChatMessage>& messages) {
    for (const ChatMessage& m : messages)
        if (!m.recipient.empty()) note("call of " + m.recipient + ": " + m.content);
}

/// A speed that nothing was measured of is left out.
std::string atSpeed(double tokensPerSecond) {
    return tokensPerSecond > 0 ? " at " + formatRate(tokensPerSecond) + " tok/s" : "";
}

std::string closingLine(const Generation& result) {
    return formatCounted(result.promptTokens, "prompt token") +
           atSpeed(result.prefillTokensPerSecond()) + ", " +
           formatCount(static_cast<std::int64_t>(result.tokens.size())) + " generated" +
           atSpeed(result.decodeTokensPerSecond()) + ", ended by " +
           std::string(finishReasonName(result.reason)) + ", logits hash " +
           hashText(result.logitsHash);
}

}  // namespace

int runGenerate(const Invocation& invocation) {
    Options options("generate");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    if (options.has("prompt") + options.has("chat") + options.has("messages") +
            options.has("input") !=
        1)
        throw UsageError("'generate' needs one of --prompt, --chat, --messages and --input");
    if (!options.has("input"))
        options.refuse({"output", "parallel", "resume", "overwrite"},
                       "goes with --input; one answer goes to standard output");
    if (options.has("prompt"))
        options.refuse({"show-reasoning"}, "goes with chats, and --prompt is plain text");
    if (options.get<int>("tokens") <= 0) throw UsageError("-n takes a positive number of tokens");
    Sampler check(samplingOptions(options));  // refuses nonsense before a model is loaded
    if (options.has("input")) return runGenerateFile(invocation, options);
    const ChatSettings chat = chatSettings(options);
    GenerateOptions generation;
    generation.sampling = samplingOptions(options);
    generation.maxTokens = options.get<int>("tokens");
    parseProgressStyle(options.get<std::string>("progress"));

    Prompt prompt;
    int context = 0;
    const auto model = loadModel(
        options.get<std::vector<std::string>>("model").front(), options, [&](const Model& opened) {
            prompt = promptOf(options, opened.tokenizer(), chat);
            context = contextToGenerate(opened, options, prompt.tokens.size());
        });
    noteFullContext(options, context, prompt.tokens.size());
    const Tokenizer& tokenizer = model->tokenizer();
    generation.stopTokens = stopTokens(options, prompt);
    Session session(*model, context);
    session.setStop(invocation.stop);
    session.beginSequence(0);

    const bool json = options.isSet("json");
    Streamer streamer(tokenizer, prompt, generation.stopTokens, !json,
                      options.isSet("show-reasoning"));
    const Generation result = generate(session, prompt.tokens, generation,
                                       [&](TokenId token) { return streamer.feed(token); });
    const std::vector<ChatMessage> messages = streamer.finish();

    if (json) {
        printJson("generate", {{"model", modelFacts(*model)},
                               {"settings", backendFacts(*model, options)},
                               {"text", toValidUtf8(streamer.text())},
                               {"messages", messagesJson(messages)},
                               {"tokens", result.tokens},
                               {"prompt_tokens", result.promptTokens},
                               {"finish_reason", std::string(finishReasonName(result.reason))},
                               {"time_to_first_token_ns", result.firstTokenNs},
                               {"prefill_tokens_per_second", result.prefillTokensPerSecond()},
                               {"decode_tokens_per_second", result.decodeTokensPerSecond()},
                               {"logits_hash", hashText(result.logitsHash)}});
    } else {
        std::cout << '\n' << std::flush;  // both may go to one file, and the note comes behind
        noteCalls(messages);
        note(closingLine(result));
    }
    if (result.reason == FinishReason::Interrupted)
        throw Interrupted("interrupted", streamer.text().empty() ? "" : "the text so far is above");
    return kDone;
}

}  // namespace moescope::cli
