// SPDX-License-Identifier: Apache-2.0
// Which samples of counters an export can show.
#pragma once

#include <cmath>
#include <functional>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// Samples that begin within the run, take time and have a value, in the order of arrival.
inline void usableSamples(const RunReader& run,
                          const std::function<void(const SampleRow&)>& visit) {
    run.samples([&](const SampleRow& row) {
        if (row.startNs >= 0 && row.endNs > row.startNs && std::isfinite(row.value)) visit(row);
        return true;
    });
}

}  // namespace moescope
