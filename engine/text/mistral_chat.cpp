// SPDX-License-Identifier: Apache-2.0
// Mistral and Mixtral Instruct of the first tokenizer: [INST] question [/INST] answer. Three
// templates were published, which differ in spaces and in whether there is a place for
// instructions. The marks are ordinary text to those tokenizers, so a user's text can imitate them;
// where a vocabulary has control tokens of these names, they are those.
// Source: chat_template of mistralai/Mistral-7B-Instruct-v0.1, -v0.2 and
// Mixtral-8x7B-Instruct-v0.1.
#include "engine/core/error.h"
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

struct Style {
    std::string_view name;
    std::string_view beforeQuestion, beforeAnswer, afterAnswer;
    bool instructions;  ///< go before the first question
};
constexpr Style kCurrent{"mistral", " ", " ", "", true};
constexpr Style kPlain{"mistral-plain", "", "", "", false};
constexpr Style kFirst{"mistral-7b-v0.1", "", "", " ", false};

class Mistral final : public ChatFormat {
public:
    Mistral(const Tokenizer& tokenizer, const Style& style)
        : tokenizer_(tokenizer), style_(style), stop_(tokenizer.endOfText()) {
        if (stop_.empty() || !tokenizer.bos())
            throw Error("the chat format " + std::string(style.name) +
                        " needs a beginning-of-sequence and an end-of-text token");
    }

    std::string_view name() const noexcept override { return style_.name; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(style_.name, {}, options);
        const std::vector<ChatTurn> turns = turnsOf(messages);
        refuseToolTurns(style_.name, turns);
        const bool given = !turns.empty() && turns[0].role == Role::System;
        if (given && !style_.instructions)
            throw Error("the chat format " + std::string(style_.name) +
                        " has no place for instructions");
        PromptWriter out(tokenizer_);
        out.token(*tokenizer_.bos());
        const std::size_t first = given ? 1 : 0;
        for (std::size_t i = first; i < turns.size(); ++i) {
            const bool user = (i - first) % 2 == 0;
            if (turns[i].role != (user ? Role::User : Role::Assistant))
                throw Error("the chat format " + std::string(style_.name) +
                            " takes turns: user, assistant, user, ...");
            if (!user) {
                out.text(style_.beforeAnswer).text(turns[i].content).token(*tokenizer_.eos());
                out.text(style_.afterAnswer);
                continue;
            }
            mark(out.text(style_.beforeQuestion), "[INST]").text(" ");
            if (i == first && given) out.text(turns[0].content).text("\n\n");
            mark(out.text(turns[i].content).text(" "), "[/INST]");
        }
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions&) const override {
        return std::make_unique<TaggedReplyParser>(tokenizer_, stop_, ReplyTags{}, false);
    }

private:
    PromptWriter& mark(PromptWriter& out, std::string_view name) const {
        const auto id = tokenizer_.find(name);
        return id && tokenizer_.isSpecial(*id) ? out.token(*id) : out.text(name);
    }

    const Tokenizer& tokenizer_;
    const Style& style_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeMistral(const Tokenizer& tokenizer) {
    return std::make_unique<Mistral>(tokenizer, kCurrent);
}

std::unique_ptr<ChatFormat> makeMistralPlain(const Tokenizer& tokenizer) {
    return std::make_unique<Mistral>(tokenizer, kPlain);
}

std::unique_ptr<ChatFormat> makeMistral7bV01(const Tokenizer& tokenizer) {
    return std::make_unique<Mistral>(tokenizer, kFirst);
}

}  // namespace moescope::text
