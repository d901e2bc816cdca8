// SPDX-License-Identifier: Apache-2.0
// What a core can do at most: loops of independent multiply-adds that never leave the registers.
#pragma once

#include <nlohmann/json.hpp>

namespace moescope {

/// Multiply-adds a second in units of 1e9, of the calling thread; 0 where the machine lacks the
/// instruction.
struct Peak {
    const char* name;  ///< "fp32", "bf16", "int16", "int8"
    double (*run)();
};
inline constexpr int kPeaks = 4;
extern const Peak kPeakTable[kPeaks];

/// Operations a second (a multiply-add counts two) of `threads` threads at the same time, by the
/// names above; kinds that the machine lacks are absent. The best of two tries, 0.1 s in all.
nlohmann::json computePeaks(int threads);

}  // namespace moescope
