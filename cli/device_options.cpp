// SPDX-License-Identifier: Apache-2.0
#include "cli/device_options.h"

#include <string>

#include "cli/console.h"
#include "engine/core/error.h"

namespace moescope::cli {

namespace {

constexpr std::int64_t kMostUs = 1'000'000;

/// --sample-counters in ns.
std::int64_t sampleInterval(const Options& options) {
    const auto us = options.get<std::int64_t>("sample-counters");
    if (us < 1 || us > kMostUs)
        throw UsageError("--sample-counters takes microseconds from 1 to " +
                         std::to_string(kMostUs) + ", not " + std::to_string(us));
    return us * 1000;
}

}  // namespace

void addDeviceOptions(Options& options) {
    options.add("trace", po::value<std::string>()->value_name("LEVEL"),
                "GPU: node (every kernel, the default), graph (graphs as a whole: least overhead), "
                "off");
    options.add("counters", po::value<std::string>()->value_name("SET"),
                "GPU: count instead of trace, in a run of its own: basic, roofline, hierarchy");
    options.add("sample-counters", po::value<std::int64_t>()->implicit_value(200)->value_name("US"),
                "GPU: sample counters over time instead of tracing, every US microseconds, in a "
                "run of its own");
    options.flag(
        "graphs",
        "GPU: decode by replayed graphs, as without a profiler, instead of single launches");
    options.flag("sample-power", "GPU: sample clocks, power and temperature");
    options.add("capture", po::value<std::string>()->value_name("F.cupticap"),
                "GPU: also keep CUPTI's raw records");
}

std::unique_ptr<cupti::DeviceProfiler> startDevice(const Options& options) {
    const std::string level =
        options.has("trace") ? options.get<std::string>("trace") : std::string("node");
    if (level != "node" && level != "graph" && level != "off")
        throw UsageError("--trace takes node, graph or off, not '" + level + "'");
    if (options.has("counters") && options.has("sample-counters"))
        throw UsageError("--counters and --sample-counters need a run each",
                         "the GPU's counters serve one of them at a time");
    if (options.has("counters"))
        cupti::metricSet(options.get<std::string>("counters"));  // refuses unknown names
    if (options.has("sample-counters")) sampleInterval(options);
    const bool counts = options.has("counters") || options.has("sample-counters");
    const bool traces = options.has("trace") || options.has("capture") ||
                        options.isSet("sample-power") || options.isSet("graphs");
    if (counts && traces && level != "off")
        throw UsageError(std::string(options.has("counters") ? "--counters" : "--sample-counters") +
                             " needs a run of its own, without --trace",
                         "counting changes speed: times come from another run");
    const bool asked = counts || traces;
    if (options.get<std::string>("backend") != "cuda") {
        if (asked)
            throw UsageError(
                "--trace, --counters, --sample-counters, --graphs, --sample-power and --capture "
                "watch a GPU",
                "they need --backend cuda; operations on the CPU are always timed");
        return nullptr;
    }
    if (options.isSet("graphs") && (level == "off" || counts))
        throw UsageError("--graphs needs --trace node or --trace graph",
                         "the host alone cannot tell the operations of a replayed graph apart");
    if (level == "off" || counts) return nullptr;
    cupti::DeviceProfilerOptions chosen;
    chosen.collector.level = level == "graph" ? cupti::TraceLevel::Graph : cupti::TraceLevel::Node;
    chosen.wholeSteps = options.isSet("graphs");
    chosen.collector.sampleEnvironment = options.isSet("sample-power");
    if (options.has("capture")) chosen.capture = options.get<std::string>("capture");
    auto device = cupti::DeviceProfiler::start(chosen);
    if (!device->recording())
        note("note: the GPU's kernels are not recorded, only the host's times: " +
             device->reason());
    return device;
}

std::unique_ptr<Counters> startCounters(const Options& options) {
    const bool samples = options.has("sample-counters");
    if (!samples && !options.has("counters")) return nullptr;
    auto counters = std::make_unique<Counters>();
    std::string reason;
    counters->library = cupti::loadCupti(reason);
    counters->driver = cupti::loadDriver();
    const cupti::Availability found =
        cupti::probeAvailability(counters->library.get(), reason, counters->driver.get());
    const std::string& refusal = samples ? found.sampling : found.counters;
    if (!refusal.empty()) throw Error("no counters: " + refusal);
    counters->api = cupti::counterApi(*counters->library, reason);
    if (!counters->api) throw Error("no counters: " + reason);
    if (samples) {
        counters->sampling = std::make_unique<cupti::SamplingSession>(
            counters->library->api, *counters->api, sampleInterval(options));
        return counters;
    }
    void* context = nullptr;
    counters->driver->contextCurrent(&context);
    if (context == nullptr) throw Error("no counters: this thread has no CUDA context");
    counters->session = std::make_unique<cupti::CounterSession>(
        counters->library->api, *counters->api, context,
        cupti::metricSet(options.get<std::string>("counters")));
    return counters;
}

}  // namespace moescope::cli
