// SPDX-License-Identifier: Apache-2.0
// The arithmetic that packing and kernels share.
#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/layout.h"
#include "engine/formats/half.h"

using namespace moescope::cuda;

namespace {
constexpr WeightFormat kFormats[] = {WeightFormat::Bf16, WeightFormat::Bf16Pair, WeightFormat::Q8_0,
                                     WeightFormat::Mxfp4};
}

TEST_CASE("operand order is a permutation of each chunk and its inverse undoes it") {
    for (const WeightFormat format : kFormats) {
        const int n = 3 * chunkColumns(format);
        std::vector<int> seen;
        for (int p = 0; p < n; ++p) {
            const int column = operandColumn(format, p);
            CHECK(column / chunkColumns(format) == p / chunkColumns(format));
            CHECK(operandPosition(format, column) == p);
            seen.push_back(column);
        }
        std::sort(seen.begin(), seen.end());
        for (int i = 0; i < n; ++i) CHECK(seen[static_cast<std::size_t>(i)] == i);
    }
}

TEST_CASE("every E2M1 code comes out of every place of a word, times every scale") {
    for (std::uint32_t code = 0; code < 16; ++code) {
        for (int place = 0; place < 8; ++place) {
            // The other places hold other codes, whose bits must not leak in.
            std::uint8_t codes[8];
            for (int i = 0; i < 8; ++i)
                codes[i] = static_cast<std::uint8_t>((code * 7 + 3 * i) % 16);
            codes[place] = static_cast<std::uint8_t>(code);
            const std::uint32_t word = mxfp4Word(codes);
            const std::uint32_t pairs[4] = {mxfp4Pair<0>(word), mxfp4Pair<1>(word),
                                            mxfp4Pair<2>(word), mxfp4Pair<3>(word)};
            const std::uint32_t pair = pairs[place / 2];
            const std::uint32_t bits = place % 2 != 0 ? pair >> 16U : pair & 0xFFFFU;
            CHECK(fromBf16(bits) == moescope::kE2m1Values[code] * 0x1p-126F);
            for (const std::uint32_t e : {0U, 1U, 2U, 100U, 127U, 128U}) {
                // Checked in double: 2^-126 times 2^127 is beyond what a float product may flush.
                const double scaled = double{fromBf16(bits)} * fromBf16(mxfp4Scale(e) & 0xFFFFU);
                CHECK(scaled == double{moescope::kE2m1Values[code]} *
                                    moescope::e8m0ToFloat(static_cast<std::uint8_t>(e)));
            }
        }
    }
}
