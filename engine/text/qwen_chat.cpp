// SPDX-License-Identifier: Apache-2.0
// Qwen2.5 and Qwen3: ChatML with tools; Qwen2.5 begins with instructions of its own where none are
// given, Qwen3 reasons between <think> tags and has a switch for it.
// Source: chat_template of Qwen/Qwen2.5-*-Instruct and Qwen/Qwen3-* tokenizer_config.json.
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

constexpr std::string_view kToolsBefore =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are "
    "provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kToolsAfter =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, "
    "\"arguments\": <args-json-object>}\n</tool_call>";

std::string_view stripLineEnds(std::string_view text, bool front, bool back) {
    while (front && text.starts_with('\n')) text.remove_prefix(1);
    while (back && text.ends_with('\n')) text.remove_suffix(1);
    return text;
}

/// The template takes reasoning out of a content that still has it.
void splitReasoning(ChatTurn& turn) {
    constexpr std::string_view kOpen = "<think>", kClose = "</think>";
    if (turn.reasoning || turn.content.find(kClose) == std::string::npos) return;
    const std::string whole = std::move(turn.content);
    std::string_view before = std::string_view(whole).substr(0, whole.find(kClose));
    before = stripLineEnds(before, false, true);
    if (const auto open = before.rfind(kOpen); open != std::string_view::npos)
        before.remove_prefix(open + kOpen.size());
    turn.reasoning = std::string(stripLineEnds(before, true, false));
    const std::string_view after =
        std::string_view(whole).substr(whole.rfind(kClose) + kClose.size());
    turn.content = std::string(stripLineEnds(after, true, false));
}

bool readCall(std::string_view body, ChatMessage& call) {
    const auto json = looseOrderedJson(body);
    if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) return false;
    call.recipient = "functions." + json["name"].get<std::string>();
    call.contentType = "json";
    const auto arguments = json.find("arguments");
    if (arguments == json.end())
        call.content = "{}";
    else
        call.content =
            arguments->is_string() ? arguments->get<std::string>() : templateJson(*arguments);
    return true;
}

struct Style {
    std::string_view name;
    std::string_view defaultSystem;  ///< empty: no instructions where none are given
    bool thinks;
};
constexpr Style kQwen25{
    "qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", false};
constexpr Style kQwen3{"qwen3", "", true};

class Qwen final : public ChatFormat {
public:
    Qwen(const Tokenizer& tokenizer, const Style& style)
        : tokenizer_(tokenizer),
          style_(style),
          start_(needToken(tokenizer, "<|im_start|>", style.name)),
          end_(needToken(tokenizer, "<|im_end|>", style.name)),
          stop_(stopTokensWith(tokenizer, end_)) {}

    std::string_view name() const noexcept override { return style_.name; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(style_.name, {.tools = true, .thinkingSwitch = style_.thinks}, options);
        std::vector<ChatTurn> turns = turnsOf(messages);
        PromptWriter out(tokenizer_);
        instructions(out, turns, options);
        const std::size_t query = lastQuery(turns);
        for (std::size_t i = 0; i < turns.size(); ++i) {
            ChatTurn& turn = turns[i];
            if (turn.role == Role::User || (turn.role == Role::System && i > 0))
                out.token(start_).text(roleName(turn.role)).text("\n").text(turn.content);
            else if (turn.role == Role::Assistant)
                assistant(out, turn, i > query, i + 1 == turns.size());
            else if (turn.role == Role::Tool)
                toolAnswer(out, turn, i == 0 || turns[i - 1].role != Role::Tool);
            const bool moreAnswers =
                turn.role == Role::Tool && i + 1 < turns.size() && turns[i + 1].role == Role::Tool;
            if (!moreAnswers && (turn.role != Role::System || i > 0)) close(out);
        }
        if (options.generationPrompt || !options.forcedChannel.empty()) {
            out.token(start_).text("assistant\n");
            if (!style_.thinks) return out.take();
            if (options.forcedChannel == "analysis")
                out.text("<think>\n");
            else if (!options.forcedChannel.empty() || !options.thinking.value_or(true))
                out.text("<think>\n\n</think>\n\n");
        }
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions& options) const override {
        ReplyTags tags{"<think>", "</think>", "<tool_call>", "</tool_call>", readCall};
        if (!style_.thinks) tags.think = tags.endThink = {};
        return std::make_unique<TaggedReplyParser>(
            tokenizer_, stop_, tags, style_.thinks && options.forcedChannel == "analysis");
    }

private:
    void close(PromptWriter& out) const { out.token(end_).text("\n"); }

    void instructions(PromptWriter& out, const std::vector<ChatTurn>& turns,
                      const ChatOptions& options) const {
        const bool given = !turns.empty() && turns[0].role == Role::System;
        const bool any = given || !style_.defaultSystem.empty();
        if (!any && options.functions.empty()) return;
        out.token(start_).text("system\n");
        out.text(given ? std::string_view(turns[0].content) : style_.defaultSystem);
        if (!options.functions.empty()) {
            if (any) out.text("\n\n");
            out.text(kToolsBefore);
            for (const ToolFunction& function : options.functions)
                out.text("\n").text(templateJson(toolJson(function)));
            out.text(kToolsAfter);
        }
        close(out);
    }

    /// Index of the last question of the user: reasoning before it is left out.
    static std::size_t lastQuery(const std::vector<ChatTurn>& turns) {
        for (std::size_t i = turns.size(); i > 0; --i) {
            const ChatTurn& turn = turns[i - 1];
            const bool toolAnswer = turn.content.starts_with("<tool_response>") &&
                                    turn.content.ends_with("</tool_response>");
            if (turn.role == Role::User && !toolAnswer) return i - 1;
        }
        return turns.empty() ? 0 : turns.size() - 1;
    }

    void assistant(PromptWriter& out, ChatTurn& turn, bool current, bool last) const {
        if (style_.thinks) splitReasoning(turn);
        const std::string reasoning = turn.reasoning.value_or("");
        out.token(start_).text("assistant\n");
        if (style_.thinks && current && (last || !reasoning.empty())) {
            out.text("<think>\n").text(stripLineEnds(reasoning, true, true));
            out.text("\n</think>\n\n").text(stripLineEnds(turn.content, true, false));
        } else {
            out.text(turn.content);
        }
        bool lineEnd = !turn.content.empty();
        for (const ChatMessage* call : turn.calls) {
            if (lineEnd) out.text("\n");
            lineEnd = true;
            out.text("<tool_call>\n{\"name\": \"").text(functionName(*call));
            out.text("\", \"arguments\": ").text(call->content).text("}\n</tool_call>");
        }
    }

    void toolAnswer(PromptWriter& out, const ChatTurn& turn, bool first) const {
        if (first) out.token(start_).text("user");
        out.text("\n<tool_response>\n").text(turn.content).text("\n</tool_response>");
    }

    const Tokenizer& tokenizer_;
    const Style& style_;
    TokenId start_, end_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeQwen25(const Tokenizer& tokenizer) {
    return std::make_unique<Qwen>(tokenizer, kQwen25);
}

std::unique_ptr<ChatFormat> makeQwen3(const Tokenizer& tokenizer) {
    return std::make_unique<Qwen>(tokenizer, kQwen3);
}

}  // namespace moescope::text
