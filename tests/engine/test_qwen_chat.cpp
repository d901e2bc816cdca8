// SPDX-License-Identifier: Apache-2.0
// Qwen2.5's chat format beyond what its template prints (test_chat_golden.cpp).
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

TEST_CASE("Qwen2.5 begins with instructions of its own, calls tools and does not reason") {
    auto data = smallData("qwen2", {}, {"<|im_start|>", "<|im_end|>", "<|endoftext|>"});
    data.endOfText = {258};
    const auto t = makeTokenizer(std::move(data));
    const auto format = chatFormatNamed(*t, "qwen2.5");
    CHECK(t->decode(
              format->render(std::vector<ChatMessage>{{Role::User, "U", "", "", "", ""}}, {})) ==
          "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
          "assistant.<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n");
    ChatOptions options;
    options.thinking = true;
    CHECK_THROWS_WITH(format->render({}, options), Catch::Contains("no reasoning to switch on"));
    const auto parser = format->newParser({});
    for (const TokenId id : t->encode("<think>x</think>\n<tool_call>\n{\"name\": \"f\", "
                                      "\"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>",
                                      SpecialTokens::Parse))
        parser->feed(id);
    const auto messages = parser->finish();
    REQUIRE(messages.size() == 2);
    CHECK(messages[0].content == "<think>x</think>");
    CHECK(messages[1].recipient == "functions.f");
    CHECK(messages[1].content == "{\"a\": 1}");
}
