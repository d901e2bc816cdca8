// SPDX-License-Identifier: Apache-2.0
// Conversations to tokens and back, in the formats models were trained on (docs/chat-formats.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/core/types.h"
#include "engine/text/tokenizer.h"

namespace moescope {

enum class Role : std::uint8_t { System, Developer, User, Assistant, Tool };

/// One message. A turn of the assistant is several in a row: reasoning, then content, then calls of
/// tools. What a format has no place for (earlier reasoning, mostly) it leaves out as its template
/// does.
struct ChatMessage {
    Role role = Role::User;
    std::string content;  ///< of a call: its arguments, as JSON text
    /// "analysis": reasoning; "commentary": calls and what is said to tools; "final" or empty: the
    /// answer. harmony's names, used by every format.
    std::string channel;
    std::string name;         ///< of Role::Tool: the tool that speaks ("functions.get_weather")
    std::string recipient;    ///< whom the message is for: of a call, "functions.get_weather"
    std::string contentType;  ///< harmony: "json", "<|constrain|>json"
};

/// A function the model may call.
struct ToolFunction {
    std::string name;                   ///< without a namespace
    std::string description;            ///< may have several lines
    nlohmann::ordered_json parameters;  ///< JSON schema of the arguments; null: it takes none
    /// {"type": "function", "function": {...}} with every member it was given with, for templates
    /// that print it; null: the members above are all.
    nlohmann::ordered_json entry = nullptr;
};

/// Tools that gpt-oss was trained with; the caller runs them.
enum class BuiltinTool : std::uint8_t { Browser, Python };

struct ChatOptions {
    ReasoningEffort reasoning = ReasoningEffort::Medium;  ///< harmony states it
    /// Qwen3's switch; unset: the format's default. Formats that always or never reason refuse what
    /// they cannot do.
    std::optional<bool> thinking = std::nullopt;
    std::string currentDate = {};  ///< "2025-08-06"; empty leaves the line out
    std::string modelIdentity = "You are ChatGPT, a large language model trained by OpenAI.";
    std::string knowledgeCutoff = "2024-06";  ///< empty leaves the line out
    std::vector<ToolFunction> functions = {};
    std::vector<BuiltinTool> builtinTools = {};  ///< harmony only
    /// "final": end the prompt where the answer begins (log-likelihood scoring); reasoning is over.
    std::string forcedChannel = {};
    bool generationPrompt = true;
    /// harmony: the channels that its system message calls valid.
    std::vector<std::string> channels = {"analysis", "commentary", "final"};
    bool keepAnalysis = false;  ///< harmony: show the reasoning of answered turns again
};

/// An answer is meant for the reader; reasoning, calls of tools and what accompanies them are not.
inline bool isAnswer(std::string_view channel) {
    return channel.empty() || channel == "final";
}
inline bool isReasoning(std::string_view channel) {
    return channel == "analysis";
}
/// Between two messages that are shown one behind the other.
inline constexpr std::string_view kBetweenMessages = "\n";
/// Of all messages that are answers, or reasoning, one behind the other.
std::string answerOf(const std::vector<ChatMessage>& messages);
std::string reasoningOf(const std::vector<ChatMessage>& messages);

/// Incremental parser of what the model generates.
class ReplyParser {
public:
    virtual ~ReplyParser() = default;
    /// Feeds one token; returns the message-content bytes it completed (valid UTF-8, held back
    /// while a character is incomplete), with `channel()` saying where they belong.
    virtual std::string feed(TokenId token) = 0;
    virtual const std::string& channel() const noexcept = 0;
    /// Place in finish() of the message that the bytes returned last belong to.
    virtual std::size_t message() const noexcept = 0;
    virtual bool finished() const noexcept = 0;  ///< a stop token was seen
    /// Flushes held bytes (invalid UTF-8 becomes U+FFFD) and returns all messages so far.
    virtual std::vector<ChatMessage> finish() = 0;
};

class ChatFormat {
public:
    virtual ~ChatFormat() = default;
    virtual std::string_view name() const noexcept = 0;  ///< a row of chatFormatNames()
    /// Message contents are encoded with SpecialTokens::AsText: user text cannot inject control
    /// tokens. Throws Error for what the format cannot express (tools, order of roles, ...).
    virtual std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                        const ChatOptions& options) const = 0;
    virtual const std::vector<TokenId>& stopTokens() const noexcept = 0;
    virtual std::unique_ptr<ReplyParser> newParser(const ChatOptions& options) const = 0;
};

/// The format of `tokenizer` (which must outlive the result), chosen by its control tokens and chat
/// template. Null when the checkpoint carries no template; Error, naming it, when it carries one
/// that is not known: a template is a program, and guessing what it prints would spoil every
/// number.
std::unique_ptr<ChatFormat> chatFormatFor(const Tokenizer& tokenizer);

/// The format of that name, whatever the template. Error when there is none, or when the tokenizer
/// lacks its control tokens.
std::unique_ptr<ChatFormat> chatFormatNamed(const Tokenizer& tokenizer, std::string_view name);
std::vector<std::string_view> chatFormatNames();

/// The template's text as its identity is taken: "\\n" escapes in it are line ends, and white space
/// that Jinja's own dashes remove is gone, as is a last line end. The output of the template is the
/// same.
std::string canonicalTemplate(std::string_view source);

/// From the JSON of OpenAI's chat completions: [{"role", "content", "tool_calls", ...}]. Also
/// accepted: "reasoning_content" (or "reasoning", "thinking") beside an assistant's content, and
/// harmony's own "channel", "recipient", "content_type". Error naming message and field.
std::vector<ChatMessage> chatMessagesFromJson(const nlohmann::ordered_json& list);
/// [{"type": "function", "function": {"name", "description", "parameters"}}], or the inner objects.
/// Further members ("strict") are kept in `entry`.
std::vector<ToolFunction> toolFunctionsFromJson(const nlohmann::ordered_json& list);

}  // namespace moescope
