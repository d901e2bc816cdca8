// SPDX-License-Identifier: Apache-2.0
// Layers over relative depth, against values worked by hand.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "profiler/analysis/depth_profile.h"

using namespace moescope;

namespace {

/// Fixture A of docs/metrics.md: loads 8, 4, 3, 1 of four experts, two per token, eight tokens.
LayerRouting layerOf(int number) {
    LayerRouting layer;
    layer.layer = number;
    layer.counts = {8, 4, 3, 1};
    layer.balance = balance(layer.counts, 2);
    layer.null.normalizedEntropy = 0.95;
    layer.excess = 1.25;
    return layer;
}

RunSummary runOf(int layers) {
    RunSummary run;
    for (int l = 0; l < layers; ++l) run.routing.push_back(layerOf(l));
    run.prefill.tokens = 6;
    run.decode.tokens = 2;
    run.layerNs = {{-1, 999}, {0, 800}, {1, 1600}};
    return run;
}

}  // namespace

TEST_CASE("layers of models of different depth lie on one axis") {
    const DepthProfile deep = depthProfile(runOf(4)), flat = depthProfile(runOf(2));
    REQUIRE(deep.of.size() == 4);
    CHECK(deep.layers == 4);
    CHECK(deep.of[0].depth == 0.125);
    CHECK(deep.of[3].depth == 0.875);
    CHECK(flat.of[0].depth == 0.25);
    CHECK(flat.of[1].depth == 0.75);
    CHECK(deep.reason.empty());
}

TEST_CASE("a layer's figures are those of its balance and its operations") {
    const DepthProfile profile = depthProfile(runOf(3));
    const DepthLayer& second = profile.of[1];
    CHECK(second.normalizedEntropy == Approx(0.851410));
    CHECK(second.chanceEntropy == 0.95);
    CHECK(second.excess == 1.25);
    CHECK(second.effectiveShare == Approx(3.255365 / 4));
    CHECK(second.nsPerToken == 200);              // 1600 ns, 6 + 2 tokens
    CHECK(std::isnan(profile.of[2].nsPerToken));  // nothing was timed there
}

TEST_CASE("layers without experts keep their place in the depth of the model") {
    RunSummary run = runOf(0);
    run.routing = {layerOf(3), layerOf(1)};  // every second of the four that the meta tells of
    run.meta["routing"] = R"({"experts":4,"top_k":2,"layers":8})";
    const DepthProfile profile = depthProfile(run);
    REQUIRE(profile.of.size() == 2);
    CHECK(profile.layers == 8);
    CHECK(profile.of[0].layer == 1);
    CHECK(profile.of[0].depth == 1.5 / 8);
    CHECK(profile.of[1].depth == 3.5 / 8);
}

TEST_CASE("what a file says of its layers is not believed where its rows or sense forbid it") {
    RunSummary run = runOf(3);
    for (const char* said : {R"({"layers":1})", R"({"layers":-5})", R"({"layers":2000000000})",
                             R"({"layers":"many"})", R"([3])", "no JSON"}) {
        run.meta["routing"] = said;
        CHECK(depthProfile(run).layers == 3);
    }
    run.layerNs[std::numeric_limits<int>::max()] = 5;
    CHECK(depthProfile(run).layers == 3);
}

TEST_CASE("a run without routing has no layers and says what would record it") {
    RunSummary run = runOf(0);
    CHECK(depthProfile(run).empty());
    CHECK(depthProfile(run).reason.find("expert routing") != std::string::npos);
    LayerRouting unused = layerOf(0);
    unused.balance.tokens = 0;
    run.routing = {unused};
    CHECK(depthProfile(run).empty());
}
