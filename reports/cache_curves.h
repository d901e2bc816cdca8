// SPDX-License-Identifier: Apache-2.0
// What the page and the window draw of the expert cache.
#pragma once

#include "profiler/simulation/expert_cache.h"
#include "reports/curve_set.h"

namespace moescope {

/// Hits by size of the cache: each policy, and a uniform router last.
CurveSet cacheCurves(const ExpertCache& of, const CacheLayer& layer);

}  // namespace moescope
