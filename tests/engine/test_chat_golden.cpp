// SPDX-License-Identifier: Apache-2.0
// Chat formats against the programs that define them: openai-harmony and the models' own Jinja
// templates (tests/golden/make_harmony_golden.py, make_chat_golden.py).
#include <map>

#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;
using OrderedJson = nlohmann::ordered_json;

namespace {

std::filesystem::path goldenFile(const std::string& name) {
    return std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/chat" / name;
}

OrderedJson golden(const std::string& name) {
    return parseOrderedJson(readFile(goldenFile(name)), name);
}

/// Bytes as tokens, and every control token that a format asks for.
std::unique_ptr<Tokenizer> smallTokenizer(const std::string& chatTemplate) {
    auto data = smallData(
        "gpt-4o", {},
        {"<eos>", "<bos>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>"});
    data.chatTemplate = chatTemplate;
    data.bos = 257;
    data.endOfText = {256};
    return makeTokenizer(std::move(data));
}

std::unique_ptr<Tokenizer> smallHarmony() {
    return makeTokenizer(smallData("gpt-4o", {},
                                   {"<|start|>", "<|end|>", "<|message|>", "<|channel|>",
                                    "<|return|>", "<|call|>", "<|constrain|>"}));
}

ReasoningEffort effort(const std::string& name) {
    if (name == "low") return ReasoningEffort::Low;
    return name == "high" ? ReasoningEffort::High : ReasoningEffort::Medium;
}

ChatOptions harmonyOptions(const OrderedJson& row) {
    ChatOptions options;
    options.generationPrompt = row.value("prompt", true);
    if (row.contains("options")) {
        const OrderedJson& given = row["options"];
        options.reasoning = effort(given.value("reasoning", "medium"));
        options.modelIdentity = given.value("identity", options.modelIdentity);
        options.knowledgeCutoff = given.value("cutoff", options.knowledgeCutoff);
        options.currentDate = given.value("date", "");
        options.channels = given.value("channels", options.channels);
        options.keepAnalysis = given.value("keep_analysis", false);
    }
    if (row.contains("tools")) options.functions = toolFunctionsFromJson(row["tools"]);
    if (row.contains("builtin"))
        for (const auto& name : row["builtin"])
            options.builtinTools.push_back(name == "python" ? BuiltinTool::Python
                                                            : BuiltinTool::Browser);
    return options;
}

}  // namespace

TEST_CASE("harmony renders conversations and functions as openai-harmony does") {
    const auto t = smallHarmony();
    const auto format = chatFormatFor(*t);
    int rows = 0;
    const OrderedJson file = golden("harmony.json");
    for (const auto& row : file["conversations"]) {
        INFO(row.dump());
        const auto messages = chatMessagesFromJson(row["messages"]);
        CHECK(t->decode(format->render(messages, harmonyOptions(row))) ==
              row["text"].get<std::string>());
        ++rows;
    }
    CHECK(rows >= 125);
}

TEST_CASE("harmony parses replies as openai-harmony does") {
    const auto t = smallHarmony();
    const auto format = chatFormatFor(*t);
    const OrderedJson file = golden("harmony.json");
    REQUIRE(file["replies"].size() >= 13);
    for (const auto& row : file["replies"]) {
        INFO(row.dump());
        const auto parser = format->newParser({});
        for (const TokenId id : t->encode(row["reply"].get<std::string>(), SpecialTokens::Parse))
            parser->feed(id);
        const auto messages = parser->finish();
        REQUIRE(messages.size() == row["messages"].size());
        for (std::size_t i = 0; i < messages.size(); ++i) {
            const OrderedJson& expected = row["messages"][i];
            CHECK(messages[i].channel == expected["channel"].get<std::string>());
            CHECK(messages[i].recipient == expected["recipient"].get<std::string>());
            CHECK(messages[i].contentType == expected["content_type"].get<std::string>());
            CHECK(messages[i].content == expected["content"].get<std::string>());
        }
    }
}

TEST_CASE("chat formats print what the templates of their models print") {
    std::map<std::string, int> rows;
    for (const auto& row : golden("templates.json")) {
        INFO(row.dump());
        const auto name = row["template"].get<std::string>();
        const auto t = smallTokenizer(readFile(goldenFile("templates/" + name + ".jinja")));
        const auto format = chatFormatFor(*t);
        REQUIRE(format != nullptr);
        ++rows[std::string(format->name())];
        ChatOptions options;
        options.generationPrompt = row["prompt"].get<bool>();
        if (row.contains("thinking")) options.thinking = row["thinking"].get<bool>();
        if (row.contains("tools")) options.functions = toolFunctionsFromJson(row["tools"]);
        const auto messages = chatMessagesFromJson(row["messages"]);
        CHECK(t->decode(format->render(messages, options)) == row["text"].get<std::string>());
    }
    const std::vector<std::string> names = {
        "chatml", "gemma3",  "olmo2", "olmo3",  "olmo3-think", "mistral",        "mistral-plain",
        "qwen2",  "qwen2.5", "qwen3", "smollm", "tulu",        "mistral-7b-v0.1"};
    REQUIRE(rows.size() == names.size());
    for (const std::string& name : names) CHECK(rows[name] >= 3);
}

TEST_CASE("Qwen3 conversations give the ids of encoding the rendered template") {
    const auto archive = sharedFile("tokenizers/qwen3.tokenizer.json.xz");
    if (!present(archive)) return;
    const Unpacked file(archive);
    if (file.path.empty()) {
        WARN("skipped: xz is not installed");
        return;
    }
    const auto t = tokenizerFromJson(file.path);
    const auto format = chatFormatNamed(*t, "qwen3");
    const OrderedJson rows = golden("templates.json");
    for (const auto& row : rows) {
        if (row["template"] != "qwen3") continue;
        ChatOptions options;
        options.generationPrompt = row["prompt"].get<bool>();
        if (row.contains("thinking")) options.thinking = row["thinking"].get<bool>();
        if (row.contains("tools")) options.functions = toolFunctionsFromJson(row["tools"]);
        const auto messages = chatMessagesFromJson(row["messages"]);
        CHECK(format->render(messages, options) ==
              t->encode(row["text"].get<std::string>(), SpecialTokens::Parse));
    }
}
