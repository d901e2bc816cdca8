// SPDX-License-Identifier: Apache-2.0
// Numbers in texts that models write, in canonical form: "-1234.5" without separators, "+",
// currency and zeros that say nothing. A fraction, a time or a power is none.
#pragma once

#include <string>
#include <string_view>

#include "evals/text_scan.h"

namespace moescope {

/// The number that the line says from `at` on. Of a calculation ("3 + 4 = 7") what is behind the
/// last "="; where equal things have different values ("12 dollars = 1200 cents") none, since which
/// of the units was asked for is not said. In words the only number of the line.
Reading numberAt(std::string_view line, std::size_t at);
/// The same where nothing but a number is on the line.
Reading onlyNumberAt(std::string_view line, std::size_t at);
/// Whatever it is part of, but for a chain of equal things as above; empty: none.
std::string lastNumber(std::string_view text);
bool holdsDigits(std::string_view text);

}  // namespace moescope
