// SPDX-License-Identifier: Apache-2.0
// The expert cache as JSON, the same in `moescope cache --json` and the JSON report.
#pragma once

#include <span>

#include <nlohmann/json.hpp>

#include "profiler/simulation/offload_cost.h"

namespace moescope {

/// {"reason"} where there is nothing, else the figures with rows of `sizes`. What is not known is
/// null.
nlohmann::json cacheJson(const ExpertCache& of, const ExpertBytes& bytes,
                         std::span<const int> sizes, std::span<const Link> links);

}  // namespace moescope
