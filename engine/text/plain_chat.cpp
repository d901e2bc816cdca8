// SPDX-License-Identifier: Apache-2.0
// No frame at all: contents with a blank line between them, for models without a chat template.
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

class Plain final : public ChatFormat {
public:
    explicit Plain(const Tokenizer& tokenizer)
        : tokenizer_(tokenizer), stop_(tokenizer.endOfText()) {}

    std::string_view name() const noexcept override { return "plain"; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(name(), {}, options);
        const std::vector<ChatTurn> turns = turnsOf(messages);
        refuseToolTurns(name(), turns);
        PromptWriter out(tokenizer_);
        if (tokenizer_.addBos() && tokenizer_.bos()) out.token(*tokenizer_.bos());
        for (std::size_t i = 0; i < turns.size(); ++i) {
            out.text(turns[i].content);
            if (i + 1 < turns.size() || options.generationPrompt) out.text("\n\n");
        }
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions&) const override {
        return std::make_unique<TaggedReplyParser>(tokenizer_, stop_, ReplyTags{}, false);
    }

private:
    const Tokenizer& tokenizer_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makePlain(const Tokenizer& tokenizer) {
    return std::make_unique<Plain>(tokenizer);
}

}  // namespace moescope::text
