// SPDX-License-Identifier: Apache-2.0
#include "cli/prompting.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cli {
namespace {

Prompt rendered(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                const std::string& format, const ChatOptions& options) {
    Prompt prompt;
    prompt.chat = format.empty() ? chatFormatFor(tokenizer) : chatFormatNamed(tokenizer, format);
    if (prompt.chat == nullptr)
        throw Error("this model has no chat template",
                    "use --prompt to continue a text, or name a --chat-format");
    prompt.chatOptions = options;
    prompt.tokens = prompt.chat->render(messages, options);
    prompt.stopTokens = prompt.chat->stopTokens();
    return prompt;
}

/// A list of messages, checked and rendered.
Prompt conversation(const Tokenizer& tokenizer, const nlohmann::ordered_json& list,
                    const std::string& format, const ChatOptions& options) {
    const std::vector<ChatMessage> messages = chatMessagesFromJson(list);
    if (messages.empty()) throw Error("the conversation is empty");
    return rendered(tokenizer, messages, format, options);
}

}  // namespace

void addSamplingOptions(Options& options, int defaultTokens) {
    options.add("tokens,n", po::value<int>()->default_value(defaultTokens)->value_name("N"),
                "tokens to generate at most");
    options.add("temperature", po::value<double>()->default_value(0.0)->value_name("X"),
                "0: greedy");
    options.add("top-k", po::value<int>()->default_value(0)->value_name("N"),
                "keep the N likeliest; 0: off");
    options.add("top-p", po::value<double>()->default_value(1.0)->value_name("X"),
                "keep the likeliest that sum to X; 1: off");
    options.add("min-p", po::value<double>()->default_value(0.0)->value_name("X"),
                "drop what is below X of the likeliest; 0: off");
    options.add("seed", po::value<std::uint64_t>()->default_value(0)->value_name("N"),
                "of the sampler; cuda draws other tokens with it than cpu");
    options.flag("ignore-stop", "go on past end-of-text tokens, so that runs are of equal length");
}

std::vector<TokenId> stopTokens(const Options& options, const Prompt& prompt) {
    return options.isSet("ignore-stop") ? std::vector<TokenId>{} : prompt.stopTokens;
}

SamplingOptions samplingOptions(const Options& options) {
    SamplingOptions out;
    out.temperature = options.get<double>("temperature");
    out.topK = options.get<int>("top-k");
    out.topP = options.get<double>("top-p");
    out.minP = options.get<double>("min-p");
    out.seed = options.get<std::uint64_t>("seed");
    return out;
}

ReasoningEffort parseReasoning(const std::string& text) {
    if (text == "low") return ReasoningEffort::Low;
    if (text == "medium") return ReasoningEffort::Medium;
    if (text == "high") return ReasoningEffort::High;
    throw UsageError("--reasoning takes low, medium or high, not '" + text + "'");
}

void addChatOptions(Options& options) {
    const auto text = [&](const char* name, const char* value, const char* help) {
        options.add(name, po::value<std::string>()->default_value("")->value_name(value), help);
    };
    text("system", "TEXT", "instructions before chat messages");
    options.add("reasoning",
                po::value<std::string>()->default_value("medium")->value_name("EFFORT"),
                "low, medium, high (harmony models)");
    text("thinking", "on|off", "reasoning of models with a switch for it (Qwen3)");
    text("tools", "F.json", "functions the model may call, as OpenAI's chat completions list them");
    text("builtin-tools", "NAMES", "browser, python or both with a comma (harmony models)");
    text("date", "DATE", "current date to tell the model (harmony models)");
    text("chat-format", "NAME", "instead of the one that the model's chat template names");
}

ChatSettings chatSettings(const Options& options) {
    if (options.has("prompt"))
        options.refuse(
            {"system", "reasoning", "thinking", "tools", "builtin-tools", "date", "chat-format"},
            "goes with chats, and --prompt is plain text");
    ChatSettings settings;
    settings.system = options.get<std::string>("system");
    settings.format = options.get<std::string>("chat-format");
    ChatOptions& chat = settings.options;
    chat.reasoning = parseReasoning(options.get<std::string>("reasoning"));
    chat.currentDate = options.get<std::string>("date");
    const auto thinking = options.get<std::string>("thinking");
    if (!thinking.empty() && thinking != "on" && thinking != "off")
        throw UsageError("--thinking takes on or off, not '" + thinking + "'");
    if (!thinking.empty()) chat.thinking = thinking == "on";
    const auto builtin = options.get<std::string>("builtin-tools");
    for (std::size_t start = 0; start < builtin.size();) {
        const std::size_t end = std::min(builtin.find(',', start), builtin.size());
        const std::string name = builtin.substr(start, end - start);
        if (name != "browser" && name != "python")
            throw UsageError("--builtin-tools takes browser and python, not '" + name + "'");
        chat.builtinTools.push_back(name == "python" ? BuiltinTool::Python : BuiltinTool::Browser);
        start = end + 1;
    }
    if (const auto file = options.get<std::string>("tools"); !file.empty()) {
        try {
            chat.functions = toolFunctionsFromJson(parseOrderedJson(readFile(file), file));
        } catch (const Error& e) {
            const bool named = std::string_view(e.what()).starts_with(file);
            throw named ? e : Error(file + ": " + e.what(), e.hint());
        }
    }
    return settings;
}

Prompt plainPrompt(const Tokenizer& tokenizer, const std::string& text) {
    Prompt prompt;
    if (tokenizer.addBos() && tokenizer.bos()) prompt.tokens.push_back(*tokenizer.bos());
    const std::vector<TokenId> tokens = tokenizer.encode(text, SpecialTokens::AsText);
    prompt.tokens.insert(prompt.tokens.end(), tokens.begin(), tokens.end());
    if (prompt.tokens.empty()) {
        if (!tokenizer.bos())
            throw Error("the prompt is empty and this model has no beginning-of-sequence token");
        prompt.tokens.push_back(*tokenizer.bos());
    }
    prompt.stopTokens = tokenizer.endOfText();
    return prompt;
}

Prompt chatPrompt(const Tokenizer& tokenizer, const std::string& message,
                  const ChatSettings& settings) {
    std::vector<ChatMessage> messages;
    if (!settings.system.empty()) {
        ChatMessage first;
        first.role = Role::System;
        first.content = settings.system;
        messages.push_back(std::move(first));
    }
    ChatMessage user;
    user.content = message;
    messages.push_back(std::move(user));
    return rendered(tokenizer, messages, settings.format, settings.options);
}

Prompt chatPrompt(const Tokenizer& tokenizer, const nlohmann::ordered_json& chat,
                  const ChatSettings& settings) {
    if (chat.is_string()) return chatPrompt(tokenizer, chat.get<std::string>(), settings);
    if (!chat.is_array()) throw Error("\"chat\" must be a text or a list of messages");
    if (!settings.system.empty())
        throw Error("--system goes with a \"chat\" that is a text",
                    "write the instructions into the list");
    return conversation(tokenizer, chat, settings.format, settings.options);
}

Prompt conversationPrompt(const Tokenizer& tokenizer, const std::filesystem::path& file,
                          const ChatSettings& settings) {
    if (!settings.system.empty())
        throw UsageError("--system goes with --chat: write the instructions into --messages");
    const nlohmann::ordered_json document = parseOrderedJson(readFile(file), file.string());
    ChatOptions options = settings.options;
    try {
        const bool request = document.is_object() && document.contains("messages");
        if (request && document.contains("tools"))
            options.functions = toolFunctionsFromJson(document["tools"]);
        return conversation(tokenizer, request ? document["messages"] : document, settings.format,
                            options);
    } catch (const UsageError&) {
        throw;  // of the options
    } catch (const Error& e) {
        throw Error(file.string() + ": " + e.what(), e.hint());
    }
}

}  // namespace moescope::cli
