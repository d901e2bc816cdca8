// SPDX-License-Identifier: Apache-2.0
// What gpt-oss is told about tools: the sections "# Tools" of system and developer message.
#pragma once

#include <span>
#include <string>

#include "engine/text/chat.h"

namespace moescope::text {

/// Agree with openai-harmony 0.0.8; `functions` and `tools` not empty. No line end at the end.
std::string functionsSection(std::span<const ToolFunction> functions);
std::string builtinSection(std::span<const BuiltinTool> tools);

}  // namespace moescope::text
