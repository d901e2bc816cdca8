// SPDX-License-Identifier: Apache-2.0
// How far a mistyped name is from a known one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

/// Levenshtein distance over bytes: insertions, deletions and replacements that turn `a` into `b`.
/// Costs the product of both lengths in time: cap what comes from a file.
std::size_t editDistance(std::string_view a, std::string_view b);

/// The closest of `candidates` within an edit distance of a third of the word's length; of two at
/// the same distance the one that begins as the word does for longer; "" if none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace moescope
