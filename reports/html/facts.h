// SPDX-License-Identifier: Apache-2.0
// JSON of a run file as rows of facts: names in words, values with their units.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "reports/html/table.h"

namespace moescope {

/// A leaf, or a list of leaves, as a person reads it; `key` tells the unit (formatFact).
std::string factText(const std::string& key, const nlohmann::json& value);

/// One row of `table` (two columns) for each leaf of `value` that says something; "cpu.name"
/// becomes "cpu name", the second of a list of objects "texts 2 name". `label` is what the names
/// begin with, `key` tells the unit of a leaf.
void addFacts(HtmlTable& table, const std::string& label, const std::string& key,
              const nlohmann::json& value, int depth = 0);

/// The settings of a suite, JSON, as a table; as they are where they are no JSON object.
std::string settingsHtml(const std::string& caption, const std::string& settings);

}  // namespace moescope
