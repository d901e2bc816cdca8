// SPDX-License-Identifier: Apache-2.0
// Curves over a common horizontal axis: what the page and the window draw of the expert cache.
#pragma once

#include <string>
#include <vector>

#include "profiler/simulation/expert_cache.h"

namespace moescope {

struct Curve {
    std::string title;
    std::vector<double> values;     ///< (n_x); NaN: not drawn there
    std::vector<double> low, high;  ///< (n_x) or empty: a band
};

struct CurveSet {
    std::vector<double> x;  ///< ascending
    std::vector<Curve> curves;
    std::string horizontal, vertical;  ///< names of the axes
};

/// Hits by size of the cache: each policy, and a uniform router last.
CurveSet cacheCurves(const ExpertCache& of, const CacheLayer& layer);

}  // namespace moescope
