// SPDX-License-Identifier: Apache-2.0
#include "engine/text/template_format.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace moescope::text {
namespace {

constexpr std::string_view kFunctions = "functions.";

/// Whether `message` goes on with the turn so far: reasoning, content, calls, in this order.
bool continues(const ChatTurn& turn, const ChatMessage& message) {
    if (turn.role != Role::Assistant || message.role != Role::Assistant) return false;
    if (!message.recipient.empty()) return true;
    const bool answered = !turn.content.empty() || !turn.calls.empty();
    return !answered;
}

}  // namespace

std::vector<ChatTurn> turnsOf(std::span<const ChatMessage> messages) {
    std::vector<ChatTurn> turns;
    for (const ChatMessage& message : messages) {
        if (turns.empty() || !continues(turns.back(), message)) {
            turns.emplace_back();
            turns.back().role = message.role == Role::Developer ? Role::System : message.role;
        }
        ChatTurn& turn = turns.back();
        if (turn.role == Role::Assistant && !message.recipient.empty())
            turn.calls.push_back(&message);
        else if (turn.role == Role::Assistant && message.channel == "analysis")
            turn.reasoning = turn.reasoning.value_or("") + message.content;
        else
            turn.content += message.content;
    }
    return turns;
}

std::string_view roleName(Role role) {
    switch (role) {
        case Role::User:
            return "user";
        case Role::Assistant:
            return "assistant";
        case Role::Tool:
            return "tool";
        case Role::System:
        case Role::Developer:
            break;
    }
    return "system";
}

std::string_view functionName(const ChatMessage& call) {
    std::string_view name = call.recipient;
    if (name.starts_with(kFunctions)) name.remove_prefix(kFunctions.size());
    return name;
}

std::string templateJson(const nlohmann::ordered_json& value) {
    std::string out;
    const auto list = [&](char open, char close, auto element) {
        out += open;
        bool first = true;
        for (auto it = value.begin(); it != value.end(); ++it) {
            if (!std::exchange(first, false)) out += ", ";
            element(it);
        }
        out += close;
    };
    if (value.is_object())
        list('{', '}', [&](const auto& it) {
            out += nlohmann::ordered_json(it.key()).dump() + ": " + templateJson(it.value());
        });
    else if (value.is_array())
        list('[', ']', [&](const auto& it) { out += templateJson(*it); });
    else
        out = value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    return out;
}

nlohmann::ordered_json toolJson(const ToolFunction& function) {
    if (!function.entry.is_null()) return function.entry;
    nlohmann::ordered_json inner{{"name", function.name}};
    if (!function.description.empty()) inner["description"] = function.description;
    if (!function.parameters.is_null()) inner["parameters"] = function.parameters;
    return {{"type", "function"}, {"function", std::move(inner)}};
}

TokenId needToken(const Tokenizer& tokenizer, std::string_view name, std::string_view format) {
    const auto id = tokenizer.find(name);
    if (!id || !tokenizer.isSpecial(*id))
        throw Error("the chat format " + std::string(format) + " needs the control token " +
                    std::string(name) + ", which this tokenizer has not");
    return *id;
}

std::vector<TokenId> stopTokensWith(const Tokenizer& tokenizer, std::optional<TokenId> end) {
    std::vector<TokenId> stop = tokenizer.endOfText();
    if (end && std::find(stop.begin(), stop.end(), *end) == stop.end()) stop.push_back(*end);
    return stop;
}

void refuseUnsupported(std::string_view format, const FormatAbilities& abilities,
                       const ChatOptions& options) {
    const std::string name = "the chat format " + std::string(format);
    if (!options.builtinTools.empty() && !abilities.builtinTools)
        throw Error(name + " has no built-in tools");
    if (!options.functions.empty() && !abilities.tools)
        throw Error(name + " has no place for tools");
    if (!options.thinking || abilities.thinkingSwitch) return;
    if (*options.thinking && !abilities.alwaysThinks)
        throw Error(name + " has no reasoning to switch on");
    if (!*options.thinking && abilities.alwaysThinks)
        throw Error(name + " has no switch that turns reasoning off",
                    "--reasoning low asks harmony models for little of it");
}

void refuseToolTurns(std::string_view format, const std::vector<ChatTurn>& turns) {
    for (const ChatTurn& turn : turns) {
        if (!turn.calls.empty() || turn.role == Role::Tool)
            throw Error("the chat format " + std::string(format) +
                        " has no place for calls of tools and their answers");
    }
}

}  // namespace moescope::text
