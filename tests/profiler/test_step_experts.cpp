// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "profiler/simulation/expert_cache.h"
#include "profiler/simulation/step_experts.h"
#include "tests/profiler/routing_traces.h"

using namespace moescope;

TEST_CASE("experts of a step are the mean over all sets of texts and places in them") {
    // Two tokens a text: a {0, 0}, b {0, 1}, c {1, 2}. A step of a and b reads 1, 2, 1, 2 experts,
    // of a and c 2, 2, 2, 2, of b and c 2, 2, 1, 2; of all three 2, 3, 2, 2, 2, 3, 2, 2.
    const std::vector<std::uint32_t> counts{2, 0, 0, 1, 1, 0, 0, 1, 1};
    const std::vector<std::int64_t> tokens{2, 2, 2};
    const std::vector<double> expected = expectedExperts(counts, tokens, 4);
    CHECK(expected.at(0) == 0);
    CHECK(expected.at(1) == Approx(1));
    CHECK(expected.at(2) == Approx((1.5 + 2 + 1.75) / 3));
    CHECK(expected.at(3) == Approx(18.0 / 8));
    CHECK(std::isnan(expected.at(4)));
}

TEST_CASE("a uniform router reads the experts of a step that are known of it") {
    ExpertCache cache;
    cache.experts = 32;
    cache.topK = 4;
    CHECK(cache.uniformDistinct(1) == Approx(4));
    CHECK(cache.uniformDistinct(8) == Approx(21.0).margin(0.05));
    CHECK(cache.uniformDistinct(32) == Approx(31.6).margin(0.05));
    cache.experts = 128;
    CHECK(cache.uniformDistinct(8) == Approx(28.7).margin(0.05));
    CHECK(cache.uniformDistinct(32) == Approx(81.7).margin(0.05));
    CHECK(cache.uniformDistinct(64) == Approx(111.2).margin(0.05));
}

TEST_CASE("steps of more tokens than there are texts have no figure") {
    const ExpertCache cache = expertCache(test::traceOf(4, {{{0}, {0}}, {{0}, {1}}}));
    CHECK(cache.all.distinct[0] == Approx(1));
    CHECK(cache.all.distinct[1] == Approx(1.5));
    CHECK(std::isnan(cache.all.distinct[2]));
}
