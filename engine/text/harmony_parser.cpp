// SPDX-License-Identifier: Apache-2.0
// State machine over the control tokens of harmony.
#include "engine/text/harmony_parser.h"

#include <algorithm>
#include <array>
#include <utility>

namespace moescope::text {
namespace {

constexpr std::string_view kTo = "to=";

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

/// A word that headers are made of, so that nothing is lost when it stands alone.
bool isHeaderWord(std::string_view word) {
    constexpr std::array<std::string_view, 8> kWords = {
        "assistant", "user", "system", "developer", "analysis", "commentary", "final", "json"};
    return word.starts_with(kTo) || std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

}  // namespace

HarmonyParser::HarmonyParser(const Tokenizer& tokenizer, const HarmonyTokens& tokens,
                             const ChatOptions& options)
    : tokenizer_(tokenizer), tokens_(tokens) {
    if (!options.forcedChannel.empty()) {
        openHeader(State::Channel);
        channelPart_ = options.forcedChannel;
        openContent();
        channel_ = current_.channel;
    } else if (options.generationPrompt) {
        openHeader(State::Author);
        promptNamedAuthor_ = true;
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
        return close();
    }
    if (tokenizer_.isSpecial(token)) return feedControl(token);
    const std::string_view bytes = tokenizer_.bytes(token);
    switch (state_) {
        case State::Between:
            openHeader(State::Author);
            [[fallthrough]];
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
            channel_ = current_.channel;
            message_ = messages_.size();
            return out;
        }
    }
    return {};
}

std::string HarmonyParser::feedControl(TokenId token) {
    if (token == tokens_.end) return close();
    std::string out;
    if (token == tokens_.start) {
        out = close();
        openHeader(State::Author);
    } else if (token == tokens_.channel) {
        if (state_ == State::Content || state_ == State::Between || state_ == State::Channel) {
            out = close();
            openHeader(State::Channel);
        } else {
            out = strayAuthor();
        }
        state_ = State::Channel;
    } else if (token == tokens_.message && state_ != State::Content) {
        if (state_ == State::Between) openHeader(State::Author);
        out = strayAuthor();
        openContent();
    } else if (token == tokens_.constrain && state_ != State::Content && state_ != State::Between) {
        state_ = State::Constrain;
        constrained_ = true;
    }
    return out;
}

void HarmonyParser::openHeader(State state) {
    state_ = state;
    author_.clear();
    channelPart_.clear();
    constrainPart_.clear();
    constrained_ = false;
    promptNamedAuthor_ = false;
}

/// Appends a message without a channel.
std::string HarmonyParser::keepText(std::string text) {
    ChatMessage message;
    message.role = Role::Assistant;
    message.content = text;
    message_ = messages_.size();
    messages_.push_back(std::move(message));
    channel_.clear();
    return text;
}

/// The prompt ended with the author's name: words of the model behind it, other than a recipient,
/// are text.
std::string HarmonyParser::strayAuthor() {
    if (!promptNamedAuthor_) return {};
    bool text = false;
    forWords(author_, [&](std::string_view word) { text = text || !isHeaderWord(word); });
    if (!text) return {};
    return keepText(toValidUtf8(std::exchange(author_, {})));
}

/// Words of a header part: "to=..." is the recipient, the first other word the author or channel,
/// a second one the content type.
void HarmonyParser::takeWords(const std::string& words, bool channelPart) {
    bool named = false;
    forWords(words, [&](std::string_view word) {
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
    takeWords(promptNamedAuthor_ ? "assistant" + author_ : author_, false);
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
    state_ = State::Content;
}

/// Ends the message or the header under way. The text returned belongs to `channel_`.
std::string HarmonyParser::close() {
    const State state = std::exchange(state_, State::Between);
    if (state == State::Between) return {};
    if (state == State::Content) {
        std::string rest = text_.flush();
        if (!rest.empty()) {
            channel_ = current_.channel;
            message_ = messages_.size();
        }
        current_.content += rest;
        messages_.push_back(std::move(current_));
        return rest;
    }
    const std::string header = author_ + channelPart_ + constrainPart_;
    bool text = false;
    for (const std::string* part : {&author_, &channelPart_, &constrainPart_})
        forWords(*part, [&](std::string_view word) { text = text || !isHeaderWord(word); });
    return text ? keepText(toValidUtf8(header)) : std::string();
}

std::vector<ChatMessage> HarmonyParser::finish() {
    close();
    finished_ = true;
    return messages_;
}

}  // namespace moescope::text
