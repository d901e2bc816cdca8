// SPDX-License-Identifier: Apache-2.0
// Any bytes to text that shows what it really holds, on a page, in Markdown and on a terminal,
// which would obey its control characters. Names, prompts and token texts come from models and from
// strangers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace moescope {

/// Invalid bytes become <xE2>, control characters their Unicode pictures, and invisible or
/// direction-changing characters and the second half of the controls (U+0080 to U+009F) <U+202E>,
/// all in angle brackets U+27E8 and U+27E9. Tabs and line feeds stay.
std::string visibleText(std::string_view bytes);
/// The control characters alone, carriage returns aside: for tables that other programs read, whose
/// bytes must stay what they can.
std::string withoutControls(std::string_view bytes);
/// visibleText of bytes that come in pieces, which may end within a character.
class VisibleStream {
public:
    std::string add(std::string_view bytes);
    std::string finish();  ///< what waited for the rest of its character

private:
    std::string held_;
};
/// The same as visibleText on one line: tabs and line feeds become spaces.
std::string visibleLine(std::string_view bytes);

/// At most `characters` code points of `bytes`, with an ellipsis when cut. Never splits a valid
/// UTF-8 sequence.
std::string shorten(std::string_view bytes, std::size_t characters);

}  // namespace moescope
