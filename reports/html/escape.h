// SPDX-License-Identifier: Apache-2.0
// Any bytes to text that is safe inside HTML and shows what it really holds. Token texts, prompts
// and file names come from models and from strangers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace moescope {

/// For element content and quoted attributes. Markup characters become references. Invalid bytes
/// become <xE2>, control characters their Unicode pictures, and invisible or direction-changing
/// characters <U+202E>, all in angle brackets U+27E8 and U+27E9. Tabs and newlines stay.
std::string htmlEscape(std::string_view bytes);

/// As htmlEscape, with the line feed shown as a return arrow before the break: for token texts.
std::string htmlEscapeToken(std::string_view bytes);

/// At most `characters` code points of `bytes`, with an ellipsis when cut. Never splits a valid
/// UTF-8 sequence.
std::string shorten(std::string_view bytes, std::size_t characters);

}  // namespace moescope
