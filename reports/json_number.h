// SPDX-License-Identifier: Apache-2.0
// Numbers in JSON: what is not known is null, since JSON has no NaN.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace moescope {

inline nlohmann::json jsonNumber(double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}
inline nlohmann::json jsonNumber(const std::optional<double>& value) {
    return value ? jsonNumber(*value) : nlohmann::json();
}

}  // namespace moescope
