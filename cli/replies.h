// SPDX-License-Identifier: Apache-2.0
// What a model's messages are shown as.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/text/chat.h"

namespace moescope::cli {

/// An answer is meant for the reader; reasoning, calls of tools and what accompanies them are not.
inline bool isAnswer(std::string_view channel) {
    return channel.empty() || channel == "final";
}

/// Between two messages that are shown one behind the other.
inline constexpr std::string_view kBetweenMessages = "\n";

/// Of all messages that are answers, one behind the other.
inline std::string answerOf(const std::vector<ChatMessage>& messages) {
    std::string answer;
    for (const ChatMessage& m : messages)
        if (isAnswer(m.channel) && !m.content.empty()) {
            if (!answer.empty()) answer += kBetweenMessages;
            answer += m.content;
        }
    return answer;
}

inline nlohmann::json messagesJson(const std::vector<ChatMessage>& messages) {
    nlohmann::json list = nlohmann::json::array();
    for (const ChatMessage& m : messages) {
        list.push_back(
            {{"channel", m.channel}, {"recipient", m.recipient}, {"content", m.content}});
    }
    return list;
}

}  // namespace moescope::cli
