// SPDX-License-Identifier: Apache-2.0
// Conversations and functions as OpenAI's chat completions write them.
#include <map>

#include "engine/core/error.h"
#include "engine/text/chat.h"
#include "engine/text/template_format.h"

namespace moescope {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFunctions = "functions.";

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
    throw Error(where + ": " + what);
}

/// The text of an optional field; empty when it is absent or null.
std::string textField(const Json& object, const char* key, const std::string& where) {
    const auto it = object.find(key);
    if (it == object.end() || it->is_null()) return {};
    if (!it->is_string()) refuse(where, "\"" + std::string(key) + "\" is no text");
    return it->get<std::string>();
}

/// A string, null, or a list of parts of type text.
std::string contentField(const Json& message, const std::string& where) {
    const auto it = message.find("content");
    if (it == message.end() || !it->is_array()) return textField(message, "content", where);
    std::string text;
    for (const Json& part : *it) {
        if (!part.is_object() || textField(part, "type", where) != "text" || !part.contains("text"))
            refuse(where, "only parts of type \"text\" can be in a content");
        text += textField(part, "text", where);
    }
    return text;
}

Role roleField(const Json& message, const std::string& where) {
    const std::string name = textField(message, "role", where);
    if (name == "system") return Role::System;
    if (name == "developer") return Role::Developer;
    if (name == "user") return Role::User;
    if (name == "assistant") return Role::Assistant;
    if (name == "tool" || name == "function") return Role::Tool;
    refuse(where, "\"role\" is '" + name + "', not system, developer, user, assistant or tool");
}

class Reader {
public:
    void read(const Json& message, const std::string& where) {
        if (!message.is_object()) refuse(where, "is no JSON object");
        ChatMessage m;
        m.role = roleField(message, where);
        m.content = contentField(message, where);
        const auto content = message.find("content");
        if (m.role != Role::Assistant && (content == message.end() || content->is_null()))
            refuse(where, "has no \"content\"");
        m.channel = textField(message, "channel", where);
        m.recipient = textField(message, "recipient", where);
        m.contentType = textField(message, "content_type", where);
        m.name = textField(message, "name", where);
        if (m.role == Role::Assistant)
            assistant(message, std::move(m), where);
        else if (m.role == Role::Tool)
            tool(message, std::move(m), where);
        else
            messages_.push_back(std::move(m));
    }
    std::vector<ChatMessage> take() { return std::move(messages_); }

private:
    void assistant(const Json& message, ChatMessage m, const std::string& where) {
        std::string reasoning;
        for (const char* key : {"reasoning_content", "reasoning", "thinking"})
            if (reasoning.empty()) reasoning = textField(message, key, where);
        const auto calls = message.find("tool_calls");
        const bool calling = calls != message.end() && !calls->is_null();
        if (calling && !calls->is_array()) refuse(where, "\"tool_calls\" is no list");
        const bool alone = reasoning.empty() && !calling;
        if (!reasoning.empty()) {
            ChatMessage analysis;
            analysis.role = Role::Assistant;
            analysis.channel = "analysis";
            analysis.content = std::move(reasoning);
            messages_.push_back(std::move(analysis));
        }
        if (m.channel.empty() && m.recipient.empty()) m.channel = calling ? "commentary" : "final";
        if (alone || !m.content.empty()) messages_.push_back(std::move(m));
        if (!calling) return;
        for (const Json& entry : *calls) call(entry, where);
    }

    void call(const Json& entry, const std::string& where) {
        if (!entry.is_object()) refuse(where, "an entry of \"tool_calls\" is no object");
        const Json& function = entry.contains("function") ? entry["function"] : entry;
        if (!function.is_object()) refuse(where, "\"function\" of a call is no object");
        const std::string name = textField(function, "name", where);
        if (name.empty()) refuse(where, "a call has no \"name\"");
        ChatMessage m;
        m.role = Role::Assistant;
        m.channel = "commentary";
        m.recipient = std::string(kFunctions) + name;
        m.contentType = "<|constrain|>json";
        const auto arguments = function.find("arguments");
        if (arguments == function.end() || arguments->is_null())
            m.content = "{}";
        else
            m.content = arguments->is_string() ? arguments->get<std::string>()
                                               : text::templateJson(*arguments);
        if (const std::string id = textField(entry, "id", where); !id.empty())
            calls_[id] = m.recipient;
        messages_.push_back(std::move(m));
    }

    void tool(const Json& message, ChatMessage m, const std::string& where) {
        const auto asked = calls_.find(textField(message, "tool_call_id", where));
        if (m.name.empty() && asked != calls_.end())
            m.name = asked->second;
        else if (!m.name.empty() && m.name != "python" && m.name.find('.') == std::string::npos)
            m.name.insert(0, kFunctions);
        if (m.recipient.empty()) m.recipient = "assistant";
        if (m.channel.empty()) m.channel = "commentary";
        messages_.push_back(std::move(m));
    }

    std::vector<ChatMessage> messages_;
    std::map<std::string, std::string, std::less<>> calls_;  ///< id -> recipient
};

}  // namespace

std::vector<ChatMessage> chatMessagesFromJson(const Json& list) {
    if (!list.is_array()) throw Error("the conversation is no JSON list of messages");
    Reader reader;
    for (std::size_t i = 0; i < list.size(); ++i)
        reader.read(list[i], "message " + std::to_string(i + 1));
    return reader.take();
}

std::vector<ToolFunction> toolFunctionsFromJson(const Json& list) {
    if (!list.is_array()) throw Error("the tools are no JSON list");
    std::vector<ToolFunction> functions;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string where = "tool " + std::to_string(i + 1);
        const Json& entry = list[i];
        if (!entry.is_object()) refuse(where, "is no JSON object");
        const bool wrapped = entry.contains("function");
        const std::string type = textField(entry, "type", where);
        if (!type.empty() && type != "function")
            refuse(where, "only functions are known, not '" + type + "'");
        const Json& inner = wrapped ? entry["function"] : entry;
        if (!inner.is_object()) refuse(where, "\"function\" is no object");
        ToolFunction function;
        function.name = textField(inner, "name", where);
        if (function.name.empty()) refuse(where, "has no \"name\"");
        function.description = textField(inner, "description", where);
        if (const auto it = inner.find("parameters"); it != inner.end() && !it->is_null()) {
            if (!it->is_object()) refuse(where, "\"parameters\" is no JSON schema");
            function.parameters = *it;
        }
        function.entry = entry;
        if (!wrapped) {
            function.entry.erase("type");
            function.entry = {{"type", "function"}, {"function", Json(function.entry)}};
        }
        functions.push_back(std::move(function));
    }
    return functions;
}

}  // namespace moescope
