// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/metric_plan.h"

#include "engine/core/error.h"

namespace moescope::cupti {

std::span<const MetricSet> metricSets() {
    static const std::vector<MetricSet> kSets{
        {"basic",
         "time, DRAM traffic, occupancy, tensor cores and issue rate of each operation",
         {"gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum",
          "dram__throughput.avg.pct_of_peak_sustained_elapsed", "sm__cycles_elapsed.max",
          "sm__cycles_active.avg", "sm__warps_active.avg.pct_of_peak_sustained_active",
          "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active",
          "smsp__issue_active.avg.pct_of_peak_sustained_active", "smsp__inst_executed.sum",
          "lts__t_sectors.sum"}},
        {"roofline",
         "bytes and bf16 tensor operations, with the ceilings of both at the clocks of the run",
         {"gpu__time_duration.sum", "dram__bytes.sum", "dram__bytes.sum.per_second",
          "dram__bytes.sum.peak_sustained", "dram__cycles_elapsed.avg.per_second",
          "sm__ops_path_tensor_src_bf16_dst_fp32.sum",
          "sm__ops_path_tensor_src_bf16_dst_fp32.sum.per_second",
          "sm__ops_path_tensor_src_bf16_dst_fp32.sum.peak_sustained",
          "sm__cycles_elapsed.avg.per_second"}},
        {"hierarchy",
         "bytes at L1, L2 and DRAM, for a roofline by level of the memory",
         {"lts__t_bytes.sum", "lts__t_bytes.sum.per_second", "lts__t_bytes.sum.peak_sustained",
          "lts__cycles_elapsed.avg.per_second", "l1tex__t_bytes.sum", "dram__bytes.sum"}}};
    return kSets;
}

const MetricSet& sampledMetrics() {
    static const MetricSet kSampled{
        "sampled",
        "DRAM traffic, activity of cores and tensor cores and the clock, over time",
        {"dram__bytes_read.sum.per_second", "dram__bytes_write.sum.per_second",
         "dram__read_throughput.avg.pct_of_peak_sustained_elapsed",
         "dram__write_throughput.avg.pct_of_peak_sustained_elapsed",
         "sm__cycles_active.avg.pct_of_peak_sustained_elapsed",
         "sm__pipe_tensor_cycles_active_realtime.avg.pct_of_peak_sustained_elapsed",
         "sm__cycles_elapsed.avg.per_second"}};
    return kSampled;
}

const MetricSet& metricSet(std::string_view name) {
    std::string known;
    for (const MetricSet& set : metricSets()) {
        if (set.name == name) return set;
        known += (known.empty() ? "" : ", ") + std::string(set.name);
    }
    throw UsageError("there is no set of counters '" + std::string(name) + "'; there are " + known);
}

MetricPlan planMetrics(const CuptiApi& api, const CounterApi& counters, const CounterHost& host,
                       const std::string& chip, std::span<const std::string> metrics) {
    const auto check = [&](std::uint32_t result, const std::string& what) {
        if (result != kSuccess) throw Error(what + " on " + chip + ": " + resultText(api, result));
    };
    std::vector<const char*> names;
    for (const std::string& metric : metrics) {
        // Adding an unknown metric gives only "invalid parameter"; asking for it names it. The
        // properties are those of the part before the first dot: the counter itself.
        const std::string counter = metric.substr(0, metric.find('.'));
        HostPropertiesParams properties;
        properties.host = host.get();
        properties.name = counter.c_str();
        check(counters.hostProperties(&properties), "there is no metric " + metric);
        names.push_back(metric.c_str());
    }
    HostAddMetricsParams add;
    add.host = host.get();
    add.names = names.data();
    add.count = names.size();
    check(counters.hostAddMetrics(&add), "the metrics cannot be counted together");
    HostImageSizeParams size;
    size.host = host.get();
    check(counters.hostImageSize(&size), "the counters cannot be configured");
    MetricPlan plan;
    plan.image.resize(size.bytes);
    HostImageParams image;
    image.host = host.get();
    image.bytes = plan.image.size();
    image.image = plan.image.data();
    check(counters.hostImage(&image), "the counters cannot be configured");
    HostPassesParams passes;
    passes.bytes = plan.image.size();
    passes.image = plan.image.data();
    check(counters.hostPasses(&passes), "the passes cannot be counted");
    plan.passes = passes.passes;
    return plan;
}

}  // namespace moescope::cupti
