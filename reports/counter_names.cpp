// SPDX-License-Identifier: Apache-2.0
#include "reports/counter_names.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace moescope {
namespace {

struct Known {
    std::string_view counter;  ///< what a metric's name has before its first dot
    std::string_view kind;     ///< and what it has after that: a rate or a share
    const char* name;
};
// Bytes and their share of the peak are counters of their own, and told apart by unit.
constexpr std::array<Known, 7> kKnown = {{
    {"dram__bytes_read", ".per_second", "DRAM read, bytes/s"},
    {"dram__bytes_write", ".per_second", "DRAM write, bytes/s"},
    {"dram__read_throughput", ".pct_of_peak", "DRAM read, % of peak"},
    {"dram__write_throughput", ".pct_of_peak", "DRAM write, % of peak"},
    {"sm__cycles_active", ".pct_of_peak", "Cores active"},
    {"sm__pipe_tensor_cycles_active_realtime", ".pct_of_peak", "Tensor cores active"},
    {"sm__cycles_elapsed", ".per_second", "Core clock"},
}};

}  // namespace

std::string counterName(const std::string& metric) {
    const std::size_t dot = std::min(metric.find('.'), metric.size());
    const std::string_view counter = std::string_view(metric).substr(0, dot);
    for (const Known& known : kKnown)
        if (known.counter == counter && metric.find(known.kind, dot) != std::string::npos)
            return known.name;
    return metric;
}

}  // namespace moescope
