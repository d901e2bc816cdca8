// SPDX-License-Identifier: Apache-2.0
// Layout of the generated Unicode 16.0 tables (scripts/make-unicode-tables).
#pragma once

#include <cstddef>
#include <cstdint>

namespace moescope::unicode {

/// `length` consecutive code points share `value`; runs cover 0 to U+10FFFF without gaps.
struct ValueRun {
    std::uint32_t length;
    std::uint8_t value;
};

/// Canonical decomposition of one code point, sorted by `codePoint`. Hangul is done by arithmetic.
struct Decomposition {
    std::uint32_t codePoint;
    std::uint32_t first;
    std::uint32_t second;   ///< 0 for a singleton
    std::uint8_t composes;  ///< first + second compose to codePoint under NFC
};

extern const ValueRun kClassTable[];  ///< value: CharClass bits
extern const std::size_t kClassCount;
extern const ValueRun kCombiningTable[];  ///< value: canonical combining class
extern const std::size_t kCombiningCount;
extern const Decomposition kDecompositionTable[];
extern const std::size_t kDecompositionCount;

}  // namespace moescope::unicode
