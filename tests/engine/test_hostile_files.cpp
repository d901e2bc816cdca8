// SPDX-License-Identifier: Apache-2.0
// Damaged checkpoints: whatever the bytes, opening gives a checkpoint whose views lie inside the
// file, or an Error. Run under the sanitizer presets this also proves the absence of stray reads.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "engine/core/file.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// Reads everything an open checkpoint offers.
void touch(const Checkpoint& checkpoint) {
    for (const char* key : {"words", "numbers"}) {
        (void)checkpoint.stringArray(key);
        (void)checkpoint.numberArray(key);
    }
    (void)checkpoint.identity();
    (void)dumpJson(checkpoint.config());
    for (const TensorView& t : checkpoint.tensors()) {
        REQUIRE(checkpoint.find(t.name) == &t);
        if (!dtypeInfo(t.type).isWeight || t.cols() > 4096) continue;
        std::vector<float> row(static_cast<std::size_t>(t.cols()));
        dequantizeRow(t, t.stack() - 1, t.rows() - 1, row);
        (void)rowIsFinite(t, t.stack() - 1, t.rows() - 1);
    }
}

/// True when the bytes open; an Error must be one line that begins with the path.
bool opens(const std::filesystem::path& path, std::string_view content) {
    writeQuickly(path, content);
    try {
        touch(*openCheckpoint(path));
        return true;
    } catch (const Error& e) {
        const std::string message = e.what();
        REQUIRE(message.starts_with(path.string() + ": "));
        REQUIRE(message.find('\n') == std::string::npos);
        REQUIRE(toValidUtf8(message) == message);
        return false;
    }
}

std::string smallGguf() {
    Bytes out;
    out.raw("GGUF").put(3U).put(std::uint64_t{3}).put(std::uint64_t{4});
    out.text("general.architecture").put(8U).text("tiny");
    out.text("words").put(9U).put(8U).put(std::uint64_t{2}).text("ab").text("c");
    out.text("numbers").put(9U).put(5U).put(std::uint64_t{2}).put(1).put(-1);
    out.text("rate").put(6U).put(0.5F);
    const auto tensor = [&](std::string_view name, std::vector<std::uint64_t> ne, unsigned type,
                            std::uint64_t offset) {
        out.text(name).put(static_cast<std::uint32_t>(ne.size()));
        for (const std::uint64_t extent : ne) out.put(extent);
        out.put(type).put(offset);
    };
    tensor("norm", {8}, 0, 0);
    tensor("experts", {32, 2, 2}, 39, 32);
    tensor("head", {32, 2}, 8, 128);
    out.padTo(32).raw(std::string(196, '\x55'));
    return out.str();
}

std::string smallSafetensors() {
    const std::string header =
        R"({"__metadata__":{"a":"b"},"norm":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},)"
        R"("w":{"dtype":"BF16","shape":[2,3],"data_offsets":[16,28]}})";
    return Bytes().text(header).raw(std::string(28, '\x55')).str();
}

void everyTruncationFails(const std::string& name, const std::string& valid) {
    const TemporaryFolder folder;
    REQUIRE(opens(folder / name, valid));
    for (std::size_t part = 0; part < 64; ++part) {
        CHECK_FALSE(opens(folder / name, valid.substr(0, valid.size() * part / 64)));
    }
}

void mutationsNeverEscape(const std::string& name, const std::string& valid) {
    const TemporaryFolder folder;
    std::mt19937 random(20261123);
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
        std::string bytes = valid;
        const unsigned flips = 1 + random() % 4;
        for (unsigned f = 0; f < flips; ++f) {
            const std::size_t at = random() % bytes.size();
            // Single bits and extreme bytes: the latter make huge counts and lengths.
            if (random() % 2 == 0)
                bytes[at] ^= static_cast<char>(1U << random() % 8);
            else
                bytes[at] = random() % 2 == 0 ? '\xFF' : '\x7F';
        }
        refused += opens(folder / name, bytes) ? 0 : 1;
    }
    CHECK(refused > 500);  // most of these files are tables
    CHECK(refused < 2000);
}

}  // namespace

TEST_CASE("a GGUF file truncated anywhere is refused") {
    everyTruncationFails("x.gguf", smallGguf());
}

TEST_CASE("a safetensors file truncated anywhere is refused") {
    everyTruncationFails("x.safetensors", smallSafetensors());
}

TEST_CASE("2000 damaged GGUF files open or give an Error") {
    mutationsNeverEscape("x.gguf", smallGguf());
}

TEST_CASE("2000 damaged safetensors files open or give an Error") {
    mutationsNeverEscape("x.safetensors", smallSafetensors());
}
