// SPDX-License-Identifier: Apache-2.0
// Gemma 3: <start_of_turn>user|model ... <end_of_turn>, instructions inside the first message.
// Source: chat_template of google/gemma-3-*-it.
#include <array>

#include "engine/core/error.h"
#include "engine/text/chat_formats.h"
#include "engine/text/tagged_reply.h"
#include "engine/text/template_format.h"

namespace moescope::text {
namespace {

constexpr std::string_view kName = "gemma3";

/// What Python's str.strip (Jinja's `trim`) takes for white space, in UTF-8.
constexpr std::array<std::string_view, 29> kWhiteSpace = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",
    "\x1e",   "\x1f",   "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
    "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

std::string_view trim(std::string_view text) {
    const auto cut = [&](auto touches, auto remove) {
        for (bool again = true; again;) {
            again = false;
            for (const std::string_view space : kWhiteSpace) {
                if (!touches(space)) continue;
                remove(space.size());
                again = true;
            }
        }
    };
    cut([&](std::string_view s) { return text.starts_with(s); },
        [&](std::size_t n) { text.remove_prefix(n); });
    cut([&](std::string_view s) { return text.ends_with(s); },
        [&](std::size_t n) { text.remove_suffix(n); });
    return text;
}

class Gemma3 final : public ChatFormat {
public:
    explicit Gemma3(const Tokenizer& tokenizer)
        : tokenizer_(tokenizer),
          start_(needToken(tokenizer, "<start_of_turn>", kName)),
          end_(needToken(tokenizer, "<end_of_turn>", kName)),
          stop_(stopTokensWith(tokenizer, end_)) {
        if (!tokenizer.bos())
            throw Error("the chat format gemma3 needs a beginning-of-sequence token");
    }

    std::string_view name() const noexcept override { return kName; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        refuseUnsupported(kName, {}, options);
        const std::vector<ChatTurn> turns = turnsOf(messages);
        refuseToolTurns(kName, turns);
        PromptWriter out(tokenizer_);
        out.token(*tokenizer_.bos());
        const bool given = !turns.empty() && turns[0].role == Role::System;
        const std::size_t first = given ? 1 : 0;
        for (std::size_t i = first; i < turns.size(); ++i) {
            const bool user = (i - first) % 2 == 0;
            if (turns[i].role != (user ? Role::User : Role::Assistant))
                throw Error("the chat format gemma3 takes turns: user, assistant, user, ...");
            out.token(start_).text(user ? "user\n" : "model\n");
            if (i == first && given) out.text(turns[0].content).text("\n\n");
            out.text(trim(turns[i].content)).token(end_).text("\n");
        }
        if (options.generationPrompt || !options.forcedChannel.empty())
            out.token(start_).text("model\n");
        return out.take();
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions&) const override {
        return std::make_unique<TaggedReplyParser>(tokenizer_, stop_, ReplyTags{}, false);
    }

private:
    const Tokenizer& tokenizer_;
    TokenId start_, end_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeGemma3(const Tokenizer& tokenizer) {
    return std::make_unique<Gemma3>(tokenizer);
}

}  // namespace moescope::text
