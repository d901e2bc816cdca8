// SPDX-License-Identifier: Apache-2.0
#include "reports/suite_comparison_json.h"
#include "reports/json_number.h"

#include <cmath>

namespace moescope {
namespace {

using nlohmann::json;

}  // namespace

json metricChangeJson(const MetricChange& change) {
    return {{"suite", change.suite},
            {"metric", change.name},
            {"group", change.group},
            {"run", change.run + 1},
            {"before", jsonNumber(change.before.value)},
            {"after", change.after ? jsonNumber(change.after->value) : json()},
            {"value_difference",
             change.after ? jsonNumber(change.after->value - change.before.value) : json()},
            {"mean_difference", change.p ? jsonNumber(change.difference) : json()},
            {"standard_error", jsonNumber(change.standardError)},
            {"low", jsonNumber(change.low)},
            {"high", jsonNumber(change.high)},
            {"p", jsonNumber(change.p)},
            {"p_holm", jsonNumber(change.holm)},
            {"items", change.items},
            {"clusters", change.clusters},
            {"note", change.note}};
}

}  // namespace moescope
