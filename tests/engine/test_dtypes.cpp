// SPDX-License-Identifier: Apache-2.0
// Every stored number format against gguf-py's values (tests/golden/make_dtypes.py).
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"

using namespace moescope;

namespace {

const Checkpoint& golden() {
    static const auto file = openCheckpoint(MOESCOPE_SOURCE_DIR "/tests/golden/data/dtypes.gguf");
    return *file;
}

const TensorView& tensor(const std::string& name) {
    const TensorView* found = golden().find(name);
    REQUIRE(found != nullptr);
    return *found;
}

std::vector<float> row(const TensorView& t, std::int64_t r, std::int64_t stack = 0) {
    std::vector<float> out(static_cast<std::size_t>(t.cols()));
    dequantizeRow(t, stack, r, out);
    return out;
}

}  // namespace

TEST_CASE("dequantizeRow equals gguf-py bit for bit in every format") {
    for (const char* name :
         {"Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q5_K", "Q6_K", "MXFP4", "F16", "BF16"}) {
        INFO(name);
        const TensorView& stored = tensor(name);
        const TensorView& expected = tensor(std::string(name) + ".expected");
        REQUIRE(dtypeInfo(stored.type).name == name);
        REQUIRE(stored.rows() == 4);
        REQUIRE(stored.cols() == 256);
        for (std::int64_t r = 0; r < stored.rows(); ++r) {
            REQUIRE(row(stored, r) == row(expected, r));
        }
    }
}

TEST_CASE("half conversion round-trips all 65536 codes and rounds ties to even") {
    for (std::uint32_t code = 0; code < 65536; ++code) {
        const auto half = static_cast<std::uint16_t>(code);
        const float value = halfToFloat(half);
        if (std::isnan(value)) {
            REQUIRE(std::isnan(halfToFloat(floatToHalf(value))));
        } else {
            REQUIRE(floatToHalf(value) == half);
        }
    }
    CHECK(halfToFloat(0x3C00) == 1.0F);
    CHECK(halfToFloat(0x0001) == 0x1p-24F);
    CHECK(floatToHalf(1.0F + 0x1p-11F) == 0x3C00);      // tie, down to even
    CHECK(floatToHalf(1.0F + 3 * 0x1p-11F) == 0x3C02);  // tie, up to even
    CHECK(floatToHalf(0x1p-25F) == 0x0000);             // tie between 0 and the smallest
    CHECK(floatToHalf(0x1.8p-25F) == 0x0001);
    CHECK(floatToHalf(65519.0F) == 0x7BFF);
    CHECK(floatToHalf(65520.0F) == 0x7C00);
    CHECK(floatToHalf(-std::numeric_limits<float>::infinity()) == 0xFC00);
}

TEST_CASE("bf16 conversion rounds ties to even and keeps NaN") {
    CHECK(floatToBf16(1.0F) == 0x3F80);
    CHECK(floatToBf16(1.0F + 0x1p-8F) == 0x3F80);
    CHECK(floatToBf16(1.0F + 3 * 0x1p-8F) == 0x3F82);
    CHECK(std::isnan(bf16ToFloat(floatToBf16(std::bit_cast<float>(0x7F800001U)))));
    CHECK(bf16ToFloat(0xC000) == -2.0F);
}

TEST_CASE("E8M0 scales cover 2^-127 to 2^127 and NaN") {
    CHECK(e8m0ToFloat(0) == 0x1p-127F);
    CHECK(e8m0ToFloat(1) == 0x1p-126F);
    CHECK(e8m0ToFloat(127) == 1.0F);
    CHECK(e8m0ToFloat(254) == 0x1p127F);
    CHECK(std::isnan(e8m0ToFloat(255)));
}
