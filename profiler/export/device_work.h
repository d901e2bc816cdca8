// SPDX-License-Identifier: Apache-2.0
// Work on devices as the exporters need it: usable stamps only, in order of time.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// By start; rows without usable stamps are left out (the quality block counts them). In memory: a
/// few hundred bytes a row.
inline std::vector<DeviceEventRow> deviceWork(const RunReader& run) {
    std::vector<DeviceEventRow> events;
    run.deviceEvents([&](const DeviceEventRow& row) {
        if (row.valid) events.push_back(row);
        return true;
    });
    std::stable_sort(events.begin(), events.end(),
                     [](const auto& a, const auto& b) { return a.startNs < b.startNs; });
    return events;
}

/// What a viewer shows: rows of sets and of graphs as a whole have no name of their own.
inline std::string sliceName(const DeviceEventRow& event) {
    if (event.kind == "copy") return "Memcpy " + event.name;
    if (event.kind == "set") return "memset";
    if (event.kind == "graph") return "graph " + std::to_string(event.graph);
    return event.name;
}

/// The launch is that of a graph, of which it may be one node.
inline bool launchedByGraph(const DeviceEventRow& event) {
    return event.node != 0 || event.kind == "graph";
}

/// "4x2x1"
inline std::string dimensions(const std::array<std::int32_t, 3>& d) {
    return std::to_string(d[0]) + "x" + std::to_string(d[1]) + "x" + std::to_string(d[2]);
}

}  // namespace moescope
