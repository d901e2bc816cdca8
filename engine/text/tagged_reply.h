// SPDX-License-Identifier: Apache-2.0
// Replies that mark reasoning and calls of tools by tags in the text (<think> ... </think>).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/text/chat.h"
#include "engine/text/reply_text.h"

namespace moescope::text {

/// Fills recipient and content from what stood between the tags; false: it is no call.
using ReadCall = bool (*)(std::string_view body, ChatMessage& call);

struct ReplyTags {
    std::string_view think, endThink;  ///< empty: the format has no reasoning
    std::string_view call, endCall;    ///< empty: the format has no calls
    ReadCall readCall = nullptr;
};

/// Works on the text, so it does not matter whether a tag is one token or several; what could be
/// the beginning of a tag is held back. Line ends next to tags belong to the template and are
/// dropped. Where reasoning exists the answer's channel is "final", otherwise it has none. A call
/// that cannot be read stays as it is, in channel "commentary" and without a recipient.
///
/// A token that ends one channel and begins another gives the first part; the rest comes with the
/// next token.
class TaggedReplyParser final : public ReplyParser {
public:
    /// `tokenizer` must outlive the parser. `thinking`: the prompt ended inside the reasoning.
    TaggedReplyParser(const Tokenizer& tokenizer, std::vector<TokenId> stop, const ReplyTags& tags,
                      bool thinking);

    std::string feed(TokenId token) override;
    const std::string& channel() const noexcept override { return channel_; }
    std::size_t message() const noexcept override { return message_; }
    bool finished() const noexcept override { return finished_; }
    std::vector<ChatMessage> finish() override;

private:
    enum class Part : std::uint8_t { Answer, Thinking, Call };
    struct Found {
        std::size_t at = std::string::npos;
        std::size_t length = 0;
        Part next = Part::Answer;
    };

    Found findTag() const;
    std::size_t heldBack() const;
    std::string advance(bool last);
    std::string release(std::string text);
    void closePart(bool atTag);
    void open(Part part, bool afterTag);
    std::string channelOf(Part part) const;

    const Tokenizer& tokenizer_;
    std::vector<TokenId> stop_;
    ReplyTags tags_;
    Part part_ = Part::Answer;
    bool trimStart_ = false;    // the part has nothing but line ends so far, and they are dropped
    std::string pending_;       // not looked through yet, or perhaps the beginning of a tag
    std::string heldLineEnds_;  // at the end of the part so far
    std::string content_;       // of the part
    std::string channel_;       // of what feed() returned last
    std::size_t message_ = 0;   // likewise
    ReplyText text_;
    std::vector<ChatMessage> messages_;
    bool finished_ = false;
};

}  // namespace moescope::text
