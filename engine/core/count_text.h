// SPDX-License-Identifier: Apache-2.0
// "1 step", "12 steps": the one rule for the plural of what is counted.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace moescope {

/// `one` is a regular noun, or a phrase that ends in one: of anything but 1 it gets "s", or "es"
/// ("launches").
template <std::integral N>
std::string plural(N n, std::string_view one) {
    return std::string(one) + (n == 1 ? "" : one.ends_with("ch") ? "es" : "s");
}

/// The number as plain digits before the noun.
template <std::integral N>
std::string countText(N n, std::string_view one) {
    return std::to_string(n) + ' ' + plural(n, one);
}

}  // namespace moescope
