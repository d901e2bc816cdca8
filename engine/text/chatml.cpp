// SPDX-License-Identifier: Apache-2.0
// ChatML (<|im_start|>role ... <|im_end|>) without reasoning or tools.
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

class ChatMl final : public ChatFormat {
public:
    /// defaultSystem: put first when the conversation has no system message; empty: nothing is.
    ChatMl(const Tokenizer& tokenizer, std::string_view name, std::string_view defaultSystem)
        : tokenizer_(tokenizer),
          name_(name),
          defaultSystem_(defaultSystem),
          start_(needToken(tokenizer, "<|im_start|>", name)),
          end_(needToken(tokenizer, "<|im_end|>", name)),
          stop_(stopTokensWith(tokenizer, end_)) {}

    std::string_view name() const noexcept override { return name_; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(name_, {}, options);
        const std::vector<ChatTurn> turns = turnsOf(messages);
        PromptWriter out(tokenizer_);
        if (!turns.empty() && turns[0].role != Role::System && !defaultSystem_.empty())
            message(out, Role::System, defaultSystem_);
        for (const ChatTurn& turn : turns) {
            if (!turn.calls.empty()) refuseToolTurns(name_, turns);
            message(out, turn.role, turn.content);
        }
        if (options.generationPrompt || !options.forcedChannel.empty())
            out.token(start_).text("assistant\n");
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions&) const override {
        return std::make_unique<TaggedReplyParser>(tokenizer_, stop_, ReplyTags{}, false);
    }

private:
    void message(PromptWriter& out, Role role, std::string_view content) const {
        out.token(start_).text(roleName(role)).text("\n").text(content).token(end_).text("\n");
    }

    const Tokenizer& tokenizer_;
    std::string_view name_, defaultSystem_;
    TokenId start_, end_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeChatMl(const Tokenizer& tokenizer) {
    return std::make_unique<ChatMl>(tokenizer, "chatml", "");
}

std::unique_ptr<ChatFormat> makeQwen2(const Tokenizer& tokenizer) {
    return std::make_unique<ChatMl>(tokenizer, "qwen2", "You are a helpful assistant.");
}

std::unique_ptr<ChatFormat> makeSmolLm(const Tokenizer& tokenizer) {
    return std::make_unique<ChatMl>(
        tokenizer, "smollm",
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
}

}  // namespace moescope::text
