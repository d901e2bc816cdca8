// SPDX-License-Identifier: Apache-2.0
// A model's messages as JSON.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "engine/text/chat.h"

namespace moescope::cli {

inline nlohmann::json messagesJson(const std::vector<ChatMessage>& messages) {
    nlohmann::json list = nlohmann::json::array();
    for (const ChatMessage& m : messages) {
        list.push_back(
            {{"channel", m.channel}, {"recipient", m.recipient}, {"content", m.content}});
    }
    return list;
}

}  // namespace moescope::cli
