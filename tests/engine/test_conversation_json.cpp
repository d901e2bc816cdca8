// SPDX-License-Identifier: Apache-2.0
// Conversations and functions in the JSON of OpenAI's chat completions.
#include "engine/text/template_format.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;

namespace {

std::vector<ChatMessage> messages(const std::string& json) {
    return chatMessagesFromJson(parseOrderedJson(json, "test"));
}

}  // namespace

TEST_CASE("an assistant message becomes reasoning then content then calls") {
    const auto m = messages(
        R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "reasoning_content": "why", "content": "I look.",
             "tool_calls": [{"id": "c1", "type": "function",
                             "function": {"name": "f", "arguments": {"z": 1, "a": "ü"}}},
                            {"id": "c2", "function": {"name": "g", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c2", "content": "r"},
            {"role": "assistant", "content": null}])");
    REQUIRE(m.size() == 7);
    CHECK(m[0].content == "ab");
    CHECK(m[1].channel == "analysis");
    CHECK(m[1].content == "why");
    CHECK(m[2].channel == "commentary");
    CHECK(m[2].content == "I look.");
    CHECK(m[3].recipient == "functions.f");
    CHECK(m[3].content == "{\"z\": 1, \"a\": \"ü\"}");
    CHECK(m[4].recipient == "functions.g");
    CHECK(m[5].name == "functions.g");
    CHECK(m[5].recipient == "assistant");
    CHECK(m[6].channel == "final");
    CHECK(m[6].content.empty());
}

TEST_CASE("conversations that cannot be read are refused by message and field") {
    CHECK_THROWS_WITH(messages("{}"), Catch::Contains("no JSON list"));
    CHECK_THROWS_WITH(messages("[1]"), Catch::Contains("message 1: is no JSON object"));
    CHECK_THROWS_WITH(messages(R"([{"role": "user", "content": "a"}, {"role": "bot"}])"),
                      Catch::Contains("message 2: \"role\" is 'bot'"));
    CHECK_THROWS_WITH(messages(R"([{"role": "user"}])"),
                      Catch::Contains("message 1: has no \"content\""));
    CHECK_THROWS_WITH(messages(R"([{"role": "system", "content": null}])"),
                      Catch::Contains("message 1: has no \"content\""));
    CHECK_THROWS_WITH(messages(R"([{"role": "user", "content": 3}])"),
                      Catch::Contains("\"content\" is no text"));
    CHECK_THROWS_WITH(
        messages(R"([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}])"),
        Catch::Contains("only parts of type \"text\""));
    CHECK_THROWS_WITH(messages(R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])"),
                      Catch::Contains("a call has no \"name\""));
    CHECK_THROWS_WITH(messages(R"([{"role": "assistant", "tool_calls": {}}])"),
                      Catch::Contains("no list"));
}

TEST_CASE("templates see a function with every member it was given with") {
    const auto entry = [](const std::string& json) {
        const auto functions = toolFunctionsFromJson(parseOrderedJson("[" + json + "]", "test"));
        return text::templateJson(text::toolJson(functions.at(0)));
    };
    const std::string given =
        R"({"function": {"strict": true, "name": "f", "parameters": null}, "type": "function"})";
    CHECK(entry(given) == given);
    const std::string wrapped =
        R"({"type": "function", "function": {"name": "f", "strict": true, "description": ""}})";
    CHECK(entry(R"({"name": "f", "strict": true, "description": ""})") == wrapped);
    CHECK(entry(R"({"type": "function", "name": "f", "strict": true, "description": ""})") ==
          wrapped);
}

TEST_CASE("functions are read bare or wrapped and other tools are refused") {
    const auto read = [](const std::string& json) {
        return toolFunctionsFromJson(parseOrderedJson(json, "test"));
    };
    const auto f = read(
        R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"name": "g", "description": "d", "parameters": null}])");
    REQUIRE(f.size() == 2);
    CHECK(f[0].parameters.is_object());
    CHECK(f[1].description == "d");
    CHECK(f[1].parameters.is_null());
    CHECK_THROWS_WITH(read(R"([{"type": "web_search"}])"), Catch::Contains("'web_search'"));
    CHECK_THROWS_WITH(read(R"([{"name": ""}])"), Catch::Contains("tool 1: has no \"name\""));
    CHECK_THROWS_WITH(read(R"([{"name": "f", "parameters": []}])"),
                      Catch::Contains("no JSON schema"));
}
