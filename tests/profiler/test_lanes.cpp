// SPDX-License-Identifier: Apache-2.0
// Which lane of a track a slice goes to.
#include <catch2/catch.hpp>
#include <random>

#include "profiler/export/lanes.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;

TEST_CASE("a slice goes to the first lane that is free, in whatever order slices come") {
    std::mt19937 random(3);
    Lanes lanes("run.moescope");
    std::vector<std::int64_t> freeNs;  // the plain search
    for (int i = 0; i < 5000; ++i) {
        const std::int64_t start = std::int64_t(random() % 1000) + i / 8;
        const std::int64_t end = start + std::int64_t(random() % 300);
        std::size_t lane = 0;
        while (lane < freeNs.size() && freeNs[lane] > start) ++lane;
        if (lane == freeNs.size()) freeNs.push_back(0);
        freeNs[lane] = end;
        REQUIRE(lanes.place(start, end) == lane);
    }
    CHECK(lanes.size() == freeNs.size());
    CHECK(lanes.size() > 20);
}

TEST_CASE("more lanes than any trace can show are an error that names the run") {
    Lanes lanes("run.moescope");
    for (std::size_t i = 0; i < Lanes::kMost; ++i) REQUIRE(lanes.place(0, 10) == i);
    CHECK(lanes.place(10, 20) == 0);
    const std::string what = test::thrownBy<Error>([&] {
        for (int i = 0; i < 2; ++i) lanes.place(5, 30);
    });
    CHECK(what.find("run.moescope: more than 65536") == 0);
}
