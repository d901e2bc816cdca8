// SPDX-License-Identifier: Apache-2.0
// Harmony, the conversation format of gpt-oss (openai/harmony, docs/format.md): rendering.
#include <algorithm>

#include "engine/core/error.h"
#include "engine/text/chat_formats.h"
#include "engine/text/harmony_parser.h"

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
    std::string text =
        "You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\n";
    if (!options.currentDate.empty()) text += "Current date: " + options.currentDate + "\n";
    text += "\nReasoning: ";
    text += effortName(options.reasoning);
    text +=
        "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every "
        "message.";
    return text;
}

class Harmony final : public ChatFormat {
public:
    Harmony(const Tokenizer& tokenizer, HarmonyTokens tokens)
        : tokenizer_(tokenizer), tokens_(tokens), stop_{tokens.finish, tokens.call} {}

    std::string_view name() const noexcept override { return "harmony"; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        std::vector<TokenId> out;
        header(out, "system", {});
        body(out, systemText(options), tokens_.end);
        const std::size_t kept = lastFinal(messages);
        for (std::size_t i = 0; i < messages.size(); ++i) {
            // Reasoning of turns that already have their answer is not shown to the model again.
            const bool stale = i < kept && messages[i].role == Role::Assistant &&
                               messages[i].channel == "analysis";
            if (!stale) message(out, messages[i]);
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
    /// Index of the last answer; 0 (nothing before it) when there is none.
    static std::size_t lastFinal(std::span<const ChatMessage> messages) {
        for (std::size_t i = messages.size(); i > 0; --i) {
            const ChatMessage& m = messages[i - 1];
            const bool answer = m.channel == "final" || m.channel.empty();
            if (m.role == Role::Assistant && answer && m.recipient.empty()) return i - 1;
        }
        return 0;
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

    void message(std::vector<TokenId>& out, const ChatMessage& m) const {
        switch (m.role) {
            case Role::System:  // the true system message is built from the options
            case Role::Developer:
                header(out, "developer", m, m.channel);
                return body(out, "# Instructions\n\n" + m.content, tokens_.end);
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

std::unique_ptr<ChatFormat> makeHarmony(const Tokenizer& tokenizer) {
    const auto has = [&](std::string_view name) { return tokenizer.find(name).has_value(); };
    if (!has("<|start|>") || !has("<|channel|>") || !has("<|message|>")) return nullptr;
    const auto need = [&](std::string_view name) {
        const auto id = tokenizer.find(name);
        if (!id || !tokenizer.isSpecial(*id))
            throw Error("the tokenizer has harmony's <|channel|> but no special token " +
                        std::string(name));
        return *id;
    };
    const HarmonyTokens tokens{need("<|start|>"),    need("<|end|>"),    need("<|message|>"),
                               need("<|channel|>"),  need("<|return|>"), need("<|call|>"),
                               need("<|constrain|>")};
    return std::make_unique<Harmony>(tokenizer, tokens);
}

}  // namespace moescope::text
