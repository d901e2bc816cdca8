// SPDX-License-Identifier: Apache-2.0
// Names of the hardware counters that are sampled, for people; NVIDIA's own stand beside them.
#pragma once

#include <string>

namespace moescope {

/// "DRAM read, bytes/s" of "dram__bytes_read.sum.per_second"; the metric itself where it is not one
/// of those that `moescope profile --sample-counters` takes.
std::string counterName(const std::string& metric);

}  // namespace moescope
