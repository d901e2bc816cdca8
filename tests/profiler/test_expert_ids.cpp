// SPDX-License-Identifier: Apache-2.0
// Arrays of expert ids: a file that numpy 2.4.6 wrote, and headers made up here.
#include <array>
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/expert_ids.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using Catch::Matchers::Contains;
using test::thrownBy;

namespace {

std::span<const std::byte> bytesOf(const std::string& text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// An .npy file of version 1.0 with that header and so many bytes of zeros.
std::string npy(std::string header, std::size_t bytes) {
    std::string out("\x93NUMPY\x01\x00", 8);
    out += static_cast<char>(header.size() & 0xFF);
    out += static_cast<char>(header.size() >> 8);
    return out + header + std::string(bytes, '\0');
}

std::string refusal(const std::string& file) {
    return thrownBy<Error>([&] { readNpy(bytesOf(file), "f.npy"); });
}

}  // namespace

TEST_CASE("an array that numpy saved is read, and what is written for numpy reads back") {
    const std::string file = readFile(std::filesystem::path(MOESCOPE_SOURCE_DIR) /
                                      "tests/fuzz/corpus/fuzz_routing_import/ids.npy");
    const ExpertIds ids = readNpy(bytesOf(file), "ids.npy");
    CHECK(ids.tokens == 3);
    CHECK(ids.layers == 2);
    CHECK(ids.topK == 2);
    CHECK(ids.ids == std::vector<std::int16_t>{0, 5, 1, 2, 3, 0, 2, 1, 0, 4, 5, 2});
    const std::string ours = npyOf(ids);
    CHECK(ours.size() == 128 + 24);  // the data begins at a multiple of 64
    const ExpertIds again = readNpy(bytesOf(ours), "again");
    CHECK(again.ids == ids.ids);
    CHECK(again.layers == 2);
    for (std::size_t length = 0; length < file.size(); ++length)
        CHECK_FALSE(refusal(file.substr(0, length)).empty());
}

TEST_CASE("an .npy that is no array of expert ids is refused by its cause") {
    const auto header = [](const std::string& descr, const std::string& shape,
                           const char* fortran = "False") {
        return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': (" + shape +
               "), }\n";
    };
    CHECK(refusal(npy(header("<i4", "1, 2, 2"), 16)).empty());
    CHECK(refusal(npy("{'shape': (1, 1, 1), 'descr': '|u1', 'fortran_order': False}", 1)).empty());
    CHECK_THAT(refusal(npy(header(">i4", "1, 2, 2"), 16)), Contains("type \">i4\""));
    CHECK_THAT(refusal(npy(header("<f4", "1, 2, 2"), 16)), Contains("little-endian integers"));
    CHECK_THAT(refusal(npy(header("|O", "1, 2, 2"), 16)), Contains("type \"|O\""));
    CHECK_THAT(refusal(npy(header("<i4", "1, 2, 2", "True"), 16)), Contains("Fortran's order"));
    CHECK_THAT(refusal(npy(header("<i4", "2, 2"), 16)),
               Contains("has the shape 2 x 2, not tokens x layers x top-k"));
    CHECK_THAT(refusal(npy(header("<i4", "1, 2, 2"), 15)), Contains("has not 15 bytes"));
    CHECK_THAT(refusal(npy(header("<i4", "1, 2, 2"), 20)), Contains("has not 20 bytes"));
    CHECK_THAT(refusal(npy(header("<i4", "2147483647, 2147483647, 2147483647"), 16)),
               Contains("has not 16 bytes"));
    CHECK_THAT(refusal(npy(header("<i4", "99999999999999999999, 2, 2"), 16)),
               Contains("header is damaged"));
    CHECK_THAT(refusal(npy(header("<i4", "-1, 2, 2"), 16)), Contains("header is damaged"));
    CHECK_THAT(refusal(npy(header("<i4", "1, 2, 2") + "x", 16)), Contains("header is damaged"));
    CHECK_THAT(refusal(npy("{'descr': '<i4'", 16)), Contains("header is damaged"));
    std::string newer = npy(header("<i4", "1, 2, 2"), 16);
    newer[6] = 4;
    CHECK_THAT(refusal(newer), Contains("version 4 is not known"));
    std::string negative = npy(header("|i1", "1, 1, 2"), 2);
    negative[negative.size() - 1] = '\xFE';
    CHECK_THAT(refusal(negative), Contains("-2 is no expert"));
    std::string high = npy(header("<u2", "1, 1, 1"), 2);
    high[high.size() - 1] = '\x80';
    CHECK_THAT(refusal(high), Contains("expert 32768 is more than the 32767"));
}

TEST_CASE("integers of every width are read with their sign") {
    const std::array<std::byte, 8> bytes{std::byte{0xFE}, std::byte{0xFF}, std::byte{0xFF},
                                         std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF},
                                         std::byte{0xFF}, std::byte{0xFF}};
    const auto read = [&](const char* name) {
        return readInteger(bytes.data(), integerTypeNamed(name).value());
    };
    CHECK(read("int8") == -2);
    CHECK(read("|u1") == 254);
    CHECK(read("<i2") == -2);
    CHECK(read("uint16") == 65534);
    CHECK(read("torch.int32") == -2);
    CHECK(read("<u4") == 4294967294);
    CHECK(read("<i8") == -2);
    for (const char* name : {"", "<", "float32", "<f4", ">i4", "=i4", "i4", "|i4", "bool"})
        CHECK_FALSE(integerTypeNamed(name));
}
