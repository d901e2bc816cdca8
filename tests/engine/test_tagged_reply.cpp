// SPDX-License-Identifier: Apache-2.0
// Replies with reasoning and calls between tags, token by token.
#include <map>
#include <random>

#include "engine/text/tagged_reply.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

namespace {

std::unique_ptr<Tokenizer> qwen() {
    return makeTokenizer(smallData("qwen2", {}, {"<|im_start|>", "<|im_end|>"}));
}

struct Parsed {
    std::vector<ChatMessage> messages;
    std::string streamed;  // "[channel]text" for every change of channel
};

Parsed parse(const std::string& text, const ChatOptions& options = {}) {
    const auto t = qwen();
    const auto format = chatFormatNamed(*t, "qwen3");
    const auto parser = format->newParser(options);
    Parsed result;
    std::string last = "none";
    for (const TokenId id : t->encode(text, SpecialTokens::Parse)) {
        const std::string out = parser->feed(id);
        if (out.empty()) continue;
        if (parser->channel() != last) result.streamed += "[" + (last = parser->channel()) + "]";
        result.streamed += out;
    }
    result.messages = parser->finish();
    return result;
}

}  // namespace

TEST_CASE("reasoning between think tags is a message of its own") {
    const auto parsed = parse("<think>\nwhy\n\nso\n</think>\n\n4 is it.\n<|im_end|>ignored");
    REQUIRE(parsed.messages.size() == 2);
    CHECK(parsed.messages[0].channel == "analysis");
    CHECK(parsed.messages[0].content == "why\n\nso");
    CHECK(parsed.messages[1].channel == "final");
    CHECK(parsed.messages[1].content == "4 is it.\n");
    CHECK(parsed.streamed == "[analysis]why\n\nso[final]4 is it.\n");
}

TEST_CASE("a reply without reasoning is an answer and what only resembles a tag is text") {
    const auto parsed = parse("a < b <thin <think");
    REQUIRE(parsed.messages.size() == 1);
    CHECK(parsed.messages[0].channel == "final");
    CHECK(parsed.messages[0].content == "a < b <thin <think");
}

TEST_CASE("calls of tools are read and those that are no call are kept as they are") {
    const auto parsed = parse(
        "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1, \"a\": \"ü\"}}\n"
        "</tool_call>\n<tool_call>\nnot json\n</tool_call><|im_end|>");
    REQUIRE(parsed.messages.size() == 3);
    CHECK(parsed.messages[0].content == "I look.");
    CHECK(parsed.messages[1].recipient == "functions.f");
    CHECK(parsed.messages[1].content == "{\"b\": 1, \"a\": \"ü\"}");
    CHECK(parsed.messages[2].recipient.empty());
    CHECK(parsed.messages[2].channel == "commentary");
    CHECK(parsed.messages[2].content == "not json");
}

TEST_CASE("a reply that begins inside the reasoning is read so") {
    ChatOptions options;
    options.forcedChannel = "analysis";
    const auto parsed = parse("why</think>4", options);
    REQUIRE(parsed.messages.size() == 2);
    CHECK(parsed.messages[0].channel == "analysis");
    CHECK(parsed.messages[1].content == "4");
}

TEST_CASE("random replies with tags stream what they return") {
    const auto t = qwen();
    const auto format = chatFormatNamed(*t, "qwen3");
    const std::vector<std::string> pieces = {"<think>", "</think>", "<tool_call>", "</tool_call>",
                                             "\n",      "a",        "<",           "{}"};
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        const auto parser = format->newParser({});
        std::string streamed;
        std::map<std::size_t, std::string> parts;
        for (int i = 0; i < 12; ++i) {
            const std::string& piece = pieces[random() % pieces.size()];
            for (const TokenId id : t->encode(piece, SpecialTokens::AsText)) {
                const std::string out = parser->feed(id);
                streamed += out;
                if (!out.empty()) parts[parser->message()] += out;
            }
        }
        std::string contents;
        const std::vector<ChatMessage> messages = parser->finish();
        for (const auto& [message, text] : parts) {
            const ChatMessage& m = messages.at(message);  // a call's content is what is in it
            if (m.recipient.empty()) REQUIRE(m.content.starts_with(text));
        }
        for (const ChatMessage& m : messages) {
            if (m.channel == "analysis") REQUIRE(m.content.find("</think>") == std::string::npos);
            contents += m.content;
        }
        REQUIRE(contents.starts_with(streamed));
    }
}
