// SPDX-License-Identifier: Apache-2.0
// State machine over the control tokens of harmony.
#include "engine/text/harmony_parser.h"

#include <algorithm>

namespace moescope::text {
namespace {

/// Calls `take` with every word between white space.
template <typename Take>
void forWords(std::string_view text, Take take) {
    constexpr std::string_view kBlank = " \t\r\n";
    while (true) {
        const std::size_t start = text.find_first_not_of(kBlank);
        if (start == std::string_view::npos) return;
        text.remove_prefix(start);
        const std::size_t length = std::min(text.find_first_of(kBlank), text.size());
        take(text.substr(0, length));
        text.remove_prefix(length);
    }
}

void setAuthor(ChatMessage& message, std::string_view author) {
    message.name.clear();
    if (author == "assistant") {
        message.role = Role::Assistant;
    } else if (author == "user") {
        message.role = Role::User;
    } else if (author == "system") {
        message.role = Role::System;
    } else if (author == "developer") {
        message.role = Role::Developer;
    } else {
        message.role = Role::Tool;
        message.name = toValidUtf8(author);
    }
}

}  // namespace

HarmonyParser::HarmonyParser(const Tokenizer& tokenizer, const HarmonyTokens& tokens,
                             const ChatOptions& options)
    : tokenizer_(tokenizer), tokens_(tokens) {
    if (!options.forcedChannel.empty()) {
        openHeader(State::Channel);
        channelPart_ = options.forcedChannel;
        openContent();
    } else if (options.generationPrompt) {
        openHeader(State::Author);
        author_ = "assistant";
    }
}

bool HarmonyParser::ends(TokenId token) const noexcept {
    const auto& ends = tokenizer_.endOfText();
    return token == tokens_.finish || token == tokens_.call ||
           std::find(ends.begin(), ends.end(), token) != ends.end();
}

std::string HarmonyParser::feed(TokenId token) {
    if (finished_) return {};
    if (ends(token)) {
        finished_ = true;
        return closeContent();
    }
    if (tokenizer_.isSpecial(token)) return feedControl(token);
    const std::string_view bytes = tokenizer_.bytes(token);
    switch (state_) {
        case State::Between:
            break;
        case State::Author:
            author_ += bytes;
            break;
        case State::Channel:
            channelPart_ += bytes;
            break;
        case State::Constrain:
            constrainPart_ += bytes;
            break;
        case State::Content: {
            std::string out = text_.add(bytes);
            current_.content += out;
            return out;
        }
    }
    return {};
}

std::string HarmonyParser::feedControl(TokenId token) {
    if (token == tokens_.end) return closeContent();
    if (token == tokens_.start) {
        std::string out = closeContent();
        openHeader(State::Author);
        return out;
    }
    if (token == tokens_.channel) {
        const bool inHeader = state_ == State::Author || state_ == State::Constrain;
        std::string out = state_ == State::Content ? closeContent() : std::string();
        if (!inHeader) openHeader(State::Channel);
        state_ = State::Channel;
        return out;
    }
    if (token == tokens_.message && state_ != State::Content) {
        if (state_ == State::Between) openHeader(State::Author);
        openContent();
    } else if (token == tokens_.constrain && state_ != State::Content && state_ != State::Between) {
        state_ = State::Constrain;
        constrained_ = true;
    }
    return {};
}

void HarmonyParser::openHeader(State state) {
    state_ = state;
    author_.clear();
    channelPart_.clear();
    constrainPart_.clear();
    constrained_ = false;
}

/// Words of a header part: "to=..." is the recipient, the first other word the author or channel,
/// a second one the content type.
void HarmonyParser::takeWords(const std::string& words, bool channelPart) {
    bool named = false;
    forWords(words, [&](std::string_view word) {
        constexpr std::string_view kTo = "to=";
        if (word.starts_with(kTo)) {
            current_.recipient = toValidUtf8(word.substr(kTo.size()));
        } else if (!named) {
            named = true;
            if (channelPart)
                current_.channel = toValidUtf8(word);
            else
                setAuthor(current_, word);
        } else {
            current_.contentType = toValidUtf8(word);
        }
    });
}

void HarmonyParser::openContent() {
    current_ = ChatMessage{};
    current_.role = Role::Assistant;
    takeWords(author_, false);
    takeWords(channelPart_, true);
    if (constrained_) {
        current_.contentType = "<|constrain|>";
        forWords(constrainPart_, [&](std::string_view word) {
            if (word.starts_with("to="))
                current_.recipient = toValidUtf8(word.substr(3));
            else
                current_.contentType += toValidUtf8(word);
        });
    }
    channel_ = current_.channel;
    state_ = State::Content;
}

/// Ends the message under way, or drops the header under way. `channel_` stays: the text returned
/// still belongs to it.
std::string HarmonyParser::closeContent() {
    std::string rest;
    if (state_ == State::Content) {
        rest = text_.flush();
        current_.content += rest;
        messages_.push_back(std::move(current_));
    }
    state_ = State::Between;
    return rest;
}

std::vector<ChatMessage> HarmonyParser::finish() {
    closeContent();
    finished_ = true;
    return messages_;
}

}  // namespace moescope::text
