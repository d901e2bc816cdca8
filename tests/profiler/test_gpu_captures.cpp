// SPDX-License-Identifier: Apache-2.0
// Captures that a real GPU left, through the decoder that live buffers take.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include "engine/core/decompress.h"
#include "profiler/cupti/pipeline.h"
#include "tests/profiler/cupti_buffers.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using namespace moescope::cupti;
using test::CollectedEvents;

namespace {

/// A capture that lies compressed among the test data: replayed through `pipeline`.
CaptureFacts replay(const std::string& name, Pipeline& pipeline) {
    const auto path = std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/data/cupticap" /
                      (name + ".cupticap.xz");
    std::ifstream in(path, std::ios::binary);
    const std::string compressed{std::istreambuf_iterator<char>(in), {}};
    const test::TempDir dir;
    const auto plain = dir / "plain.cupticap";
    std::ofstream(plain, std::ios::binary)
        << decompressXz(compressed, path.string(), std::uint64_t{64} << 20U);
    const CaptureFacts facts = replayCapture(plain, pipeline);
    CHECK(pipeline.decoder().statistics().undecodedBytes == 0);
    return facts;
}
const std::string kH200 = "h200-580.159.04-2026-11-27-";
const std::string kH100 = "h100-580.159.04-2026-11-27-";

}  // namespace

TEST_CASE("a capture of decoding on an H200 names layer and operation of every kernel") {
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    const CaptureFacts capture = replay(kH200 + "demo-decode", pipeline);
    REQUIRE(capture.complete);
    CHECK(capture.head.at("synthetic") == false);
    CHECK(capture.head.at("device").at("device") == "NVIDIA H200");
    std::map<std::string, std::set<int>> layersOf;  // of kernels, by name
    int inSteps = 0;
    for (const DeviceEvent& event : sink.events) {
        if (!event.scope.hasStep()) continue;
        ++inSteps;
        CHECK(event.attributed);
        CHECK(event.launchKnown);
        CHECK(event.fault == StampFault::None);
        CHECK(event.record.endNs > event.record.startNs);
        if (event.record.name != 0)
            layersOf[demangled(pipeline.decoder().name(event.record.name))].insert(
                event.scope.layer);
    }
    // What the engine counted: see the capture's tail.
    CHECK(capture.tail.at("seen") == capture.tail.at("eager"));
    CHECK(inSteps == 2792 + 912);
    int ofEveryLayer = 0;
    for (const auto& [name, layers] : layersOf) ofEveryLayer += layers.size() >= 8 ? 1 : 0;
    CHECK(ofEveryLayer >= 4);  // attention, both halves of the experts, projections
}

TEST_CASE("a capture of graphs on an H200 names every replayed node") {
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    const CaptureFacts capture = replay(kH200 + "graphs", pipeline);
    REQUIRE(capture.complete);
    CHECK(capture.tail.at("replays") == 100);
    int nodes = 0;
    for (const DeviceEvent& event : sink.events) {
        if (!event.scope.hasStep()) continue;
        ++nodes;
        CHECK(event.attributed);
        CHECK(event.scope.layer >= -1);
    }
    CHECK(nodes == 1800 + 600);
}

TEST_CASE(
    "a capture of the engine's own graphs on an H100 names layer and operation of every node") {
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    const CaptureFacts capture = replay(kH100 + "demo-graphs", pipeline);
    REQUIRE(capture.complete);
    CHECK(capture.head.at("synthetic") == false);
    CHECK(capture.head.at("device").at("device") == "NVIDIA H100 80GB HBM3");
    std::map<std::uint64_t, int> seen;  // nodes of graphs: how often
    std::set<int> layers;
    for (const DeviceEvent& event : sink.events) {
        if (!event.scope.hasStep()) continue;
        CHECK(event.attributed);
        CHECK(event.fault == StampFault::None);
        if (event.record.node == 0) continue;
        ++seen[event.record.node];
        layers.insert(event.scope.layer);
    }
    // 47 tokens were decoded by a graph of 50 kernels: embed, 8 layers of 6, head.
    CHECK(capture.tail.at("replays") == 47);
    CHECK(seen.size() == 50);
    for (const auto& [node, times] : seen) CHECK(times == 47);
    CHECK(layers == std::set<int>{-1, 0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("a capture of graphs as a whole on an H100 has a record of every launch") {
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    const CaptureFacts capture = replay(kH100 + "whole-graphs", pipeline);
    REQUIRE(capture.complete);
    const auto graphs = std::count_if(
        sink.events.begin(), sink.events.end(),
        [](const DeviceEvent& event) { return event.record.kind == RecordKind::GraphLaunch; });
    CHECK(capture.tail.at("replays") == graphs);
    CHECK(graphs > 0);
}
