// SPDX-License-Identifier: Apache-2.0
// Any bytes to text that is safe inside HTML and shows what it really holds.
#pragma once

#include <string>
#include <string_view>

#include "reports/visible_text.h"

namespace moescope {

/// visibleText for element content and quoted attributes: markup characters become references.
std::string htmlEscape(std::string_view bytes);

/// As htmlEscape, with the line feed shown as a return arrow before the break: for token texts.
std::string htmlEscapeToken(std::string_view bytes);

}  // namespace moescope
