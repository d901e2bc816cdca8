// SPDX-License-Identifier: Apache-2.0
// What the formats that follow a Jinja template share: turns, the writer of prompts, refusals.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/chat.h"

namespace moescope::text {

/// A message as templates see it: the assistant's reasoning, content and calls are one.
struct ChatTurn {
    Role role = Role::User;  ///< never Developer: templates know one kind of instructions
    std::string content;
    std::optional<std::string> reasoning;
    std::vector<const ChatMessage*> calls;  ///< into the messages given
};
std::vector<ChatTurn> turnsOf(std::span<const ChatMessage> messages);

/// Template name of a role: "system", "user", "assistant", "tool".
std::string_view roleName(Role role);
/// "functions.get_weather" -> "get_weather".
std::string_view functionName(const ChatMessage& call);
/// As Jinja's `tojson` in transformers prints it: json.dumps(value, ensure_ascii=False).
std::string templateJson(const nlohmann::ordered_json& value);
/// {"type": "function", "function": {...}}, as it was given.
nlohmann::ordered_json toolJson(const ToolFunction& function);

/// The control token of that name; Error saying that `format` needs it.
TokenId needToken(const Tokenizer& tokenizer, std::string_view name, std::string_view format);
/// What ends a reply: `end` and the tokenizer's own end-of-text tokens.
std::vector<TokenId> stopTokensWith(const Tokenizer& tokenizer, std::optional<TokenId> end);

/// What a format offers beyond text; `refuseUnsupported` throws Error for options beyond it.
struct FormatAbilities {
    bool tools = false;
    bool builtinTools = false;
    bool thinkingSwitch = false;
    bool alwaysThinks = false;
};
void refuseUnsupported(std::string_view format, const FormatAbilities& abilities,
                       const ChatOptions& options);
/// Error when the assistant calls a tool or a tool answers.
void refuseToolTurns(std::string_view format, const std::vector<ChatTurn>& turns);

/// Text between two control tokens is encoded in one piece, as encoding the rendered template does:
/// tokens merge across the border of role and content.
class PromptWriter {
public:
    explicit PromptWriter(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    PromptWriter& token(TokenId id) {
        flush();
        out_.push_back(id);
        return *this;
    }
    PromptWriter& text(std::string_view plain) {
        pending_ += plain;
        return *this;
    }
    std::vector<TokenId> take() {
        flush();
        return std::move(out_);
    }

private:
    void flush() {
        const auto ids = out_.empty() ? tokenizer_.encode(pending_, SpecialTokens::AsText)
                                      : tokenizer_.encodeAfterSpecial(pending_);
        out_.insert(out_.end(), ids.begin(), ids.end());
        pending_.clear();
    }

    const Tokenizer& tokenizer_;
    std::vector<TokenId> out_;
    std::string pending_;
};

}  // namespace moescope::text
