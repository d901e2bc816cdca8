// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "profiler/runfile/run_writer.h"
#include "profiler/simulation/offload_cost.h"
#include "tests/profiler/routing_traces.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;

namespace {

ExpertLaunch launch(int layer, std::int64_t active, std::int64_t bytes) {
    ExpertLaunch of;
    of.layer = layer;
    of.activeExperts = active;
    of.bytes = bytes;
    return of;
}

}  // namespace

TEST_CASE("misses cost their bytes over the bandwidth of the link") {
    const ExpertCache cache = expertCache(test::fixtureB());
    const ExpertBytes bytes{3e6};
    // With 3 of 4 experts 7 of 12 uses are hits: 2 x 5/12 loads of 3 MB a token.
    const double loaded = loadedBytes(cache, bytes, CachePolicy::Lru, 3);
    CHECK(loaded == Approx(2.5e6));
    CHECK(cacheBytes(bytes, 3) == 9e6);
    const Link& pcie5 = usualLinks()[1];
    CHECK(pcie5.bytesPerSecond == 50e9);
    CHECK(loadNs(loaded, pcie5) == Approx(50'000));
    CHECK(mostTokensPerSecond(loaded, pcie5) == Approx(20'000));
    CHECK(std::isnan(mostTokensPerSecond(0, pcie5)));
    CHECK(std::isnan(loadedBytes(cache, {}, CachePolicy::Lru, 3)));
    CHECK(std::isnan(cacheBytes({}, 3)));
}

TEST_CASE("layers whose experts differ in size are added up one by one") {
    RoutingTrace trace = test::traceOf(4, {{{0}, {0}}});
    trace.layers = {3, 7};
    trace.texts[0].experts = {0, 0, 0, 1};  // layer 3 misses once in two tokens, layer 7 always
    const ExpertCache cache = expertCache(trace);
    CHECK(loadedBytes(cache, {10, 100}, CachePolicy::Lru, 1) == Approx(105));
    CHECK(cacheBytes({10, 100}, 2) == 220);
}

TEST_CASE("bytes of an expert are what launches read over their active experts") {
    RoutingTrace trace = test::traceOf(4, {{{0}, {0}}});
    trace.layers = {3, 7};
    trace.texts[0].experts = {0, 0, 0, 1};
    const ExpertCache cache = expertCache(trace);
    const test::TempDir dir;
    RunWriter(dir / "r.moescope", RunWriter::Mode::Create).finish(RunStatus::Done);
    const RunReader run(dir / "r.moescope");
    const std::vector<ExpertLaunch> launches{launch(3, 4, 400), launch(3, 1, 100), launch(7, 2, 66),
                                             launch(9, 1, 5)};
    CHECK(expertBytes(run, launches, cache) == ExpertBytes{100, 33});
    // A layer without a count leaves all untold: nothing is guessed.
    CHECK(expertBytes(run, std::vector{launch(3, 4, 400), launch(7, 2, 0)}, cache).empty());
    CHECK(expertBytes(run, std::vector{launch(3, 4, 400), launch(7, 0, 90)}, cache).empty());
}

TEST_CASE("a launch's bytes come from its operations in the run file, else from the model's") {
    const test::TempDir dir;
    for (const bool counted : {true, false}) {
        RunWriter writer(dir / "r.moescope", RunWriter::Mode::Create, true);
        writer.setMeta("model", nlohmann::json{{"name", "m"}, {"expert_bytes", 401}});
        writer.add({SequenceRow{0, "a", "", 2, 0}, StepRow{1, 0, "prefill", 0, 2, 0, 100},
                    OperationRow{1, 1, 0, "experts", "up", 0, 10, counted ? 900 : 0, 1, 1},
                    OperationRow{2, 1, 0, "experts", "down", 10, 20, counted ? 300 : 0, 1, 1},
                    RoutingTokensRow{0, 0, 0, 2, 2, {0, 1, 0, 2}, {}}});
        writer.finish(RunStatus::Done);
        const RunReader run(dir / "r.moescope");
        const auto steps = run.steps();
        const ExpertLoad load = expertLoad(run, steps, loadOperations(run, steps), 4);
        REQUIRE(load.launches.size() == 1);
        CHECK(load.launches[0].bytes == (counted ? 1200 : 0));
        CHECK(expertBytes(run, load.launches, expertCache(routingTrace(run, 4))) ==
              ExpertBytes{counted ? 400.0 : 401.0});
    }
}
