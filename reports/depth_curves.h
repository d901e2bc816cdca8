// SPDX-License-Identifier: Apache-2.0
// Figures of the layers of several runs over relative depth, as the page, JSON and the window show
// them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "profiler/analysis/depth_profile.h"
#include "reports/curve_set.h"

namespace moescope {

/// One of several runs.
struct DepthRun {
    std::string title;  ///< in legends and tables
    std::string label;  ///< a word or two, behind the end of its line
    DepthProfile profile;
};

struct DepthFigure {
    const char* key;  ///< of JSON
    const char* title;
    const char* help;
    double even;  ///< value of a router without favourites; NaN: there is none
    const char* evenTitle;
    double (*value)(const DepthLayer& layer);  ///< NaN: not known
    std::string (*text)(double value);
};
/// Never raw max/mean, which grows with the number of experts and shrinks with that of tokens.
std::span<const DepthFigure> depthFigures();

/// A line for each run that has the figure, and what a router without favourites shows; no curves
/// where no run has it.
CurveSet depthCurves(std::span<const DepthRun> runs, const DepthFigure& figure);

/// "demo has no line. It recorded no expert routing: ..", for each run that has none.
std::vector<std::string> depthSentences(std::span<const DepthRun> runs);

inline constexpr char kDepthNote[] =
    "Depth is the middle of a layer over the layers of its model, so that models of different "
    "depth lie on one axis.";

/// {"layers": of the model, "reason": .., "rows": [{"layer", "depth", figures}]} of one run.
nlohmann::json depthJson(const DepthProfile& profile);

}  // namespace moescope
