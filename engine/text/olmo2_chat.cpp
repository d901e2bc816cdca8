// SPDX-License-Identifier: Apache-2.0
// OLMo 2 and Tulu 3: <|system|>, <|user|>, <|assistant|> on lines of their own. These marks are
// ordinary text to the tokenizer, so a user's text can imitate them; nothing in the format could
// prevent that. Source: "tulu" of open-instruct's CHAT_TEMPLATES; OLMo 2 puts bos_token before it.
#include "engine/core/error.h"
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

class Olmo2 final : public ChatFormat {
public:
    Olmo2(const Tokenizer& tokenizer, std::string_view name, bool withBos)
        : tokenizer_(tokenizer), name_(name), withBos_(withBos), stop_(tokenizer.endOfText()) {
        if (stop_.empty() || (withBos && !tokenizer.bos()))
            throw Error("the chat format " + std::string(name) +
                        " needs a beginning-of-sequence and an end-of-text token");
    }

    std::string_view name() const noexcept override { return name_; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(name_, {}, options);
        const std::vector<ChatTurn> turns = turnsOf(messages);
        refuseToolTurns(name_, turns);
        PromptWriter out(tokenizer_);
        if (withBos_) out.token(*tokenizer_.bos());
        for (std::size_t i = 0; i < turns.size(); ++i) {
            out.text("<|").text(roleName(turns[i].role)).text("|>\n").text(turns[i].content);
            const bool assistant = turns[i].role == Role::Assistant;
            if (assistant) out.token(*tokenizer_.eos());
            if (!assistant || i + 1 < turns.size()) out.text("\n");
        }
        const bool prompt = options.generationPrompt || !options.forcedChannel.empty();
        if (prompt && !turns.empty()) out.text("<|assistant|>\n");
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions&) const override {
        return std::make_unique<TaggedReplyParser>(tokenizer_, stop_, ReplyTags{}, false);
    }

private:
    const Tokenizer& tokenizer_;
    std::string_view name_;
    bool withBos_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeOlmo2(const Tokenizer& tokenizer) {
    return std::make_unique<Olmo2>(tokenizer, "olmo2", true);
}

std::unique_ptr<ChatFormat> makeTulu(const Tokenizer& tokenizer) {
    return std::make_unique<Olmo2>(tokenizer, "tulu", false);
}

}  // namespace moescope::text
