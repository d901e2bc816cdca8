// SPDX-License-Identifier: Apache-2.0
// What the measurement of the read bandwidth reads is what it counts.
#include <catch2/catch.hpp>

#include "engine/backend/cuda/read_bandwidth.h"

using namespace moescope::cuda;

TEST_CASE("a reading of memory counts whole passes of all its threads") {
    constexpr std::uint64_t kOfBlock = std::uint64_t{kReadThreads} * kReadLoads;
    for (const int multiprocessors : {1, 3, 114, 132}) {
        for (const std::uint64_t bytes :
             {std::uint64_t{1} << 15, std::uint64_t{100000}, std::uint64_t{70} << 20,
              std::uint64_t{2} << 30, (std::uint64_t{2} << 30) + 12345}) {
            INFO(bytes << " bytes, " << multiprocessors << " multiprocessors");
            const ReadShape shape = readShape(bytes, multiprocessors);
            const std::uint64_t pass = shape.blocks * kOfBlock;
            CHECK(shape.blocks <= 16U * static_cast<unsigned>(multiprocessors));
            CHECK(shape.units > 0);
            CHECK(shape.units % pass == 0);
            CHECK(shape.units <= bytes / sizeof(uint4));
            CHECK(shape.units + pass > bytes / sizeof(uint4));
        }
    }
    CHECK(readShape(1000, 132).units == 0);
}
