// SPDX-License-Identifier: Apache-2.0
#include "cli/device_options.h"

#include <string>

#include "cli/console.h"
#include "engine/core/error.h"

namespace moescope::cli {

void addDeviceOptions(Options& options) {
    options.add("trace", po::value<std::string>()->value_name("LEVEL"),
                "GPU: node (every kernel, the default), graph (graphs as a whole: least overhead), "
                "off");
    options.flag("sample-power", "GPU: sample clocks, power and temperature");
    options.add("capture", po::value<std::string>()->value_name("F.cupticap"),
                "GPU: also keep CUPTI's raw records");
}

std::unique_ptr<cupti::DeviceProfiler> startDevice(const Options& options) {
    const std::string level =
        options.has("trace") ? options.get<std::string>("trace") : std::string("node");
    if (level != "node" && level != "graph" && level != "off")
        throw UsageError("--trace takes node, graph or off, not '" + level + "'");
    const bool asked =
        options.has("trace") || options.has("capture") || options.isSet("sample-power");
    if (options.get<std::string>("backend") != "cuda") {
        if (asked)
            throw UsageError("--trace, --sample-power and --capture watch a GPU",
                             "they need --backend cuda; operations on the CPU are always timed");
        return nullptr;
    }
    if (level == "off") return nullptr;
    cupti::DeviceProfilerOptions chosen;
    chosen.collector.level = level == "graph" ? cupti::TraceLevel::Graph : cupti::TraceLevel::Node;
    chosen.collector.sampleEnvironment = options.isSet("sample-power");
    if (options.has("capture")) chosen.capture = options.get<std::string>("capture");
    auto device = cupti::DeviceProfiler::start(chosen);
    if (!device->recording())
        note("note: the GPU's kernels are not recorded, only the host's times: " +
             device->reason());
    return device;
}

}  // namespace moescope::cli
