// SPDX-License-Identifier: Apache-2.0
// Round values for the axes of figures, in pages and in the window.
#pragma once

#include <vector>

namespace moescope {

/// About `count` round values within low..high, which must be finite with low < high.
std::vector<double> axisTicks(double low, double high, int count);

/// Powers of ten within low..high, which must be above 0 with low < high; where they are fewer than
/// three, twice and five times them as well.
std::vector<double> decadeTicks(double low, double high);

}  // namespace moescope
