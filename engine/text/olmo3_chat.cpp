// SPDX-License-Identifier: Apache-2.0
// OLMo 3: ChatML with functions in the system message; the Think models begin with <think>.
// Sources: chat_template of allenai/Olmo-3.1-32B-Instruct; "olmo_thinker" of open-instruct's
// CHAT_TEMPLATES, which the first Think models carry.
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

constexpr std::string_view kInstructSystem =
    "You are Olmo, a helpful AI assistant built by Ai2. Your date cutoff is December 2024, and "
    "your model weights are available at https://huggingface.co/allenai. ";
constexpr std::string_view kThinkSystem =
    "You are OLMo, a helpful function-calling AI assistant built by Ai2. Your date cutoff is "
    "November 2024, and your model weights are available at https://huggingface.co/allenai.";
constexpr std::string_view kNoFunctions =
    "You do not currently have access to any functions. <functions></functions>";
constexpr std::string_view kFunctions =
    "You are provided with function signatures within <functions></functions> XML tags. You may "
    "call one or more functions to assist with the user query. Output any function calls within "
    "<function_calls></function_calls> XML tags. Do not make assumptions about what values to plug "
    "into functions.";

class Olmo3 final : public ChatFormat {
public:
    Olmo3(const Tokenizer& tokenizer, bool think)
        : tokenizer_(tokenizer),
          think_(think),
          start_(needToken(tokenizer, "<|im_start|>", name())),
          end_(needToken(tokenizer, "<|im_end|>", name())),
          stop_(stopTokensWith(tokenizer, end_)) {
        if (!tokenizer.eos()) throw Error("the chat format olmo3 needs an end-of-text token");
    }

    std::string_view name() const noexcept override { return think_ ? "olmo3-think" : "olmo3"; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(name(), {.tools = !think_, .alwaysThinks = think_}, options);
        const std::vector<ChatTurn> turns = turnsOf(messages);
        if (think_) refuseToolTurns(name(), turns);
        PromptWriter out(tokenizer_);
        defaultInstructions(out, turns, options);
        for (std::size_t i = 0; i < turns.size(); ++i)
            turn(out, turns[i], i + 1 == turns.size(), options);
        const bool prompt = options.generationPrompt || !options.forcedChannel.empty();
        if (prompt && !turns.empty()) {
            out.token(start_).text("assistant\n");
            if (think_) out.text("<think>");
            if (think_ && options.forcedChannel == "final") out.text("</think>");
        }
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions& options) const override {
        const bool thinking = think_ && options.forcedChannel != "final" &&
                              (options.generationPrompt || !options.forcedChannel.empty());
        ReplyTags tags;
        if (think_) tags = {"<think>", "</think>", {}, {}};
        // Calls are written as Python, name(key=value); they are passed on as they are.
        if (!think_) tags = {{}, {}, "<function_calls>", "</function_calls>"};
        return std::make_unique<TaggedReplyParser>(tokenizer_, stop_, tags, thinking);
    }

private:
    static std::string functionsJson(const ChatOptions& options) {
        nlohmann::ordered_json list = nlohmann::ordered_json::array();
        for (const ToolFunction& function : options.functions) list.push_back(toolJson(function));
        return "<functions>" + templateJson(list) + "</functions>";
    }

    void close(PromptWriter& out) const { out.token(end_).text("\n"); }

    void defaultInstructions(PromptWriter& out, const std::vector<ChatTurn>& turns,
                             const ChatOptions& options) const {
        for (const ChatTurn& turn : turns)
            if (turn.role == Role::System) return;
        out.token(start_).text("system\n").text(think_ ? kThinkSystem : kInstructSystem);
        if (think_) out.text(" ");
        if (options.functions.empty())
            out.text(kNoFunctions);
        else
            out.text(kFunctions).text(functionsJson(options));
        close(out);
    }

    void turn(PromptWriter& out, const ChatTurn& turn, bool last,
              const ChatOptions& options) const {
        const std::string_view role =
            turn.role == Role::Tool ? std::string_view("environment") : roleName(turn.role);
        out.token(start_).text(role).text("\n").text(turn.content);
        if (turn.role == Role::System) {
            if (think_)
                out.text(" ").text(kNoFunctions);
            else if (!options.functions.empty())
                out.text(functionsJson(options));
        }
        calls(out, turn);
        if (turn.role == Role::Assistant && last)
            out.token(*tokenizer_.eos());
        else
            close(out);
    }

    void calls(PromptWriter& out, const ChatTurn& turn) const {
        if (turn.calls.empty()) return;
        out.text("<function_calls>");
        std::string_view lineEnd;
        for (const ChatMessage* call : turn.calls) {
            const auto arguments = looseOrderedJson(call->content);
            if (!arguments.is_object())
                throw Error("the arguments of the call of " + std::string(functionName(*call)) +
                            " are no JSON object");
            out.text(lineEnd).text(functionName(*call)).text("(");
            std::string_view comma;
            for (const auto& [key, value] : arguments.items()) {
                out.text(comma).text(key).text("=").text(templateJson(value));
                comma = ", ";
            }
            out.text(")");
            lineEnd = "\n";
        }
        out.text("</function_calls>");
    }

    const Tokenizer& tokenizer_;
    bool think_;
    TokenId start_, end_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeOlmo3(const Tokenizer& tokenizer) {
    return std::make_unique<Olmo3>(tokenizer, false);
}

std::unique_ptr<ChatFormat> makeOlmo3Think(const Tokenizer& tokenizer) {
    return std::make_unique<Olmo3>(tokenizer, true);
}

}  // namespace moescope::text
