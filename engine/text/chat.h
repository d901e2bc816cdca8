// SPDX-License-Identifier: Apache-2.0
// Conversations to tokens and back: harmony (gpt-oss) and ChatML.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/types.h"
#include "engine/text/tokenizer.h"

namespace moescope {

enum class Role : std::uint8_t { System, Developer, User, Assistant, Tool };

struct ChatMessage {
    Role role = Role::User;
    std::string content;
    std::string channel;      ///< harmony: "analysis", "commentary", "final"; empty otherwise
    std::string name;         ///< tool name for Role::Tool ("functions.get_weather")
    std::string recipient;    ///< harmony "to=..."
    std::string contentType;  ///< harmony "<|constrain|>json"
};

struct ChatOptions {
    ReasoningEffort reasoning = ReasoningEffort::Medium;
    std::string currentDate;  ///< "2025-08-06"; empty leaves the line out
    std::string
        forcedChannel;  ///< "final": end the prompt inside that channel (log-likelihood scoring)
    bool generationPrompt = true;
};

/// Incremental parser of what the model generates.
class ReplyParser {
public:
    virtual ~ReplyParser() = default;
    /// Feeds one token; returns the message-content bytes it completed (valid UTF-8, held back
    /// while a character is incomplete), with `channel()` saying where they belong.
    virtual std::string feed(TokenId token) = 0;
    virtual const std::string& channel() const noexcept = 0;
    virtual bool finished() const noexcept = 0;  ///< a stop token was seen
    /// Flushes held bytes (invalid UTF-8 becomes U+FFFD) and returns all messages so far.
    virtual std::vector<ChatMessage> finish() = 0;
};

class ChatFormat {
public:
    virtual ~ChatFormat() = default;
    virtual std::string_view name() const noexcept = 0;  ///< "harmony", "chatml", "plain"
    /// Message contents are encoded with SpecialTokens::AsText: user text cannot inject control
    /// tokens.
    virtual std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                        const ChatOptions& options) const = 0;
    virtual const std::vector<TokenId>& stopTokens() const noexcept = 0;
    virtual std::unique_ptr<ReplyParser> newParser(const ChatOptions& options) const = 0;
};

/// Chosen by special tokens and chat template of `tokenizer` (which must outlive the result).
/// Null when the checkpoint carries no template; Error, naming it, when it carries an unknown one.
std::unique_ptr<ChatFormat> chatFormatFor(const Tokenizer& tokenizer);

}  // namespace moescope
