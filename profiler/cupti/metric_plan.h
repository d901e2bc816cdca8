// SPDX-License-Identifier: Apache-2.0
// Which hardware counters are read together. Every set fits into one pass of the hardware, so that
// nothing has to be run twice: a replay would have to restore the KV cache, and would not be the
// same work. The sets are planned through CUPTI's own host functions, also without a GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/cupti/counter_api.h"

namespace moescope::cupti {

struct MetricSet {
    std::string_view name;     ///< "basic", "roofline", "hierarchy": --counters
    std::string_view purpose;  ///< one line for a person
    std::vector<std::string> metrics;
};

/// The sets that there are. Their metrics have the same names on GH100 (H100, H200) and GB100.
std::span<const MetricSet> metricSets();
/// Throws UsageError for an unknown name, which lists the known ones.
const MetricSet& metricSet(std::string_view name);

/// What --sample-counters samples over time: shares of what memory and cores can, bytes and clock.
/// Planned for kSamplingType; the names are those of GH100.
const MetricSet& sampledMetrics();

/// What the hardware has to be told to count the metrics. CUPTI keeps a pointer to the image while
/// it counts: the plan must outlive the session.
struct MetricPlan {
    std::vector<std::uint8_t> image;
    std::size_t passes = 0;
};

/// Once for each host object: the metrics stay with it. Throws Error naming chip and cause: an
/// unknown metric by its name.
MetricPlan planMetrics(const CuptiApi& api, const CounterApi& counters, const CounterHost& host,
                       const std::string& chip, std::span<const std::string> metrics);

}  // namespace moescope::cupti
