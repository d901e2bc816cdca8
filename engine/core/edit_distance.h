// SPDX-License-Identifier: Apache-2.0
// How far a mistyped name is from a known one.
#pragma once

#include <cstddef>
#include <string_view>

namespace moescope {

/// Levenshtein distance over bytes: insertions, deletions and replacements that turn `a` into `b`.
/// Costs the product of both lengths in time: cap what comes from a file.
std::size_t editDistance(std::string_view a, std::string_view b);

}  // namespace moescope
