// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/gguf.h"

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "engine/formats/gguf_writer.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;
using gguf::ValueType;

namespace {

/// One tensor of the hand-made file.
struct Entry {
    std::string name = "t";
    std::vector<std::uint64_t> ne{4};
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
};

/// A version 3 file with the given key-value records, tensors and 64 bytes of tensor data.
std::string file(const Bytes& keys, std::uint64_t keyCount, const std::vector<Entry>& tensors,
                 std::size_t dataBytes = 64) {
    Bytes out;
    out.raw("GGUF").put<std::uint32_t>(3).put<std::uint64_t>(tensors.size()).put(keyCount);
    out.raw(keys.str());
    for (const Entry& t : tensors) {
        out.text(t.name).put(static_cast<std::uint32_t>(t.ne.size()));
        for (const std::uint64_t extent : t.ne) out.put(extent);
        out.put(t.type).put(t.offset);
    }
    return out.padTo(32).raw(std::string(dataBytes, '\1')).str();
}

Bytes u32Key(std::string_view key, std::uint32_t value) {
    Bytes b;
    b.text(key).put(ValueType::U32).put(value);
    return b;
}

/// The message that opening these bytes gives, without the path.
std::string complaint(const std::string& content) {
    const TemporaryFolder folder;
    const auto path = folder / "x.gguf";
    writeQuickly(path, content);
    std::string message = errorOf([&] { openCheckpoint(path); });
    const std::string start = path.string() + ": ";
    if (!message.empty()) REQUIRE(message.starts_with(start));
    return message.empty() ? message : message.substr(start.size());
}

}  // namespace

TEST_CASE("the parts of a split GGUF file are one checkpoint, whichever is named") {
    const TemporaryFolder folder;
    const auto name = [&](int part) {
        return folder / ("m-0000" + std::to_string(part) + "-of-00003.gguf");
    };
    const auto part = [&](std::uint16_t number, const Bytes& more, std::uint64_t moreKeys,
                          const std::vector<Entry>& tensors, std::int32_t total = 3) {
        Bytes keys;
        keys.text("split.no").put(ValueType::U16).put(number);
        keys.text("split.count").put(ValueType::U16).put<std::uint16_t>(3);
        keys.text("split.tensors.count").put(ValueType::I32).put(total);
        keys.raw(more.str());
        return file(keys, 3 + moreKeys, tensors);
    };
    writeQuickly(name(1), part(0, u32Key("answer", 42), 1, {}));  // keys alone, as some have it
    writeQuickly(name(2), part(1, {}, 0, {{"a"}, {"b", {4}, 0, 32}}));
    writeQuickly(name(3), part(2, {}, 0, {{"c"}}));
    for (int given = 1; given <= 3; ++given) {
        const auto checkpoint = openCheckpoint(name(given));
        CHECK(checkpoint->path() == name(given));
        CHECK(checkpoint->config()["answer"] == 42);
        CHECK(checkpoint->files() == std::vector{name(1), name(2), name(3)});
        CHECK(checkpoint->identity() == openCheckpoint(name(1))->identity());
        std::string names;
        for (const TensorView& t : checkpoint->tensors()) {
            names += t.name;
            CHECK(checkpoint->find(t.name) == &t);
            CHECK(t.data[0] == std::byte{1});
            checkpoint->release(t);
        }
        CHECK(names == "abc");
        std::uint64_t bytes = 0;
        for (const auto& path : checkpoint->files()) bytes += std::filesystem::file_size(path);
        CHECK(checkpoint->fileBytes() == bytes);
    }
    const auto message = [&] { return errorOf([&] { openCheckpoint(name(1)); }); };
    writeQuickly(name(3), part(2, {}, 0, {{"a"}}));
    CHECK(message() == name(1).string() + ": tensor 'a' appears twice");
    writeQuickly(name(3), part(1, {}, 0, {{"c"}}));
    CHECK(message() == name(3).string() + ": does not say that it is part 3 of 3");
    writeQuickly(name(3), part(2, {}, 0, {}));
    CHECK(message() ==
          name(1).string() + ": the 3 parts hold 2 tensors, split.tensors.count says 3");
    std::filesystem::remove(name(3));
    CHECK(message() == name(3).string() + ": missing (m-00001-of-00003.gguf is part 1 of 3)");
    std::filesystem::copy_file(name(2), folder / "x.gguf");
    CHECK(
        errorOf([&] { openCheckpoint(folder / "x.gguf"); }) ==
        (folder / "x.gguf").string() +
            ": is part 2 of 3 of a split file, but its name does not end in -00002-of-00003.gguf");
}

TEST_CASE("GGUF metadata of every value type arrives as written by gguf-py") {
    const auto golden = openCheckpoint(MOESCOPE_SOURCE_DIR "/tests/golden/data/dtypes.gguf");
    const auto& c = golden->config();
    CHECK(golden->layout() == CheckpointLayout::Gguf);
    CHECK(c["general.architecture"] == "golden");
    CHECK(c["test.u8"] == 255);
    CHECK(c["test.i8"] == -128);
    CHECK(c["test.u16"] == 65535);
    CHECK(c["test.i16"] == -32768);
    CHECK(c["test.i32"] == std::numeric_limits<std::int32_t>::min());
    CHECK(c["test.u64"] == std::numeric_limits<std::uint64_t>::max());
    CHECK(c["test.i64"] == std::numeric_limits<std::int64_t>::min());
    CHECK(c["test.f32"] == 0.15625);
    CHECK(c["test.f64"] == -1e300);
    CHECK(c["test.bool"] == true);
    CHECK(c["test.strings"][2] == "\u00e9\U0001f600");
    CHECK(golden->stringArray("test.strings").size() == 3);
    CHECK_FALSE(c.contains("test.long"));
    const auto numbers = golden->numberArray("test.long");
    REQUIRE(numbers.size() == 2000);
    CHECK(numbers[1999] == 1999.0);
    CHECK(golden->stringArray("absent").empty());
    CHECK(golden->find("absent") == nullptr);
    CHECK_FALSE(golden->synthetic());
}

TEST_CASE("GGUF shapes come outermost first with strides in bytes") {
    const TemporaryFolder folder;
    const auto path = folder / "x.gguf";
    writeQuickly(path, file({}, 0, {{"w", {32, 3, 2}, 39, 0}}, 102));
    const auto checkpoint = openCheckpoint(path);
    const TensorView* t = checkpoint->find("w");
    REQUIRE(t != nullptr);
    CHECK(t->type == DType::MXFP4);
    CHECK(t->stack() == 2);
    CHECK(t->rows() == 3);
    CHECK(t->cols() == 32);
    CHECK(t->rowStride == 17);
    CHECK(t->stackStride == 51);
    CHECK(t->matrix(1).data - t->data == 51);
    CHECK(checkpoint->fileBytes() == std::filesystem::file_size(path));
    checkpoint->release(*t);
    CHECK(t->data[101] == std::byte{1});
}

TEST_CASE("GGUF identity changes with metadata and shape but not with weights") {
    const TemporaryFolder folder;
    const auto identity = [&](const std::string& content) {
        writeQuickly(folder / "x.gguf", content);
        return openCheckpoint(folder / "x.gguf")->identity();
    };
    std::string base = file(u32Key("a", 1), 1, {{"t", {4}, 0, 0}});
    const std::string first = identity(base);
    base.back() = '\7';
    CHECK(identity(base) == first);
    CHECK(identity(file(u32Key("a", 2), 1, {{"t", {4}, 0, 0}})) != first);
    CHECK(identity(file(u32Key("a", 1), 1, {{"t", {5}, 0, 0}})) != first);
}

TEST_CASE("GGUF defects give one sentence that names file and cause") {
    const Bytes none;
    CHECK(complaint("") == "not a GGUF file (it does not begin with 'GGUF')");
    CHECK(complaint("hello, world") == "not a GGUF file (it does not begin with 'GGUF')");
    CHECK(complaint(Bytes().raw("GGUF").put<std::uint32_t>(0x03000000).str()) ==
          "a big-endian GGUF file is not supported");
    CHECK(complaint(Bytes().raw("GGUF").put<std::uint32_t>(1).str()) ==
          "GGUF version 1 is not supported (2 and 3 are)");
    CHECK(complaint(file(none, 1ULL << 60, {})) ==
          "declares 1152921504606846976 metadata keys, more than 96 bytes can hold (truncated or "
          "damaged?)");
    CHECK(complaint(file(none, 0, {{"t", {4}, 0, 0}}, 8)) ==
          "tensor 't' ends at byte 80, the file has 72 (truncated download?)");
    CHECK(complaint(file(none, 0, {{"t", {4}, 0, 16}})) ==
          "tensor 't' starts at offset 16, not a multiple of the alignment 32");
    CHECK(complaint(file(none, 0, {{"a", {16}, 0, 0}, {"b", {8}, 0, 32}})) ==
          "tensors 'a' and 'b' overlap at byte 128");
    CHECK(complaint(file(none, 0, {{"a", {8}, 0, 0}, {"a", {8}, 0, 32}})) ==
          "tensor 'a' appears twice");
    CHECK(complaint(file(none, 0, {{"t", {31}, 39, 0}})) ==
          "tensor 't' has rows of 31 weights, not a multiple of 32 as MXFP4 needs");
    CHECK(complaint(file(none, 0, {{"t", {32}, 7, 0}})) ==
          "tensor 't' is stored as Q5_1, which is not supported");
    CHECK(complaint(file(none, 0, {{"t", {32}, 999, 0}})) ==
          "tensor 't' is stored as type 999, which is not supported");
    CHECK(complaint(file(none, 0, {{"t", {1, 1, 1, 1, 1}, 0, 0}})) ==
          "tensor 't' has 5 dimensions (1 to 4 are valid)");
    CHECK(complaint(file(none, 0, {{"t", {4, 0}, 0, 0}})) == "tensor 't' has a dimension of 0");
    CHECK(complaint(file(none, 0, {{"t", {1ULL << 62, 1ULL << 62}, 0, 0}}))
              .starts_with("tensor 't' has "));
    CHECK(complaint(file(none, 0, {{"t", {4}, 0, std::uint64_t(0) - 32}})) ==
          "tensor 't' starts at the impossible offset 18446744073709551584");
    CHECK(complaint(file(none, 0, {{"\xC0\xAF", {4}, 0, 0}})) ==
          "a tensor name '\uFFFD\uFFFD' is not valid UTF-8");
    CHECK(complaint(file(none, 0, {{"", {4}, 0, 0}})) == "a tensor name is empty");
    CHECK(complaint(file(none, 0, {{std::string(2000, 'n'), {4}, 0, 0}})) ==
          "a tensor name has 2000 bytes (limit 1024)");
}

TEST_CASE("GGUF metadata defects are refused before anything is allocated by them") {
    const auto value = [](ValueType type) {
        Bytes b;
        return b.text("k").put(type);
    };
    CHECK(complaint(file(Bytes().raw(u32Key("a", 1).str()).raw(u32Key("a", 1).str()), 2, {})) ==
          "metadata key 'a' appears twice");
    CHECK(complaint(file(value(static_cast<ValueType>(77)).put(1), 1, {})) ==
          "the value of 'k' has the unknown value type 77");
    CHECK(complaint(file(value(ValueType::String).put(~std::uint64_t{0}), 1, {}))
              .starts_with("ends inside the value of 'k' (18446744073709551615 bytes wanted"));
    CHECK(complaint(file(value(ValueType::Array).put(ValueType::String).put(1ULL << 50), 1, {}))
              .starts_with("the value of 'k' declares 1125899906842624 elements, but "));
    CHECK(complaint(file(value(ValueType::Array).put(99U).put(1ULL), 1, {})) ==
          "the value of 'k' has the unknown element type 99");
    Bytes nested = value(ValueType::Array);
    for (int i = 0; i < 20; ++i) nested.put(ValueType::Array).put(std::uint64_t{1});
    CHECK(complaint(file(nested, 1, {})) == "the value of 'k' nests arrays deeper than 4");
    CHECK(complaint(file(u32Key("general.alignment", 24), 1, {})) ==
          "general.alignment is 24, not a power of two");
    CHECK(complaint(file(u32Key("general.alignment", 0), 1, {})) ==
          "general.alignment is 0, not a power of two");
}

TEST_CASE("GgufWriter writes what the reader reads") {
    const TemporaryFolder folder;
    const auto path = folder / "new/folder/x.gguf";
    GgufWriter writer(path);
    writer.add("general.architecture", "test");
    writer.add("n", std::uint32_t{7});
    writer.add("x", 0.5F);
    writer.add("general.moescope.synthetic", true);
    writer.add("words", std::vector<std::string>{"a", "bc"});
    writer.add("types", std::vector<std::int32_t>{1, -3});
    writer.addTensor("odd", DType::F32, std::vector<std::int64_t>{3});
    writer.addTensor("stack", DType::Q8_0, std::vector<std::int64_t>{2, 1, 32});
    writer.begin();
    CHECK_FALSE(std::filesystem::exists(path));
    const std::vector<std::byte> data(68, std::byte{9});
    writer.write(std::span(data).first(12));
    writer.write(std::span(data).first(30));
    writer.write(std::span(data).first(38));
    writer.finish();
    CHECK(std::filesystem::file_size(path) == writer.fileBytes());

    const auto read = openCheckpoint(path);
    CHECK(read->synthetic());
    CHECK(read->config()["n"] == 7);
    CHECK(read->config()["x"] == 0.5);
    CHECK(read->config()["words"] == nlohmann::json({"a", "bc"}));
    CHECK(read->numberArray("types") == std::vector<double>{1, -3});
    REQUIRE(read->find("stack") != nullptr);
    CHECK(read->find("stack")->stack() == 2);
    CHECK(read->find("stack")->data[67] == std::byte{9});
    CHECK(read->find("odd")->rank == 1);
}

TEST_CASE("an unfinished GgufWriter leaves nothing behind") {
    const TemporaryFolder folder;
    {
        GgufWriter writer(folder / "x.gguf");
        writer.addTensor("t", DType::F32, std::vector<std::int64_t>{8});
        writer.begin();
        CHECK_FALSE(std::filesystem::is_empty(folder.path()));
    }
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("GgufWriter names the folder that cannot be written and the disk that is too small") {
    GgufWriter unwritable("/proc/x.gguf");
    CHECK(errorOf([&] { unwritable.begin(); }).starts_with("/proc/x.gguf: "));
    GgufWriter below("/dev/null/x.gguf");
    CHECK(errorOf([&] { below.begin(); }).starts_with("/dev/null: cannot create folder: "));
    const TemporaryFolder folder;
    GgufWriter huge(folder / "x.gguf");
    huge.addTensor("t", DType::F32, std::vector<std::int64_t>{1LL << 50});
    const std::string message = errorOf([&] { huge.begin(); });
    CHECK(message.starts_with((folder / "x.gguf").string() + ": needs 4503599627370"));
    CHECK(std::filesystem::is_empty(folder.path()));
}
