// SPDX-License-Identifier: Apache-2.0
#include "engine/text/tagged_reply.h"

#include <algorithm>
#include <array>

namespace moescope::text {

TaggedReplyParser::TaggedReplyParser(const Tokenizer& tokenizer, std::vector<TokenId> stop,
                                     const ReplyTags& tags, bool thinking)
    : tokenizer_(tokenizer), stop_(std::move(stop)), tags_(tags) {
    open(thinking ? Part::Thinking : Part::Answer, thinking);
    channel_ = channelOf(part_);
}

std::string TaggedReplyParser::channelOf(Part part) const {
    if (part == Part::Thinking) return "analysis";
    if (part == Part::Call) return "commentary";
    return tags_.think.empty() ? "" : "final";
}

std::string TaggedReplyParser::feed(TokenId token) {
    if (finished_) return {};
    if (std::find(stop_.begin(), stop_.end(), token) != stop_.end()) {
        finished_ = true;
        pending_ += text_.flush();
        return advance(true);
    }
    const std::string_view bytes = tokenizer_.bytes(token);
    // Some conversions of Qwen3 list <think> among the control tokens.
    const std::array tags = {tags_.think, tags_.endThink, tags_.call, tags_.endCall};
    const bool isTag = !bytes.empty() && std::find(tags.begin(), tags.end(), bytes) != tags.end();
    if (tokenizer_.isSpecial(token) && !isTag) return {};
    pending_ += text_.add(bytes);
    return advance(false);
}

TaggedReplyParser::Found TaggedReplyParser::findTag() const {
    Found found;
    const auto look = [&](std::string_view tag, Part next) {
        const std::size_t at = tag.empty() ? std::string::npos : pending_.find(tag);
        if (at < found.at) found = {at, tag.size(), next};
    };
    if (part_ == Part::Answer) {
        look(tags_.think, Part::Thinking);
        look(tags_.call, Part::Call);
    } else {
        look(part_ == Part::Thinking ? tags_.endThink : tags_.endCall, Part::Answer);
    }
    return found;
}

/// Bytes at the end of pending_ that a tag could begin with.
std::size_t TaggedReplyParser::heldBack() const {
    std::size_t held = 0;
    const auto look = [&](std::string_view tag) {
        for (std::size_t n = std::min(tag.empty() ? 0 : tag.size() - 1, pending_.size()); n > held;
             --n) {
            if (pending_.ends_with(tag.substr(0, n))) held = n;
        }
    };
    if (part_ == Part::Answer) {
        look(tags_.think);
        look(tags_.call);
    } else {
        look(part_ == Part::Thinking ? tags_.endThink : tags_.endCall);
    }
    return held;
}

/// Looks through pending_: up to the first change of channel, or to the end of it when `last`.
std::string TaggedReplyParser::advance(bool last) {
    std::string out;
    while (true) {
        const Found tag = findTag();
        const bool found = tag.at != std::string::npos;
        const std::size_t length = found ? tag.at : pending_.size() - (last ? 0 : heldBack());
        std::string piece = release(pending_.substr(0, length));
        pending_.erase(0, length + tag.length);
        if (!found && last && part_ == Part::Answer) {
            piece += heldLineEnds_;
            content_ += heldLineEnds_;
            heldLineEnds_.clear();
        }
        if (!piece.empty()) {
            out = std::move(piece);
            channel_ = channelOf(part_);
            message_ = messages_.size();
        }
        if (!found) return out;
        closePart(true);
        open(tag.next, true);
        if (!out.empty() && !last) return out;
    }
}

std::string TaggedReplyParser::release(std::string text) {
    if (trimStart_) {
        text.erase(0, std::min(text.find_first_not_of('\n'), text.size()));
        if (text.empty()) return {};
        trimStart_ = false;
    }
    text.insert(0, heldLineEnds_);
    const std::size_t end = text.find_last_not_of('\n');
    const std::size_t kept = end == std::string::npos ? 0 : end + 1;
    heldLineEnds_ = text.substr(kept);
    text.resize(kept);
    content_ += text;
    return text;
}

void TaggedReplyParser::open(Part part, bool afterTag) {
    part_ = part;
    trimStart_ = afterTag;
    heldLineEnds_.clear();
    content_.clear();
}

void TaggedReplyParser::closePart(bool atTag) {
    if (content_.empty()) return;
    ChatMessage message;
    message.role = Role::Assistant;
    message.channel = channelOf(part_);
    if (part_ != Part::Call || !atTag || tags_.readCall == nullptr ||
        !tags_.readCall(content_, message))
        message.content = content_;
    messages_.push_back(std::move(message));
    content_.clear();
}

std::vector<ChatMessage> TaggedReplyParser::finish() {
    if (!finished_) {
        finished_ = true;
        pending_ += text_.flush();
        advance(true);
    }
    closePart(false);
    return messages_;
}

}  // namespace moescope::text
