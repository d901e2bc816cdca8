// SPDX-License-Identifier: Apache-2.0
// Harmony, the conversation format of gpt-oss (openai/harmony, docs/format.md): rendering.
#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/text/chat_formats.h"
#include "engine/text/harmony_parser.h"
#include "engine/text/harmony_tools.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

constexpr std::string_view kConstrain = "<|constrain|>";

std::string_view effortName(ReasoningEffort effort) {
    switch (effort) {
        case ReasoningEffort::Low:
            return "low";
        case ReasoningEffort::High:
            return "high";
        case ReasoningEffort::Medium:
            break;
    }
    return "medium";
}

std::string systemText(const ChatOptions& options) {
    std::string text;
    const auto line = [&](const std::string& content) {
        text += (text.empty() ? "" : "\n") + content;
    };
    const auto section = [&](const std::string& content) {
        text += (text.empty() ? "" : "\n\n") + content;
    };
    if (!options.modelIdentity.empty()) line(options.modelIdentity);
    if (!options.knowledgeCutoff.empty()) line("Knowledge cutoff: " + options.knowledgeCutoff);
    if (!options.currentDate.empty()) line("Current date: " + options.currentDate);
    section("Reasoning: " + std::string(effortName(options.reasoning)));
    if (!options.builtinTools.empty()) section(builtinSection(options.builtinTools));
    std::string channels;
    for (const std::string& channel : options.channels)
        channels += (channels.empty() ? "" : ", ") + channel;
    section("# Valid channels: " + channels + ". Channel must be included for every message.");
    if (!options.functions.empty())
        line("Calls to these tools must go to the commentary channel: 'functions'.");
    return text;
}

std::string developerText(const std::string& instructions,
                          std::span<const ToolFunction> functions) {
    std::string text;
    if (!instructions.empty()) text = "# Instructions\n\n" + instructions;
    if (functions.empty()) return text;
    return text + (text.empty() ? "" : "\n\n") + functionsSection(functions);
}

bool isInstruction(const ChatMessage& m) {
    return m.role == Role::System || m.role == Role::Developer;
}

bool isAnswer(const ChatMessage& m) {
    return m.role == Role::Assistant &&
           (m.channel == "final" || (m.channel.empty() && m.recipient.empty()));
}

class Harmony final : public ChatFormat {
public:
    Harmony(const Tokenizer& tokenizer, HarmonyTokens tokens)
        : tokenizer_(tokenizer), tokens_(tokens), stop_{tokens.finish, tokens.call} {}

    std::string_view name() const noexcept override { return "harmony"; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(name(), {.tools = true, .builtinTools = true, .alwaysThinks = true},
                          options);
        std::vector<TokenId> out;
        header(out, "system", {});
        body(out, systemText(options), tokens_.end);
        std::span<const ToolFunction> functions = options.functions;
        const bool ownDeveloper = std::any_of(messages.begin(), messages.end(), isInstruction);
        if (!functions.empty() && !ownDeveloper) developer(out, {}, std::exchange(functions, {}));
        const std::size_t answered = options.keepAnalysis ? 0 : firstAnswer(messages);
        for (std::size_t i = 0; i < messages.size(); ++i) {
            // Reasoning of turns that already have their answer is not shown to the model again.
            const bool stale = i < answered && messages[i].role == Role::Assistant &&
                               messages[i].channel == "analysis";
            if (isInstruction(messages[i]))
                developer(out, messages[i], std::exchange(functions, {}));
            else if (!stale)
                message(out, messages[i]);
        }
        if (options.generationPrompt || !options.forcedChannel.empty()) {
            out.push_back(tokens_.start);
            text(out, "assistant");
        }
        if (!options.forcedChannel.empty()) {
            out.push_back(tokens_.channel);
            text(out, options.forcedChannel);
            out.push_back(tokens_.message);
        }
        return out;
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions& options) const override {
        return std::make_unique<HarmonyParser>(tokenizer_, tokens_, options);
    }

private:
    /// Analysis before this index is dropped: the first answer, if the assistant's last message is
    /// one (openai-harmony 0.0.8, auto_drop_analysis; later analysis stays), else none.
    static std::size_t firstAnswer(std::span<const ChatMessage> messages) {
        const auto byAssistant = [](const ChatMessage& m) { return m.role == Role::Assistant; };
        const auto last = std::find_if(messages.rbegin(), messages.rend(), byAssistant);
        if (last == messages.rend() || !isAnswer(*last)) return 0;
        return static_cast<std::size_t>(std::find_if(messages.begin(), messages.end(), isAnswer) -
                                        messages.begin());
    }

    void text(std::vector<TokenId>& out, std::string_view plain) const {
        const auto ids = tokenizer_.encode(plain, SpecialTokens::AsText);
        out.insert(out.end(), ids.begin(), ids.end());
    }

    /// start author[ to=recipient][channel name][ constrain type] message
    void header(std::vector<TokenId>& out, std::string author, const ChatMessage& m,
                std::string_view channel = {}) const {
        out.push_back(tokens_.start);
        if (!m.recipient.empty()) author += " to=" + m.recipient;
        text(out, author);
        if (!channel.empty()) {
            out.push_back(tokens_.channel);
            text(out, channel);
        }
        if (!m.contentType.empty()) {
            const bool constrained = m.contentType.starts_with(kConstrain);
            text(out, constrained ? " " : " " + m.contentType);
            if (constrained) {
                out.push_back(tokens_.constrain);
                text(out, std::string_view(m.contentType).substr(kConstrain.size()));
            }
        }
        out.push_back(tokens_.message);
    }

    void body(std::vector<TokenId>& out, std::string_view content, TokenId end) const {
        text(out, content);
        out.push_back(end);
    }

    /// The true system message is built from the options, so instructions are the developer's.
    void developer(std::vector<TokenId>& out, const ChatMessage& m,
                   std::span<const ToolFunction> functions) const {
        header(out, "developer", m, m.channel);
        body(out, developerText(m.content, functions), tokens_.end);
    }

    void message(std::vector<TokenId>& out, const ChatMessage& m) const {
        switch (m.role) {
            case Role::System:
            case Role::Developer:
                return developer(out, m, {});
            case Role::User:
                header(out, "user", m, m.channel);
                return body(out, m.content, tokens_.end);
            case Role::Assistant: {
                // "Channel must be included for every message": a bare reply is an answer.
                header(out, "assistant", m, m.channel.empty() ? "final" : m.channel);
                return body(out, m.content, m.recipient.empty() ? tokens_.end : tokens_.call);
            }
            case Role::Tool:
                if (m.name.empty()) throw Error("a tool message has no name", "name the tool");
                header(out, m.name, m, m.channel);
                return body(out, m.content, tokens_.end);
        }
    }

    const Tokenizer& tokenizer_;
    HarmonyTokens tokens_;
    std::vector<TokenId> stop_;
};

}  // namespace

bool hasHarmonyTokens(const Tokenizer& tokenizer) {
    const auto has = [&](std::string_view name) { return tokenizer.find(name).has_value(); };
    return has("<|start|>") && has("<|channel|>") && has("<|message|>");
}

std::unique_ptr<ChatFormat> makeHarmony(const Tokenizer& tokenizer) {
    const auto need = [&](std::string_view name) { return needToken(tokenizer, name, "harmony"); };
    const HarmonyTokens tokens{need("<|start|>"),    need("<|end|>"),    need("<|message|>"),
                               need("<|channel|>"),  need("<|return|>"), need("<|call|>"),
                               need("<|constrain|>")};
    return std::make_unique<Harmony>(tokenizer, tokens);
}

}  // namespace moescope::text
