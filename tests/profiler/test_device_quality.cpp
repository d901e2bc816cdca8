// SPDX-License-Identifier: Apache-2.0
// What the proof of completeness makes of the counts it is given.
#include <catch2/catch.hpp>

#include <algorithm>

#include "profiler/cupti/device_quality.h"

using namespace moescope;
using namespace moescope::cupti;

namespace {

QualityRow capturedNodes(const LaunchTotals& engine, const LaunchTotals& cupti) {
    DeviceQualityFacts facts;
    facts.capturedByEngine = engine;
    facts.capturedByCupti = cupti;
    const std::vector<QualityRow> rows = deviceQuality(facts);
    const auto row = std::find_if(rows.begin(), rows.end(), [](const QualityRow& r) {
        return r.name == "captured_graph_nodes";
    });
    REQUIRE(row != rows.end());
    return *row;
}

LaunchTotals totals(std::int64_t kernels, std::int64_t copies, std::int64_t sets) {
    LaunchTotals t;
    t.kernels = kernels;
    t.copies = copies;
    t.sets = sets;
    return t;
}

}  // namespace

TEST_CASE("nodes of sets that CUPTI announces as kernels are not missing") {
    CHECK(capturedNodes(totals(18, 0, 6), totals(24, 0, 0)).ok);
    CHECK(capturedNodes(totals(18, 2, 6), totals(18, 2, 6)).ok);
}

TEST_CASE("a node that was not seen made is missing, whatever its kind") {
    CHECK(capturedNodes(totals(18, 0, 6), totals(23, 0, 0)).value == 1);
    CHECK_FALSE(capturedNodes(totals(18, 1, 6), totals(25, 0, 0)).ok);
}
