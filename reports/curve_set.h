// SPDX-License-Identifier: Apache-2.0
// Curves over a common horizontal axis, which the page and the window draw.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "reports/numbers.h"

namespace moescope {

struct Curve {
    std::string title;
    std::vector<double> values;               ///< (n_x); NaN: no point there, the line passes by
    std::vector<double> low = {}, high = {};  ///< (n_x) or empty: a band
    std::string label = {};                   ///< behind its right end; "": none
    bool chance = false;                      ///< what others are read against, in the ink of notes
};

struct CurveSet {
    std::vector<double> x;  ///< ascending
    std::vector<Curve> curves;
    std::string horizontal, vertical;  ///< names of the axes
    double low = 0, high = 1;          ///< of the vertical axis; low < high
    std::string (*format)(double) = formatPercent;
    bool whole = true;  ///< x are whole numbers; else each value is a point of its own
};

/// Colours and dashes: those of curves repeat after five, that of chance is the sixth.
inline constexpr std::size_t kChanceStyle = 5;
inline std::size_t curveStyle(const CurveSet& set, std::size_t curve) {
    return set.curves[curve].chance ? kChanceStyle : curve % kChanceStyle;
}

/// x as it is written: whole, or with two decimals.
std::string horizontalText(const CurveSet& set, double x);

/// The label of a curve, and where the middle of its text goes.
struct CurveLabel {
    std::size_t curve = 0;
    double y = 0;
};
/// `ends` have the y of the curves' right ends, which grow downwards: moved so that texts of that
/// height do not touch and none is below `bottom` or, where there is room, above `top`. From above
/// to below.
std::vector<CurveLabel> spreadLabels(std::vector<CurveLabel> ends, double height, double top,
                                     double bottom);

}  // namespace moescope
