// SPDX-License-Identifier: Apache-2.0
// JSON-lines input of score, tokenize and profile: fields checked, errors with file and line.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/core/types.h"

namespace moescope::cli {

/// Calls `visit(object, line number from 1)`. Blank lines are skipped. Throws Error naming file and
/// line for malformed JSON, lines that are no object, and whatever Error `visit` throws.
void readJsonLines(const std::filesystem::path& path,
                   const std::function<void(const nlohmann::json&, std::size_t)>& visit);

/// A string, or an array of token ids; Error says what was found instead.
std::string textField(const nlohmann::json& line, const char* field, std::size_t number);
std::vector<TokenId> tokensField(const nlohmann::json& line, const char* field, std::size_t number);

/// The line's "id" as text (a number is printed), or its number when it has none.
std::string idField(const nlohmann::json& line, std::size_t number);

}  // namespace moescope::cli
