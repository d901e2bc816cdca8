// SPDX-License-Identifier: Apache-2.0
// Round values for the axes of figures, in pages and in the window.
#pragma once

#include <vector>

namespace moescope {

/// About `count` round values within low..high, which must be finite with low < high.
std::vector<double> axisTicks(double low, double high, int count);

}  // namespace moescope
