// SPDX-License-Identifier: Apache-2.0
// Evaluations beside each other as JSON, the same in `moescope compare --json` and in the JSON
// report. `run` counts from 0, the first being 0.
#pragma once

#include <nlohmann/json.hpp>

#include "reports/suite_comparison.h"

namespace moescope {

/// `mean_difference`, its interval and p are of the items that both runs scored, null where the
/// metric is not tested; `value_difference` is of the two values. `run` counts from 1, the first
/// run: never 1 itself.
nlohmann::json metricChangeJson(const MetricChange& change);

}  // namespace moescope
