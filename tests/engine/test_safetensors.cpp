// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/safetensors.h"

#include <catch2/catch.hpp>

#include "engine/formats/hf_checkpoint.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

namespace {

std::string file(std::string_view header, std::size_t dataBytes) {
    std::string data(dataBytes, '\0');
    for (std::size_t i = 0; i < dataBytes; ++i) data[i] = static_cast<char>(i);
    return Bytes().text(header).raw(data).str();
}

std::string entry(std::string_view name, std::string_view type, std::string_view shape, int begin,
                  int end) {
    std::string out = "\"";
    out.append(name).append("\":{\"dtype\":\"").append(type).append("\",\"shape\":").append(shape);
    out.append(",\"data_offsets\":[").append(std::to_string(begin)).append(",");
    return out.append(std::to_string(end)).append("]}");
}

/// A JSON object of these entries.
std::string object(std::initializer_list<std::string> entries) {
    std::string out(1, '{');
    for (const std::string& e : entries) {
        if (out.size() > 1) out.push_back(',');
        out.append(e);
    }
    out.push_back('}');
    return out;
}

std::string complaint(const std::string& content) {
    const TemporaryFolder folder;
    const auto path = folder / "x.safetensors";
    writeQuickly(path, content);
    const std::string message = errorOf([&] { openCheckpoint(path); });
    const std::string start = path.string() + ": ";
    if (!message.empty()) REQUIRE(message.starts_with(start));
    return message.empty() ? message : message.substr(start.size());
}

}  // namespace

TEST_CASE("safetensors tensors arrive with type and shape and bytes") {
    const TemporaryFolder folder;
    const auto path = folder / "x.safetensors";
    writeQuickly(
        path,
        file(object({R"("__metadata__":{"format":"pt"})", entry("b", "BF16", "[2,3]", 4, 16),
                     entry("a", "F32", "[]", 0, 4), entry("codes", "U8", "[1,2,1,2]", 16, 20)}),
             20));
    const SafetensorsFile read(path);
    CHECK(read.metadata()["format"] == "pt");
    REQUIRE(read.tensors().size() == 3);
    CHECK(read.tensors()[0].name == "a");  // by offset
    CHECK(read.tensors()[0].rank == 1);
    CHECK(read.tensors()[0].elements() == 1);
    const TensorView& b = read.tensors()[1];
    CHECK(b.rows() == 2);
    CHECK(b.cols() == 3);
    CHECK(b.rowStride == 6);
    CHECK(b.data[0] == std::byte{4});
    CHECK(read.tensors()[2].rank == 4);
}

TEST_CASE("tensors that are no weights and empty ones do not keep a file from being read") {
    const TemporaryFolder folder;
    const auto path = folder / "x.safetensors";
    writeQuickly(
        path,
        file(object({entry("mask", "BOOL", "[1,1,2,2]", 8, 12),
                     entry("scale", "F8_E4M3", "[2]", 12, 14), entry("none", "F32", "[0,4]", 0, 0),
                     entry("last", "F32", "[0]", 14, 14), entry("w", "F32", "[2]", 0, 8)}),
             14));
    const auto checkpoint = openCheckpoint(path);
    CHECK(checkpoint->tensors().size() == 5);
    CHECK(checkpoint->find("mask")->type == DType::Bool);
    CHECK(checkpoint->find("mask")->elements() == 4);
    CHECK(checkpoint->find("none")->elements() == 0);
    CHECK(checkpoint->find("w")->data[7] == std::byte{7});
    for (const TensorView& t : checkpoint->tensors()) checkpoint->release(t);
}

TEST_CASE("weights smaller than a byte are read past with the sizes that safetensors gives them") {
    const TemporaryFolder folder;
    const auto path = folder / "x.safetensors";
    writeQuickly(
        path,
        file(object({entry("four", "F4", "[3,4]", 0, 6), entry("six", "F6_E2M3", "[8]", 6, 12),
                     entry("sixth", "F6_E3M2", "[1,4]", 12, 15),
                     entry("scale", "F8_E8M0", "[1]", 15, 16),
                     entry("complex", "C64", "[1]", 16, 24), entry("w", "F32", "[1]", 24, 28)}),
             28));
    const auto checkpoint = openCheckpoint(path);
    CHECK(checkpoint->find("four")->elements() == 12);
    CHECK(checkpoint->find("six")->rowStride == 6);
    CHECK(checkpoint->find("sixth")->type == DType::F6_E3M2);
    CHECK(checkpoint->find("w")->data[0] == std::byte{24});
    CHECK_FALSE(dtypeInfo(DType::F4).isWeight);
}

TEST_CASE("four-dimensional U8 tensors of gpt-oss experts are accepted") {
    const TemporaryFolder folder;
    const auto path = folder / "x.safetensors";
    writeQuickly(path, file(object({entry("blocks", "U8", "[2,3,1,16]", 0, 96)}), 96));
    const auto checkpoint = openCheckpoint(path);
    REQUIRE(checkpoint->find("blocks") != nullptr);
    CHECK(checkpoint->find("blocks")->shape == std::array<std::int64_t, 4>{2, 3, 1, 16});
}

TEST_CASE("a Hugging Face folder takes its shards from the index") {
    const TemporaryFolder folder;
    writeQuickly(folder / "config.json", R"({"model_type":"gpt_oss","moescope_synthetic":true})");
    writeQuickly(folder / "model-00000-of-00002.safetensors",
                 file(object({entry("a", "F32", "[1]", 0, 4)}), 4));
    writeQuickly(folder / "model-00001-of-00002.safetensors",
                 file(object({entry("b", "F32", "[2]", 0, 8)}), 8));
    writeQuickly(folder / "stray.safetensors", "not read");
    const std::string index = R"({"weight_map":{"a":"model-00000-of-00002.safetensors",
                                                "b":"model-00001-of-00002.safetensors"}})";
    writeQuickly(folder / "model.safetensors.index.json", index);
    const auto checkpoint = openCheckpoint(folder.path());
    CHECK(checkpoint->layout() == CheckpointLayout::HuggingFace);
    CHECK(checkpoint->config()["model_type"] == "gpt_oss");
    CHECK(checkpoint->synthetic());
    CHECK(checkpoint->tensors().size() == 2);
    REQUIRE(checkpoint->find("b") != nullptr);
    CHECK(checkpoint->find("b")->cols() == 2);
    CHECK(checkpoint->identity().size() == 64);
    checkpoint->release(*checkpoint->find("b"));

    writeQuickly(folder / "model.safetensors.index.json",
                 R"({"weight_map":{"a":"model-00001-of-00002.safetensors",
                                   "b":"model-00001-of-00002.safetensors"}})");
    CHECK(errorOf([&] { openCheckpoint(folder.path()); })
              .ends_with("model-00001-of-00002.safetensors: tensor 'a' is missing "
                         "(model.safetensors.index.json names it)"));
    writeQuickly(folder / "model.safetensors.index.json", index);
    std::filesystem::remove(folder / "model-00001-of-00002.safetensors");
    CHECK(errorOf([&] { openCheckpoint(folder.path()); })
              .ends_with("model-00001-of-00002.safetensors: missing (model.safetensors.index.json "
                         "names it)"));
    writeQuickly(folder / "model.safetensors.index.json", R"({"weight_map":{"a":"../a"}})");
    CHECK(errorOf([&] {
              openCheckpoint(folder.path());
          }).ends_with("tensor 'a' is mapped to \"../a\", not to a file name"));
}

TEST_CASE("a folder without a model says what is missing") {
    const TemporaryFolder folder;
    CHECK(errorOf([&] {
              openCheckpoint(folder.path());
          }).ends_with(": the folder has no config.json"));
    writeQuickly(folder / "config.json", "[1]");
    CHECK(errorOf([&] { openCheckpoint(folder.path()); }).ends_with(": not a JSON object"));
    CHECK(errorOf([&] {
              openCheckpoint(folder / "absent");
          }).ends_with("absent: no such file or folder"));
}

TEST_CASE("safetensors defects give one sentence that names file and cause") {
    CHECK(complaint("1234") ==
          "ends inside the header length (8 bytes wanted at byte 0, the file has 4; truncated "
          "download?)");
    CHECK(complaint(Bytes().put(1ULL << 40).str()) ==
          "not a safetensors file (its header would have 1099511627776 bytes)");
    CHECK(complaint(Bytes().put(100ULL).raw("{}").str())
              .starts_with("ends inside the header (100 bytes wanted"));
    CHECK(complaint(file("[]", 0)) == "the header is not a JSON object");
    CHECK(complaint(file("{", 0)).starts_with("invalid JSON at byte "));
    CHECK(complaint(file(R"({"t":1})", 0)) == "tensor 't' is described by no JSON object");
    CHECK(complaint(file(object({entry("t", "F32", "[2]", 0, 8)}), 4)) ==
          "tensor 't' ends at byte 70, the file has 66 (truncated download?)");
    CHECK(complaint(file(object({entry("t", "F32", "[3]", 0, 8)}), 8)) ==
          "tensor 't' ends at byte 74, the file has 70 (truncated download?)");
    CHECK(complaint(file(object({entry("t", "F32", "[1]", 0, 8)}), 8)) ==
          "tensor 't' has 8 bytes, its shape (1) needs 4");
    CHECK(complaint(file(object({entry("t", "F2", "[4]", 0, 1)}), 1)) ==
          "tensor 't' is stored as F2, which is not known");
    CHECK(complaint(file(object({entry("t", "F4", "[3]", 0, 2)}), 2)) ==
          "tensor 't' has rows of 3 weights, not a multiple of 2 as F4 needs");
    CHECK(complaint(file(object({entry("t", "F32", "[-1]", 0, 4)}), 4)) ==
          "tensor 't' has the impossible shape [-1]");
    CHECK(complaint(file(object({entry("t", "U8", "[4611686018427387904,4]", 0, 4)}), 4)) ==
          "tensor 't' has the impossible shape (4611686018427387904, 4)");
    CHECK(complaint(file(object({entry("t", "F32", "[1]", 8, 4)}), 8)) ==
          "tensor 't' has the impossible data_offsets [8,4]");
    const std::string a = entry("a", "F32", "[2]", 0, 8);
    CHECK(complaint(file(object({a, entry("b", "F32", "[1]", 4, 8)}), 8))
              .starts_with("tensors 'a' and 'b' overlap at byte "));
    CHECK(complaint(file(object({a, entry("b", "F32", "[1]", 12, 16)}), 16))
              .ends_with(" belong to no tensor"));
}
