// SPDX-License-Identifier: Apache-2.0
// Comma-separated lists on the command line.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace moescope::cli {

/// "a, b" -> {"a", "b"}: without the spaces around a part; empty parts are dropped.
std::vector<std::string> splitList(const std::string& text);

/// "1,2,4": integers from `least` (0 or more) to `most`; UsageError names the option.
std::vector<int> parseIntList(const std::string& text, const std::string& option,
                              int most = std::numeric_limits<int>::max(), int least = 1);

}  // namespace moescope::cli
