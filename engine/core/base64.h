// SPDX-License-Identifier: Apache-2.0
// Base64 with the alphabet of RFC 4648, section 4, padded.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moescope {

std::string encodeBase64(std::string_view bytes);

/// Nothing for text that is empty, of a length that is no multiple of four, or with a character
/// outside the alphabet (line breaks are such).
std::optional<std::string> decodeBase64(std::string_view text);

}  // namespace moescope
