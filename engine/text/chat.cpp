// SPDX-License-Identifier: Apache-2.0
// Chooses the conversation format of a tokenizer.
#include "engine/text/chat.h"

#include <array>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/text/chat_formats.h"
#include "engine/text/known_templates.h"

namespace moescope {
namespace {

struct Row {
    std::string_view name;
    std::unique_ptr<ChatFormat> (*make)(const Tokenizer&);
};
constexpr std::array kFormats = {
    Row{"harmony", text::makeHarmony},
    Row{"chatml", text::makeChatMl},
    Row{"smollm", text::makeSmolLm},
    Row{"qwen2", text::makeQwen2},
    Row{"qwen2.5", text::makeQwen25},
    Row{"qwen3", text::makeQwen3},
    Row{"mistral", text::makeMistral},
    Row{"mistral-plain", text::makeMistralPlain},
    Row{"mistral-7b-v0.1", text::makeMistral7bV01},
    Row{"olmo2", text::makeOlmo2},
    Row{"tulu", text::makeTulu},
    Row{"olmo3", text::makeOlmo3},
    Row{"olmo3-think", text::makeOlmo3Think},
    Row{"gemma3", text::makeGemma3},
    Row{"plain", text::makePlain},
};

std::string knownNames() {
    std::string names;
    for (const Row& row : kFormats) {
        if (!names.empty()) names += ", ";
        names += row.name;
    }
    return names;
}

[[noreturn]] void refuse(const std::string& source) {
    constexpr std::size_t kShown = 60;
    std::string shown = toValidUtf8(source.substr(0, kShown));
    for (char& c : shown)
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    const std::string_view family = text::templateFamily(source);
    const std::string kind = family.empty() ? "" : " (of the family " + std::string(family) + ")";
    throw Error(
        "unknown chat template" + kind + " '" + shown + "' (sha256 " + sha256Hex(source) + ")",
        "a format can be named (" + knownNames() +
            "), if the model was trained on it; a prompt without a template works");
}

/// Harmony's template is long and changes often, its control tokens say more. Any template at all
/// is accepted that uses them.
bool isHarmony(const Tokenizer& tokenizer) {
    if (!text::hasHarmonyTokens(tokenizer)) return false;
    const std::string& source = tokenizer.chatTemplate();
    const auto uses = [&](std::string_view mark) { return source.find(mark) != std::string::npos; };
    return source.empty() || (uses("<|start|>") && uses("<|channel|>") && uses("<|message|>"));
}

std::string contentsOf(const std::vector<ChatMessage>& messages,
                       bool (*wanted)(std::string_view channel)) {
    std::string text;
    for (const ChatMessage& message : messages) {
        if (!wanted(message.channel) || message.content.empty()) continue;
        if (!text.empty()) text += kBetweenMessages;
        text += message.content;
    }
    return text;
}

}  // namespace

std::unique_ptr<ChatFormat> chatFormatFor(const Tokenizer& tokenizer) {
    if (isHarmony(tokenizer)) return text::makeHarmony(tokenizer);
    const std::string& source = tokenizer.chatTemplate();
    if (source.empty()) return nullptr;
    const std::string_view name = text::formatOfTemplate(source);
    if (name.empty()) refuse(source);
    return chatFormatNamed(tokenizer, name);
}

std::unique_ptr<ChatFormat> chatFormatNamed(const Tokenizer& tokenizer, std::string_view name) {
    for (const Row& row : kFormats)
        if (row.name == name) return row.make(tokenizer);
    throw UsageError("no chat format is named '" + std::string(name) + "'; known are " +
                     knownNames());
}

std::vector<std::string_view> chatFormatNames() {
    std::vector<std::string_view> names;
    for (const Row& row : kFormats) names.push_back(row.name);
    return names;
}

std::string answerOf(const std::vector<ChatMessage>& messages) {
    return contentsOf(messages, isAnswer);
}

std::string reasoningOf(const std::vector<ChatMessage>& messages) {
    return contentsOf(messages, isReasoning);
}

}  // namespace moescope
