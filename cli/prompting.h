// SPDX-License-Identifier: Apache-2.0
// From --prompt, --chat and --messages to tokens, and the sampling options that go with them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/run/generate.h"
#include "engine/text/chat.h"

namespace moescope::cli {

/// --temperature, --top-p, --top-k, --min-p, --seed, --ignore-stop, -n.
void addSamplingOptions(Options& options, int defaultTokens);
SamplingOptions samplingOptions(const Options& options);

/// "low", "medium", "high"; UsageError otherwise.
ReasoningEffort parseReasoning(const std::string& text);

/// What is evaluated, and what ends the answer.
struct Prompt {
    std::vector<TokenId> tokens;
    std::vector<TokenId> stopTokens;
    std::unique_ptr<ChatFormat> chat;  ///< null for plain text
    ChatOptions chatOptions;
};

/// What ends the generation: the prompt's stop tokens; none with --ignore-stop.
std::vector<TokenId> stopTokens(const Options& options, const Prompt& prompt);

/// Plain text with the model's beginning-of-sequence token where it wants one. An empty prompt
/// starts from that token; Error when the model has none.
Prompt plainPrompt(const Tokenizer& tokenizer, const std::string& text);

/// --system, --reasoning, --thinking, --tools, --builtin-tools, --date, --chat-format.
void addChatOptions(Options& options);

/// How conversations are put to the model.
struct ChatSettings {
    std::string system;  ///< instructions before the message; empty: none
    std::string format;  ///< name of a chat format; empty: the model's own
    ChatOptions options;
};
/// UsageError for values that are not known, and for any of them beside --prompt, which has no use
/// for it; Error for a file that cannot be read.
ChatSettings chatSettings(const Options& options);

/// One user message. Error when the model has no chat template.
Prompt chatPrompt(const Tokenizer& tokenizer, const std::string& message,
                  const ChatSettings& settings);

/// "chat" of an input line: a text as above, or the messages of a conversation, with the system's
/// among them. Error naming the message and the field.
Prompt chatPrompt(const Tokenizer& tokenizer, const nlohmann::ordered_json& chat,
                  const ChatSettings& settings);

/// A conversation as OpenAI's chat completions write it: a JSON list of messages, or an object with
/// "messages" and perhaps "tools". Error naming the file, the message and the field.
Prompt conversationPrompt(const Tokenizer& tokenizer, const std::filesystem::path& file,
                          const ChatSettings& settings);

}  // namespace moescope::cli
