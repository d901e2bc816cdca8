// SPDX-License-Identifier: Apache-2.0
// Makers of the chat formats; chat.cpp holds the tables that choose among them.
#pragma once

#include <memory>

#include "engine/text/chat.h"

namespace moescope::text {

/// Harmony is told by its control tokens: no other format has them.
bool hasHarmonyTokens(const Tokenizer& tokenizer);

// Each throws Error naming the control token that the tokenizer lacks.
std::unique_ptr<ChatFormat> makeHarmony(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeChatMl(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeSmolLm(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeQwen2(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeQwen25(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeQwen3(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeMistral(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeMistralPlain(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeMistral7bV01(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeOlmo2(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeTulu(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeOlmo3(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeOlmo3Think(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makeGemma3(const Tokenizer& tokenizer);
std::unique_ptr<ChatFormat> makePlain(const Tokenizer& tokenizer);

}  // namespace moescope::text
