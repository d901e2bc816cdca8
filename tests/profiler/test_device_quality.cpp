// SPDX-License-Identifier: Apache-2.0
// What the proof of completeness makes of the counts it is given.
#include <catch2/catch.hpp>

#include <algorithm>

#include "profiler/cupti/device_quality.h"

using namespace moescope;
using namespace moescope::cupti;

namespace {

QualityRow rowOf(const DeviceQualityFacts& facts, const std::string& name) {
    const std::vector<QualityRow> rows = deviceQuality(facts);
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const QualityRow& r) { return r.name == name; });
    REQUIRE(row != rows.end());
    return *row;
}

QualityRow capturedNodes(const LaunchTotals& engine, const LaunchTotals& cupti) {
    DeviceQualityFacts facts;
    facts.graphs = {{engine, cupti}};
    return rowOf(facts, "captured_graph_nodes");
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

TEST_CASE("a node that one graph lacks is not made up for by one too many in another") {
    DeviceQualityFacts facts;
    facts.graphs = {{totals(10, 0, 0), totals(11, 0, 0)}, {totals(10, 0, 0), totals(9, 0, 0)}};
    CHECK(rowOf(facts, "captured_graph_nodes").value == 2);
    CHECK_FALSE(rowOf(facts, "captured_graph_nodes").ok);
}

TEST_CASE("steps of which nothing was counted and nothing recorded prove nothing") {
    DeviceQualityFacts facts;
    CHECK(rowOf(facts, "missing_device_records").ok);
    facts.steps = 3;
    CHECK_FALSE(rowOf(facts, "missing_device_records").ok);
    facts.expectedEager = totals(1, 0, 0);
    CHECK(rowOf(facts, "missing_device_records").ok);
}

TEST_CASE("buffers that CUPTI kept or brought too late are lost records") {
    DeviceQualityFacts facts;
    CHECK(rowOf(facts, "dropped_device_records").ok);
    facts.collector.buffersOutstanding = 1;
    CHECK_FALSE(rowOf(facts, "dropped_device_records").ok);
    facts.collector.buffersOutstanding = 0;
    facts.collector.buffersDiscarded = 1;
    CHECK_FALSE(rowOf(facts, "dropped_device_records").ok);
}
