// SPDX-License-Identifier: Apache-2.0
#include "cli/lists.h"

#include <algorithm>
#include <charconv>

#include "engine/core/error.h"

namespace moescope::cli {

std::vector<std::string> splitList(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find(',', start), text.size());
        const std::size_t first = std::min(text.find_first_not_of(' ', start), end);
        if (first < end) {
            const std::size_t last = text.find_last_not_of(' ', end - 1);
            out.push_back(text.substr(first, last + 1 - first));
        }
        start = end + 1;
    }
    return out;
}

std::vector<int> parseIntList(const std::string& text, const std::string& option, int most,
                              int least) {
    std::vector<int> out;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at <= end) {
        int value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value < least || value > most ||
            (next != end && *next != ',')) {
            throw UsageError(option + " takes whole numbers from " + std::to_string(least) +
                             " to " + std::to_string(most) + " separated by commas, not '" + text +
                             "'");
        }
        out.push_back(value);
        if (next == end) break;
        at = next + 1;
    }
    return out;
}

}  // namespace moescope::cli
