// SPDX-License-Identifier: Apache-2.0
// Specialisation as JSON, the same in `moescope routing --json` and in the JSON report.
#pragma once

#include <nlohmann/json.hpp>

#include "profiler/analysis/specialization.h"

namespace moescope {

/// {"reason": why there is nothing} or all figures; what is not known is null.
nlohmann::json specializationJson(const Specialization& of);

}  // namespace moescope
