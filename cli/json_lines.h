// SPDX-License-Identifier: Apache-2.0
// JSON-lines input of score, generate, tokenize and profile: fields checked, errors with file and
// line.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/core/types.h"

namespace moescope::cli {

/// Members in the order of the text: arguments of tool calls are shown to a model as they stand.
using JsonLine = nlohmann::ordered_json;

/// Calls `visit(object, line number from 1)`. Blank lines are skipped. Throws Error naming file and
/// line for malformed JSON, lines that are no object, keys that are not among `known`, a file
/// without lines, and whatever Error `visit` throws; UsageError, which is of the options, passes
/// unchanged.
void readJsonLines(const std::filesystem::path& path, const std::vector<std::string>& known,
                   const std::function<void(const JsonLine&, std::size_t)>& visit);

/// "F.jsonl: line 3": how an error about a line begins.
std::string lineName(const std::filesystem::path& path, std::size_t number);

/// A string, or an array of token ids; Error says what was wanted.
std::string textField(const JsonLine& line, const char* field);
std::vector<TokenId> tokensField(const JsonLine& line, const char* field);

/// The line's "id" as text (a number is printed), or its number when it has none.
std::string idField(const JsonLine& line, std::size_t number);

/// The ids of a file's lines, by which their results are found again.
class LineIds {
public:
    /// idField; Error when an earlier line has the same.
    std::string next(const JsonLine& line, std::size_t number);

private:
    std::unordered_map<std::string, std::size_t> lines_;  ///< by id
};

}  // namespace moescope::cli
