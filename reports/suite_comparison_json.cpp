// SPDX-License-Identifier: Apache-2.0
#include "reports/suite_comparison_json.h"

#include <cmath>

namespace moescope {
namespace {

using nlohmann::json;

json number(double value) {
    return std::isfinite(value) ? json(value) : json();
}
json number(const std::optional<double>& value) {
    return value ? number(*value) : json();
}

}  // namespace

json metricChangeJson(const MetricChange& change) {
    return {{"suite", change.suite},
            {"metric", change.name},
            {"group", change.group},
            {"run", change.run + 1},
            {"before", number(change.before.value)},
            {"after", change.after ? number(change.after->value) : json()},
            {"value_difference",
             change.after ? number(change.after->value - change.before.value) : json()},
            {"mean_difference", change.p ? number(change.difference) : json()},
            {"standard_error", number(change.standardError)},
            {"low", number(change.low)},
            {"high", number(change.high)},
            {"p", number(change.p)},
            {"p_holm", number(change.holm)},
            {"items", change.items},
            {"clusters", change.clusters},
            {"note", change.note}};
}

}  // namespace moescope
