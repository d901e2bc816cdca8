// SPDX-License-Identifier: Apache-2.0
// How many tokens the projections of few tokens take together.
#include <catch2/catch.hpp>

#include "engine/backend/cuda/decode_ring.h"

using namespace moescope;
using namespace moescope::cuda;

TEST_CASE("the tokens of a step fit into a block's shared memory beside a ring of any format",
          "[cuda][decode]") {
    // Blocks of compute capability 8.9, 8.0 and 9.0.
    for (const int shared : {99 << 10, 163 << 10, 227 << 10}) {
        for (const int width : {576, 2880, 4096, 5120, 8192}) {
            const int tokens = decodeTokensThatFit(width, static_cast<std::size_t>(shared));
            INFO(shared << " bytes, rows of " << width << ": " << tokens << " tokens");
            const int sums = 4 * 2 * RoundSums::kFloatsOfToken * tokens;
            const int rows = 4 * (width + 8) * tokens + 128;
            for (const WeightFormat format : {WeightFormat::Bf16, WeightFormat::Bf16Pair,
                                              WeightFormat::Q8_0, WeightFormat::Mxfp4})
                CHECK(ringBytes(format, kBandTiles, 1) + sums + rows + kStaticShared <= shared);
        }
    }
    CHECK(decodeTokensThatFit(2880, 227 << 10) == kDecodeTokens);
    CHECK(decodeTokensThatFit(2880, 99 << 10) == 4);
    CHECK(decodeTokensThatFit(8192, 99 << 10) == 1);
}
