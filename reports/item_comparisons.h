// SPDX-License-Identifier: Apache-2.0
// Routing of groups of people, in words, rows and JSON: the same in the terminal, in every report
// and in the window.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/item_groups.h"

namespace moescope {

/// As programs read it: "texts", "whole_blocks", "within_blocks"; "all", "shared".
const char* exchangeName(Exchange exchange);
const char* tokensName(ItemTokens tokens);

/// "within 48 cases", "of 32 cases, whole": between which items the groups' names were exchanged.
std::string exchangeText(const Specialization& of);
/// "the 38.5 behind what differs" (a mean), "all".
std::string tokensText(const ItemComparison& comparison);
/// "black, hispanic, indian, white", cut to a line.
std::string levelsText(const Specialization& of);
/// "0.00031 (by chance 0.00030)", bits; why there is nothing where nothing could be compared.
std::string divergenceText(const ItemComparison& comparison);

/// What to make of them: which differ beyond chance, and what that does not say.
std::vector<std::string> itemComparisonSentences(std::span<const ItemComparison> comparisons);

/// [{"suite", "key", "tokens", .. , "specialization"}]
nlohmann::json itemComparisonsJson(std::span<const ItemComparison> comparisons);

}  // namespace moescope
