// SPDX-License-Identifier: Apache-2.0
// "1 step", "12 steps", "1,234 steps": the one rule for the plural of what is counted.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace moescope {

/// `one` is a regular noun, or a phrase that ends in one: of anything but 1 it gets "s", or "es"
/// ("launches"), or "ies" ("replies").
template <std::integral N>
std::string plural(N n, std::string_view one) {
    const bool vowel = one.find_last_of("aeiou") + 2 == one.size();  // before the last letter
    if (n != 1 && one.ends_with('y') && !vowel)
        return std::string(one.substr(0, one.size() - 1)) + "ies";
    return std::string(one) + (n == 1 ? "" : one.ends_with("ch") ? "es" : "s");
}

/// The number as plain digits before the noun.
template <std::integral N>
std::string countText(N n, std::string_view one) {
    return std::to_string(n) + ' ' + plural(n, one);
}

/// "-1,234,567"
template <std::integral N>
std::string groupedDigits(N n) {
    std::string text = std::to_string(n);
    for (std::size_t at = text.size(); at > 3 && text[at - 4] != '-';) text.insert(at -= 3, 1, ',');
    return text;
}

/// groupedDigits before the noun.
template <std::integral N>
std::string groupedCount(N n, std::string_view one) {
    return groupedDigits(n) + ' ' + plural(n, one);
}

}  // namespace moescope
