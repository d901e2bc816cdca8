// SPDX-License-Identifier: Apache-2.0
// Makers of the chat formats; chat.cpp holds the table that chooses among them.
#pragma once

#include <memory>

#include "engine/text/chat.h"

namespace moescope::text {

/// Null when the tokenizer is not one for harmony; Error when it has only some of its tokens.
std::unique_ptr<ChatFormat> makeHarmony(const Tokenizer& tokenizer);

/// Null when the chat template is none of the ChatML templates known.
std::unique_ptr<ChatFormat> makeChatMl(const Tokenizer& tokenizer);

}  // namespace moescope::text
