// SPDX-License-Identifier: Apache-2.0
// The sets of counters, planned by the real CUPTI for chips that are not here: no GPU is needed.

#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "profiler/cupti/metric_plan.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using namespace moescope::cupti;

namespace {

struct Planner {
    std::string reason;
    std::unique_ptr<CuptiLibrary> library;
    std::unique_ptr<CounterApi> counters;

    Planner() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        reason = "CUPTI opens libnvperf_host.so with RTLD_DEEPBIND, on which a sanitizer exits";
#else
        library = loadCupti(reason);
        if (library) counters = counterApi(*library, reason);
#endif
    }
    MetricPlan plan(const char* chip, const std::vector<std::string>& metrics,
                    std::uint32_t type = kRangeProfilerType) const {
        const CounterHost host(*counters, library->api, chip, {}, type);
        return planMetrics(library->api, *counters, host, chip, metrics);
    }
};

}  // namespace

TEST_CASE("every set of counters needs one pass on GH100 and GB100") {
    const Planner planner;
    if (!planner.counters) {
        WARN("skipped: " << planner.reason);
        return;
    }
    for (const char* chip : {"GH100", "GB100"}) {
        for (const MetricSet& set : metricSets()) {
            INFO(chip << " " << set.name);
            const MetricPlan plan = planner.plan(chip, set.metrics);
            CHECK(plan.passes == 1);
            CHECK(plan.image.size() > 100);
        }
    }
}

TEST_CASE("the metrics that are sampled over time need one pass on GH100 and GB100") {
    const Planner planner;
    if (!planner.counters) {
        WARN("skipped: " << planner.reason);
        return;
    }
    for (const char* chip : {"GH100", "GB100"}) {
        INFO(chip);
        const MetricPlan plan = planner.plan(chip, sampledMetrics().metrics, kSamplingType);
        CHECK(plan.passes == 1);
        CHECK(plan.image.size() > 100);
    }
}

TEST_CASE("what cannot be planned is named") {
    const Planner planner;
    if (!planner.counters) {
        WARN("skipped: " << planner.reason);
        return;
    }
    const auto planned = [&](const char* chip, std::vector<std::string> metrics) {
        return planner.plan(chip, metrics).passes;
    };
    CHECK(test::thrownBy<Error>([&] { planned("GH999", {"dram__bytes.sum"}); }).find("GH999") !=
          std::string::npos);
    const std::string unknown = test::thrownBy<Error>([&] {
        planned("GH100", {"dram__bytes.sum", "moe__heat.sum"});
    });
    CHECK(unknown.find("moe__heat.sum on GH100") != std::string::npos);
    // The hit rate of L2 is one that needs two passes, and so is in no set.
    CHECK(planned("GH100", {"lts__t_sector_hit_rate.pct"}) == 2);
    CHECK(test::thrownBy<UsageError>([] { metricSet("all"); }).find("roofline") !=
          std::string::npos);
    CHECK(metricSet("basic").metrics.size() == 11);
}
