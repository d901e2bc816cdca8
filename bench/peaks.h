// SPDX-License-Identifier: Apache-2.0
// What one core can do at most: loops of independent multiply-adds that never leave the registers.
#pragma once

namespace moescope::bench {

/// Multiply-adds a second in units of 1e9, of the calling thread; 0 where the machine lacks the
/// instruction.
struct Peak {
    const char* name;  ///< "fp32", "bf16", "int16", "int8"
    double (*run)();
};
inline constexpr int kPeaks = 4;
extern const Peak kPeakTable[kPeaks];

}  // namespace moescope::bench
