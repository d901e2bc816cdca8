// SPDX-License-Identifier: Apache-2.0
// JSON schemas as TypeScript types, the way gpt-oss is shown the arguments of functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace moescope::text {

/// Agrees with openai-harmony 0.0.8 (tests/golden/make_harmony_golden.py), oddities included: what
/// the model saw in training is what counts. Known types: object, string (with enum), number,
/// integer, boolean, array, lists of types, oneOf; all else is `any`. `indent`: before every line
/// of an object but its first.
std::string typescriptType(const nlohmann::ordered_json& schema, const std::string& indent = "");

}  // namespace moescope::text
