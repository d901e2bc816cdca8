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
         {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q4_K", "Q5_K", "Q6_K", "MXFP4", "F16", "BF16"}) {
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

TEST_CASE("quantizeRow gives the bytes of gguf-py") {
    const TensorView& values = tensor("values");
    for (const char* name : {"Q8_0", "Q4_0", "Q4_1", "MXFP4", "F16", "BF16"}) {
        INFO(name);
        const bool plain = std::string(name).ends_with("16");
        const TensorView& expected = tensor(plain ? name : std::string(name) + ".quantized");
        std::vector<std::byte> out(static_cast<std::size_t>(expected.rowStride));
        for (std::int64_t r = 0; r < values.rows(); ++r) {
            quantizeRow(expected.type, row(values, r), out);
            const std::byte* wanted = expected.data + r * expected.rowStride;
            REQUIRE(std::equal(out.begin(), out.end(), wanted));
        }
    }
}

TEST_CASE("MXFP4 quantisation follows the OCP rule on hand-worked blocks") {
    std::vector<float> x(32, 0.0F);
    std::vector<std::byte> out(17);
    quantizeRow(DType::MXFP4, x, out);
    CHECK(out == std::vector<std::byte>(17));  // a block of zeros has scale byte 0
    x[0] = 7.9F;    // floor(log2) - 2 = 0: scale 1, saturates at 6 (code 7)
    x[16] = -2.5F;  // tie between 2 and 3: the smaller, code 4 with the sign bit
    x[1] = 5.01F;   // nearest 6
    quantizeRow(DType::MXFP4, x, out);
    CHECK(std::to_integer<int>(out[0]) == 127);
    CHECK(std::to_integer<int>(out[1]) == (0xC0 | 0x07));
    CHECK(std::to_integer<int>(out[2]) == 0x07);
    x.assign(32, 1e-44F);  // far below the smallest scale
    quantizeRow(DType::MXFP4, x, out);
    CHECK(out == std::vector<std::byte>(17));
}

TEST_CASE("split MXFP4 rows honour interleaved strides") {
    // Two rows of one block each, read as the odd rows of a four-row tensor.
    std::vector<std::byte> codes(64);
    std::vector<std::byte> scales(4, std::byte{127});
    codes[16] = std::byte{0x21};  // row 1: elements 0 and 1 are 0.5 and 1
    codes[63] = std::byte{0xF7};  // row 3: elements 30 and 31 are 6 and -6
    scales[3] = std::byte{128};
    TensorView t;
    t.type = DType::MXFP4Split;
    t.rank = 2;
    t.shape = {2, 32, 1, 1};
    t.data = codes.data() + 16;
    t.scales = scales.data() + 1;
    t.rowStride = 32;
    t.scaleStride = 2;
    CHECK(row(t, 0)[0] == 0.5F);
    CHECK(row(t, 0)[1] == 1.0F);
    CHECK(row(t, 0)[2] == 0.0F);
    CHECK(row(t, 1)[30] == 12.0F);
    CHECK(row(t, 1)[31] == -12.0F);
}

TEST_CASE("a NaN scale is found in its row and refused by name") {
    std::vector<std::byte> blocks(3 * 17, std::byte{100});
    blocks[17] = std::byte{255};
    TensorView t;
    t.name = "blk.0.w";
    t.type = DType::MXFP4;
    t.rank = 2;
    t.shape = {3, 32, 1, 1};
    t.data = blocks.data();
    setContiguousStrides(t);
    CHECK(rowIsFinite(t, 0, 0));
    CHECK_FALSE(rowIsFinite(t, 0, 1));
    CHECK(rowIsFinite(t, 0, 2));
    CHECK_NOTHROW(refuseNotFinite(t, 0, 2));
    CHECK_THROWS_WITH(refuseNotFinite(t),
                      "tensor 'blk.0.w': row 1 holds a number that is not finite (an MXFP4 scale "
                      "of 255, NaN, or too large for float32)");
    CHECK(std::isnan(row(t, 1)[0]));
    CHECK_NOTHROW(refuseNotFinite(TensorView{}));
}

TEST_CASE("plain values that are infinite are not finite and large ones are") {
    std::vector<float> values{1.0F, -3.4e38F, 0.0F, 1e-45F, 2.0F, -INFINITY};
    TensorView t;
    t.type = DType::F32;
    t.rank = 2;
    t.shape = {2, 3, 1, 1};
    t.data = reinterpret_cast<const std::byte*>(values.data());
    setContiguousStrides(t);
    CHECK(rowIsFinite(t, 0, 0));
    CHECK_FALSE(rowIsFinite(t, 0, 1));
}

TEST_CASE("row sizes refuse partial blocks and overflow") {
    CHECK(rowBytes(DType::MXFP4, 2880) == 1530);
    CHECK(rowBytes(DType::Q6_K, 512) == 420);
    CHECK_FALSE(rowBytes(DType::Q8_0, 33).has_value());
    CHECK_FALSE(rowBytes(DType::F32, -1).has_value());
    CHECK_FALSE(rowBytes(DType::F32, std::numeric_limits<std::int64_t>::max()).has_value());
}
