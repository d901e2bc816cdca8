// SPDX-License-Identifier: Apache-2.0
// ChatML (<|im_start|>role ... <|im_end|>), for the chat templates listed below.
#include <algorithm>
#include <array>

#include "engine/text/chat_formats.h"
#include "engine/text/reply_text.h"

namespace moescope::text {
namespace {

constexpr std::string_view kStart = "<|im_start|>";
constexpr std::string_view kEnd = "<|im_end|>";

struct KnownTemplate {
    std::string_view source;         ///< Jinja, with "\n" escapes written as line ends
    std::string_view defaultSystem;  ///< put first when the conversation has no system message
};

// A template is a program: only those whose output is known exactly are accepted.
constexpr std::array kTemplates = {
    // Plain, as transformers' documentation gives it and several model cards repeat it.
    KnownTemplate{"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
                  "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if "
                  "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
                  ""},
    KnownTemplate{"{% if not add_generation_prompt is defined %}{% set add_generation_prompt = "
                  "false %}{% endif %}{% for message in messages %}{{'<|im_start|>' + "
                  "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor "
                  "%}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
                  ""},
    // SmolLM2-Instruct.
    KnownTemplate{"{% for message in messages %}{% if loop.first and messages[0]['role'] != "
                  "'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named "
                  "SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
                  "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor "
                  "%}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
                  "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
};

/// Inside Jinja strings "\n" may be an escape or a real line end; both print the same.
std::string withLineEnds(std::string_view source) {
    std::string out;
    for (std::size_t i = 0; i < source.size(); ++i) {
        const bool escape = source[i] == '\\' && i + 1 < source.size() && source[i + 1] == 'n';
        out.push_back(escape ? '\n' : source[i]);
        if (escape) ++i;
    }
    return out;
}

std::string_view roleName(Role role) {
    switch (role) {
        case Role::User:
            return "user";
        case Role::Assistant:
            return "assistant";
        case Role::Tool:
            return "tool";
        case Role::System:
        case Role::Developer:
            break;  // ChatML has one kind of instructions
    }
    return "system";
}

class ChatMlParser final : public ReplyParser {
public:
    ChatMlParser(const Tokenizer& tokenizer, const std::vector<TokenId>& stop)
        : tokenizer_(tokenizer), stop_(stop) {
        reply_.role = Role::Assistant;
    }

    std::string feed(TokenId token) override {
        if (finished_) return {};
        finished_ = std::find(stop_.begin(), stop_.end(), token) != stop_.end();
        std::string out;
        if (finished_)
            out = text_.flush();
        else if (!tokenizer_.isSpecial(token))
            out = text_.add(tokenizer_.bytes(token));
        reply_.content += out;
        return out;
    }
    const std::string& channel() const noexcept override { return reply_.channel; }
    bool finished() const noexcept override { return finished_; }
    std::vector<ChatMessage> finish() override {
        reply_.content += text_.flush();
        finished_ = true;
        return {reply_};
    }

private:
    const Tokenizer& tokenizer_;
    std::vector<TokenId> stop_;
    ChatMessage reply_;
    ReplyText text_;
    bool finished_ = false;
};

class ChatMl final : public ChatFormat {
public:
    ChatMl(const Tokenizer& tokenizer, TokenId start, TokenId end, std::string_view defaultSystem)
        : tokenizer_(tokenizer),
          start_(start),
          end_(end),
          defaultSystem_(defaultSystem),
          stop_(tokenizer.endOfText()) {
        if (std::find(stop_.begin(), stop_.end(), end) == stop_.end()) stop_.push_back(end);
    }

    std::string_view name() const noexcept override { return "chatml"; }
    const std::vector<TokenId>& stopTokens() const noexcept override { return stop_; }

    std::vector<TokenId> render(std::span<const ChatMessage> messages,
                                const ChatOptions& options) const override {
        std::vector<TokenId> out;
        const bool ownSystem = !messages.empty() && roleName(messages[0].role) == "system";
        if (!messages.empty() && !ownSystem && !defaultSystem_.empty())
            message(out, "system", defaultSystem_);
        for (const ChatMessage& m : messages) message(out, roleName(m.role), m.content);
        if (options.generationPrompt) {
            out.push_back(start_);
            text(out, "assistant\n");
        }
        return out;
    }

    std::unique_ptr<ReplyParser> newParser(const ChatOptions&) const override {
        return std::make_unique<ChatMlParser>(tokenizer_, stop_);
    }

private:
    void text(std::vector<TokenId>& out, std::string_view plain) const {
        const auto ids = tokenizer_.encode(plain, SpecialTokens::AsText);
        out.insert(out.end(), ids.begin(), ids.end());
    }
    // Role and content are encoded together: a content that begins with a line end would merge with
    // the one after the role.
    void message(std::vector<TokenId>& out, std::string_view role, std::string_view content) const {
        out.push_back(start_);
        text(out, std::string(role) + "\n" + std::string(content));
        out.push_back(end_);
        text(out, "\n");
    }

    const Tokenizer& tokenizer_;
    TokenId start_, end_;
    std::string_view defaultSystem_;
    std::vector<TokenId> stop_;
};

}  // namespace

std::unique_ptr<ChatFormat> makeChatMl(const Tokenizer& tokenizer) {
    const auto start = tokenizer.find(kStart);
    const auto end = tokenizer.find(kEnd);
    if (!start || !end) return nullptr;
    const std::string source = withLineEnds(tokenizer.chatTemplate());
    for (const KnownTemplate& known : kTemplates)
        if (known.source == source)
            return std::make_unique<ChatMl>(tokenizer, *start, *end, known.defaultSystem);
    return nullptr;
}

}  // namespace moescope::text
