// SPDX-License-Identifier: Apache-2.0
// Unpacking of .bz2 data that anybody may have made; test_import_fingerprint.cpp has that of .xz.
#include "engine/core/decompress.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "tests/engine/packed_bzip2.h"

using namespace moescope;
using moescope::testing::packedBzip2;

namespace {

constexpr std::uint64_t kMost = 1ULL << 30U;

std::string unpackError(const std::string& packed, std::uint64_t maxBytes = kMost) {
    try {
        decompressBzip2(packed, "f.bz2", maxBytes);
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("bzip2 data are unpacked, those of several streams too") {
    const std::string text(300'000, 'x');
    CHECK(decompressBzip2(packedBzip2(text), "f", kMost) == text);
    CHECK(decompressBzip2(packedBzip2("one ") + packedBzip2("two"), "f", kMost) == "one two");
    CHECK(decompressBzip2(packedBzip2(""), "f", kMost).empty());
}

TEST_CASE("bzip2 data that are damaged, cut or too large are refused by name") {
    std::string packed = packedBzip2("some text that is long enough to be cut");
    CHECK(unpackError("") == "f.bz2: truncated bzip2 data");
    CHECK(unpackError("no bzip2 data") == "f.bz2: not bzip2 data");
    for (std::size_t n = 1; n < packed.size(); ++n)
        CHECK(unpackError(packed.substr(0, n)) == "f.bz2: truncated bzip2 data");
    CHECK(unpackError(packed, 10) == "f.bz2: unpacks to more than 10 bytes");
    CHECK(unpackError(packed + "rest") == "f.bz2: not bzip2 data");
    packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x55);
    CHECK(unpackError(packed) == "f.bz2: damaged bzip2 data");
    const std::string bomb = packedBzip2(std::string(std::size_t{30} << 20U, ' '));
    CHECK(unpackError(bomb).find("unpacks to more than") != std::string::npos);
}
