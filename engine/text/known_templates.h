// SPDX-License-Identifier: Apache-2.0
// Chat templates whose output is known exactly, by the SHA-256 of their canonical text.
#pragma once

#include <string>
#include <string_view>

namespace moescope::text {

/// Name of the chat format that prints what this template prints; empty when it is not known.
std::string_view formatOfTemplate(std::string_view source);

/// Whose template an unknown one resembles ("Llama 3"), for messages; empty: no idea.
std::string_view templateFamily(std::string_view source);

}  // namespace moescope::text
