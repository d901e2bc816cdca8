// SPDX-License-Identifier: Apache-2.0
// Harmony, the conversation format of gpt-oss: the reading side.
#pragma once

#include <string>
#include <vector>

#include "engine/text/chat.h"
#include "engine/text/reply_text.h"

namespace moescope::text {

/// Ids of the control tokens, looked up by name in the tokenizer at hand.
struct HarmonyTokens {
    TokenId start, end, message, channel;
    TokenId finish;  ///< <|return|>
    TokenId call, constrain;
};

/// Takes any sequence of tokens, never an error. A new <|start|> or <|channel|> inside a message
/// ends that message, so that reasoning of a model that forgot <|end|> does not run into its
/// answer. Text outside of any message, and a header that never gets to its <|message|>, become
/// messages without a channel: they come in one piece, when it is known that they are no header.
class HarmonyParser final : public ReplyParser {
public:
    /// `tokenizer` must outlive the parser. The stream is taken to begin where the prompt that
    /// `options` makes ends.
    HarmonyParser(const Tokenizer& tokenizer, const HarmonyTokens& tokens,
                  const ChatOptions& options);

    std::string feed(TokenId token) override;
    const std::string& channel() const noexcept override { return channel_; }
    std::size_t message() const noexcept override { return message_; }
    bool finished() const noexcept override { return finished_; }
    std::vector<ChatMessage> finish() override;

private:
    enum class State : std::uint8_t { Between, Author, Channel, Constrain, Content };

    std::string feedControl(TokenId token);
    bool ends(TokenId token) const noexcept;
    void openHeader(State state);
    void openContent();
    std::string close();
    std::string keepText(std::string text);
    std::string strayAuthor();
    void takeWords(const std::string& words, bool channelPart);

    const Tokenizer& tokenizer_;
    HarmonyTokens tokens_;
    State state_ = State::Between;
    std::string author_, channelPart_, constrainPart_;  // the header so far
    bool constrained_ = false;
    bool promptNamedAuthor_ = false;  // it is the assistant; author_ holds what follows that word
    ChatMessage current_;
    std::string channel_;
    std::size_t message_ = 0;
    ReplyText text_;
    std::vector<ChatMessage> messages_;
    bool finished_ = false;
};

}  // namespace moescope::text
