// SPDX-License-Identifier: Apache-2.0
// Comma-separated lists on the command line.
#pragma once

#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/error.h"

namespace moescope::cli {

/// "a, b" -> {"a", "b"}: without the spaces around a part; empty parts are dropped.
std::vector<std::string> splitList(const std::string& text);

/// "1,2,4": integers from `least` (0 or more) to `most`; UsageError names the option.
std::vector<int> parseIntList(const std::string& text, const std::string& option,
                              int most = std::numeric_limits<int>::max(), int least = 1);

/// What stands beside `word`; UsageError names the option and the words that it takes.
template <class T, std::size_t N>
T chosenBy(const std::string& word, const std::string& option,
           const std::array<std::pair<const char*, T>, N>& words) {
    std::string known;
    for (const auto& [name, value] : words) {
        if (word == name) return value;
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw UsageError(option + " takes one of " + known + ", not '" + word + "'");
}

}  // namespace moescope::cli
