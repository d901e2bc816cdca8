// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <vector>

#include "engine/backend/rope_rotation.h"
#include "engine/model/spec.h"

using namespace moescope;

namespace {

RopeSpec gptOssRope() {
    RopeSpec rope;
    rope.theta = 150000.0;
    rope.yarn = true;
    rope.factor = 32.0;
    rope.originalContext = 4096;
    return rope;
}

double plain(double theta, int i, int headDim) {
    return std::pow(theta, -2.0 * i / headDim);
}

}  // namespace

TEST_CASE("gpt-oss YaRN keeps fractional bounds and its concentration") {
    const RopeTable table = ropeTable(gptOssRope(), 64);
    REQUIRE(table.inverseFrequency.size() == 32);
    CHECK(table.concentration == Approx(1.3465736).epsilon(1e-7));
    // low = 8.092779, high = 17.398025: index 8 is untouched, 9 to 17 blend, 18 is divided by 32.
    CHECK(table.inverseFrequency[0] == Approx(1.0));
    CHECK(table.inverseFrequency[8] == Approx(plain(150000, 8, 64)).epsilon(1e-12));
    for (int i = 9; i <= 17; ++i) {
        const double ramp = (i - 8.092779) / (17.398025 - 8.092779);
        const double expected = plain(150000, i, 64) * ((1 - ramp) + ramp / 32.0);
        CHECK(table.inverseFrequency[static_cast<std::size_t>(i)] ==
              Approx(expected).epsilon(1e-5));
    }
    CHECK(table.inverseFrequency[18] == Approx(plain(150000, 18, 64) / 32).epsilon(1e-12));
}

TEST_CASE("truncated YaRN uses the whole bounds 8 and 18 as llama.cpp does") {
    RopeSpec rope = gptOssRope();
    rope.truncate = true;
    const RopeTable table = ropeTable(rope, 64);
    const double ramp = (13.0 - 8.0) / (18.0 - 8.0);
    CHECK(table.inverseFrequency[13] == Approx(plain(150000, 13, 64) * ((1 - ramp) + ramp / 32)));
}

TEST_CASE("plain and linearly interpolated RoPE have no concentration") {
    RopeSpec rope;
    rope.theta = 10000.0;
    const RopeTable table = ropeTable(rope, 4);
    CHECK(table.concentration == 1.0);
    CHECK(table.inverseFrequency[1] == Approx(0.01));
    rope.factor = 4.0;
    CHECK(ropeTable(rope, 4).inverseFrequency[1] == Approx(0.0025));
}

TEST_CASE("rotation pairs halves or neighbours") {
    // Quarter turn of the first pair, none of the second.
    const std::array<float, 2> cosines{0.0F, 1.0F};
    const std::array<float, 2> sines{1.0F, 0.0F};
    std::vector<float> split{1, 2, 3, 4};
    rotateHead(RopePairing::HalfSplit, split, cosines, sines);
    CHECK(split == std::vector<float>{-3, 2, 1, 4});
    std::vector<float> neighbours{1, 2, 3, 4};
    rotateHead(RopePairing::Interleaved, neighbours, cosines, sines);
    CHECK(neighbours == std::vector<float>{-2, 1, 3, 4});
}

TEST_CASE("angles are exact far beyond the range of float") {
    RopeTable table;
    table.inverseFrequency = {1.0};
    std::array<float, 1> cosine{};
    std::array<float, 1> sine{};
    ropeAngles(table, 100003, cosine, sine);
    CHECK(cosine[0] == Approx(std::cos(100003.0)).margin(1e-7));
    CHECK(sine[0] == Approx(std::sin(100003.0)).margin(1e-7));
}
