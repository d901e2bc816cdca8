// SPDX-License-Identifier: Apache-2.0
// The MXFP4 quantisers against their originals (tests/golden/make_mxfp4.py), byte orders, edges.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "engine/core/error.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"
#include "engine/formats/mxfp4.h"

using namespace moescope;

namespace {

constexpr Mxfp4Rule kRules[] = {Mxfp4Rule::Floor, Mxfp4Rule::Ceil, Mxfp4Rule::Rne};

std::vector<std::byte> quantized(Mxfp4Rule rule, const std::vector<float>& x) {
    std::vector<std::byte> out(x.size() / kMxfp4Weights * kMxfp4Record);
    quantizeMxfp4(rule, x, out);
    return out;
}

TensorView recordView(const std::vector<std::byte>& blocks) {
    TensorView t;
    t.name = "w";
    t.type = DType::MXFP4;
    t.rank = 2;
    t.shape = {1, static_cast<std::int64_t>(blocks.size() / kMxfp4Record * kMxfp4Weights), 1, 1};
    t.data = blocks.data();
    setContiguousStrides(t);
    return t;
}

std::vector<float> decoded(const TensorView& t) {
    std::vector<float> out(static_cast<std::size_t>(t.cols()));
    dequantizeRow(t, 0, 0, out);
    return out;
}

/// A block with x[0] = first and zeros, then its scale byte and first code.
struct First {
    int scale, code;
};
First first(Mxfp4Rule rule, float value) {
    std::vector<float> x(32, 0.0F);
    x[0] = value;
    const auto out = quantized(rule, x);
    return {std::to_integer<int>(out[0]), std::to_integer<int>(out[1]) & 0xF};
}

bool operator==(const First& a, const First& b) {
    return a.scale == b.scale && a.code == b.code;
}

}  // namespace

TEST_CASE("every MXFP4 rule gives the bytes of its original on adversarial blocks") {
    const auto file = openCheckpoint(MOESCOPE_SOURCE_DIR "/tests/golden/data/mxfp4.gguf");
    const TensorView* blocks = file->find("blocks");
    REQUIRE(blocks != nullptr);
    REQUIRE(blocks->rows() == 1400);
    std::vector<float> x(32);
    for (const Mxfp4Rule rule : kRules) {
        const TensorView* expected = file->find(mxfp4RuleName(rule));
        REQUIRE(expected != nullptr);
        for (std::int64_t r = 0; r < blocks->rows(); ++r) {
            dequantizeRow(*blocks, 0, r, x);
            const auto out = quantized(rule, x);
            INFO(mxfp4RuleName(rule) << " block " << r);
            REQUIRE(std::memcmp(out.data(), expected->data + r * expected->rowStride, 17) == 0);
        }
    }
}

TEST_CASE("the three rules differ where the largest magnitude lies between 6 and 8 scales") {
    CHECK(first(Mxfp4Rule::Floor, 7.0F) == First{127, 7});  // 6: clipped
    CHECK(first(Mxfp4Rule::Rne, 7.0F) == First{127, 7});
    CHECK(first(Mxfp4Rule::Ceil, 7.0F) == First{128, 6});  // 3.5 scales of 2: the tie goes to 4
    CHECK(first(Mxfp4Rule::Ceil, 6.0F) == First{127, 7});
    CHECK(first(Mxfp4Rule::Ceil, -6.0F) == First{127, 15});
    // Ties: 5 scales lie between 4 (code 6) and 6 (code 7), 2.5 between 2 (4) and 3 (5).
    CHECK(first(Mxfp4Rule::Floor, 5.0F) == First{127, 6});
    CHECK(first(Mxfp4Rule::Rne, 5.0F) == First{127, 6});
    std::vector<float> x(32, 3.5F);
    x[0] = 4.0F;
    CHECK((std::to_integer<int>(quantized(Mxfp4Rule::Floor, x)[2]) & 0xF) == 5);  // 3
    CHECK((std::to_integer<int>(quantized(Mxfp4Rule::Rne, x)[2]) & 0xF) == 6);    // 4
    // ggml's log2f rounds up next to a power of two; the exact rules do not.
    CHECK(first(Mxfp4Rule::Floor, std::nextafter(8.0F, 0.0F)) == First{128, 6});
    CHECK(first(Mxfp4Rule::Rne, std::nextafter(8.0F, 0.0F)) == First{127, 7});
}

TEST_CASE("signs of zeros are kept by the rules that round to even") {
    CHECK(first(Mxfp4Rule::Floor, -0.0F) == First{0, 0});
    CHECK(first(Mxfp4Rule::Ceil, -0.0F) == First{0, 8});
    CHECK(first(Mxfp4Rule::Rne, -0.0F) == First{0, 8});
}

TEST_CASE("MXFP4 weights survive requantisation by any rule") {
    std::mt19937 random(7);
    for (int trial = 0; trial < 500; ++trial) {
        std::vector<std::byte> blocks(kMxfp4Record);
        for (std::byte& b : blocks) b = static_cast<std::byte>(random());
        blocks[0] = static_cast<std::byte>(20 + random() % 200);
        const std::vector<float> x = decoded(recordView(blocks));
        for (const Mxfp4Rule rule : kRules) {
            const auto again = quantized(rule, x);
            INFO(mxfp4RuleName(rule));
            REQUIRE(decoded(recordView(again)) == x);
        }
    }
}

TEST_CASE("E8M0 scales at the ends of their range decode as the OCP text has them") {
    const auto value = [](int scale, int code) {
        std::vector<std::byte> block(kMxfp4Record);
        block[0] = static_cast<std::byte>(scale);
        block[1] = static_cast<std::byte>(code);
        return decoded(recordView(block))[0];
    };
    CHECK(value(0, 1) == 0x1p-128F);  // subnormal in float32, and exact
    CHECK(value(0, 7) == 6 * 0x1p-127F);
    CHECK(value(1, 1) == 0x1p-127F);
    CHECK(value(1, 9) == -0x1p-127F);
    CHECK(value(254, 2) == 0x1p127F);
    CHECK(value(254, 3) == 1.5F * 0x1p127F);
    CHECK(std::isnan(value(255, 0)));  // the whole block, zeros too
    CHECK(std::isnan(value(255, 7)));
    CHECK(std::signbit(value(127, 8)));
    CHECK(value(127, 8) == 0.0F);
}

TEST_CASE("an MXFP4 weight above the largest float32 is not finite") {
    const auto finite = [](int scale, int code) {
        std::vector<std::byte> block(kMxfp4Record);
        block[0] = static_cast<std::byte>(scale);
        block[16] = static_cast<std::byte>(code << 4);  // element 31
        const TensorView t = recordView(block);
        const bool result = rowIsFinite(t, 0, 0);
        CHECK(std::isfinite(decoded(t)[31]) == result);
        return result;
    };
    CHECK(finite(0, 15));
    CHECK(finite(252, 15));
    CHECK(finite(253, 13));
    CHECK_FALSE(finite(253, 6));
    CHECK(finite(254, 3));
    CHECK_FALSE(finite(254, 12));
    CHECK_FALSE(finite(255, 0));
}

TEST_CASE("both byte orders of MXFP4 decode to the same weights") {
    std::mt19937 random(3);
    std::vector<std::byte> codes(kMxfp4Codes);
    for (std::byte& b : codes) b = static_cast<std::byte>(random());
    const std::byte scale{131};
    TensorView split;
    split.type = DType::MXFP4Split;
    split.rank = 2;
    split.shape = {1, 32, 1, 1};
    split.data = codes.data();
    split.scales = &scale;
    split.rowStride = 16;
    split.scaleStride = 1;
    std::vector<std::byte> record(kMxfp4Record);
    mxfp4Record(std::span<const std::byte, kMxfp4Codes>(codes), scale,
                std::span<std::byte, kMxfp4Record>(record));
    CHECK(decoded(recordView(record)) == decoded(split));
    CHECK(record[0] == scale);
    CHECK((record[1] & std::byte{0xF}) == (codes[0] & std::byte{0xF}));  // element 0
    CHECK((record[2] & std::byte{0xF}) == (codes[0] >> 4));              // element 1
    CHECK((record[1] >> 4) == (codes[8] & std::byte{0xF}));              // element 16
}

TEST_CASE("rules are found by name") {
    for (const Mxfp4Rule rule : kRules) CHECK(mxfp4Rule(mxfp4RuleName(rule)) == rule);
    CHECK_FALSE(mxfp4Rule("nearest").has_value());
}
