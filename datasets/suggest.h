// SPDX-License-Identifier: Apache-2.0
// Lists of names in messages; "did you mean": the known name nearest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moescope {

/// "; did you mean 'csv'?" for the nearest of `known` (at most a third of the longer name is
/// edited), else "; known: a, b, c" (at most 20 names), else "".
std::string didYouMean(std::string_view word, const std::vector<std::string>& known);

/// "a, b, c and 1,234 more": the first 12.
std::string someOf(const std::vector<std::string>& names);

}  // namespace moescope
