// SPDX-License-Identifier: Apache-2.0
// Captures that a real GPU left, through the decoder that live buffers take.
#include <catch2/catch.hpp>

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "profiler/cupti/pipeline.h"
#include "tests/profiler/cupti_buffers.h"

using namespace moescope;
using namespace moescope::cupti;
using test::CollectedEvents;

namespace {

std::filesystem::path captureOf(const std::string& what) {
    return std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/data/cupticap" /
           ("h200-580.159.04-2026-11-27-" + what + ".cupticap");
}

}  // namespace

TEST_CASE("a capture of decoding on an H200 names layer and operation of every kernel") {
    CollectedEvents sink;
    Pipeline pipeline(sink, nullptr);
    const CaptureFacts capture = replayCapture(captureOf("demo-decode"), pipeline);
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
    const CaptureFacts capture = replayCapture(captureOf("graphs"), pipeline);
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
