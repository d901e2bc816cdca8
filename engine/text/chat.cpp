// SPDX-License-Identifier: Apache-2.0
// Chooses the conversation format of a tokenizer.
#include "engine/text/chat.h"

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/text/chat_formats.h"

namespace moescope {
namespace {

using Maker = std::unique_ptr<ChatFormat> (*)(const Tokenizer&);
constexpr Maker kMakers[] = {text::makeHarmony, text::makeChatMl};

}  // namespace

std::unique_ptr<ChatFormat> chatFormatFor(const Tokenizer& tokenizer) {
    for (const Maker make : kMakers)
        if (auto format = make(tokenizer)) return format;
    const std::string& source = tokenizer.chatTemplate();
    if (source.empty()) return nullptr;
    constexpr std::size_t kShown = 60;
    std::string shown = toValidUtf8(source.substr(0, kShown));
    for (char& c : shown)
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    throw Error(
        "unknown chat template '" + shown + "' (sha256 " + sha256Hex(source) + ")",
        "harmony and the ChatML templates of SmolLM2 and its like are known; a prompt without "
        "a template works");
}

}  // namespace moescope
