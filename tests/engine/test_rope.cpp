// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <vector>

#include "engine/backend/rope_rotation.h"
#include "engine/core/file.h"
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

TEST_CASE("gpt-oss YaRN has the phases of transformers and of OpenAI far past 4096 positions") {
    const auto file = std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/rope.json";
    const auto witnesses = parseJson(readFile(file), file.string());
    const RopeTable table = ropeTable(gptOssRope(), 64);
    std::array<float, 32> cosines{};
    std::array<float, 32> sines{};
    for (const char* witness : {"transformers", "openai"}) {
        for (const auto& row : witnesses.at(witness)) {
            const int position = row.at("position").get<int>();
            INFO(witness << ", position " << position);
            ropeAngles(table, position, cosines, sines);
            // Theirs are float32: frequency and product are each half a unit of 2^-23 off at most,
            // and a power of float32 a little more. Ours are double until the cosine.
            const double margin = 2e-7 + 1.35 * position * std::ldexp(1.0, -22);
            double worst = 0;
            for (std::size_t i = 0; i < cosines.size(); ++i) {
                worst = std::max(worst, std::abs(cosines[i] - row.at("cos")[i].get<double>()));
                worst = std::max(worst, std::abs(sines[i] - row.at("sin")[i].get<double>()));
            }
            CHECK(worst < margin);
        }
    }
}

TEST_CASE("rounded YaRN bounds change phases by more than the witnesses differ") {
    RopeSpec rounded = gptOssRope();
    rounded.truncate = true;
    std::array<float, 32> cosines{};
    std::array<float, 32> sines{};
    std::array<float, 32> others{};
    ropeAngles(ropeTable(gptOssRope(), 64), 8192, cosines, sines);
    ropeAngles(ropeTable(rounded, 64), 8192, others, sines);
    double worst = 0;
    for (std::size_t i = 0; i < cosines.size(); ++i)
        worst = std::max(worst, std::abs(double{cosines[i]} - others[i]));
    CHECK(worst > 0.1);
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
