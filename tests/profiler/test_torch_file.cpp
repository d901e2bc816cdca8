// SPDX-License-Identifier: Apache-2.0
// Archives of torch.save: one that torch 2.15.0 wrote, with every truncation of it, and pickles
// made up here that would run something if they were run.
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/pickle_reader.h"
#include "profiler/import/stored_zip.h"
#include "profiler/import/torch_file.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using Catch::Matchers::Contains;
using test::TempDir;
using test::thrownBy;

namespace {

const std::filesystem::path kStat =
    std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_routing_import/stat.pt";

std::string refusal(const std::string& pickle) {
    return thrownBy<Error>(
        [&] { readPickle(std::as_bytes(std::span(pickle.data(), pickle.size())), "f.pt"); });
}

std::string refusalOfFile(const std::string& content) {
    const TempDir dir;
    writeFile(dir / "f.pt", content);
    return thrownBy<Error>([&] { TorchFile(dir / "f.pt"); });
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

std::string number(std::size_t value, std::size_t bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
    return out;
}

/// A dictionary of one tensor "t" of 1 x 1 x .. elements.
std::string archiveOfTensor(int dimensions) {
    const auto text = [](const std::string& what) { return "X" + number(what.size(), 4) + what; };
    std::string extents = "(";
    for (int i = 0; i < dimensions; ++i) extents += "K\x01";
    const std::string pickle = "}" + text("t") + "ctorch._utils\n_rebuild_tensor_v2\n((" +
                               text("storage") + "ctorch\nIntStorage\n" + text("0") + text("cpu") +
                               "K\x01tQK" + std::string(1, '\0') + extents + "t" + extents +
                               "ttRs.";
    std::string out, list;
    for (const auto& [name, bytes] : {std::pair<std::string, std::string>{"a/data.pkl", pickle},
                                      {"a/data/0", std::string(4, '\0')}}) {
        // Version, flags, method, time, date and check sum are 0; the file's length stands twice.
        const std::string facts = std::string(14, '\0') + number(bytes.size(), 4) +
                                  number(bytes.size(), 4) + number(name.size(), 2) + number(0, 2);
        list += "PK\x01\x02" + number(0, 2) + facts + number(0, 10) + number(out.size(), 4) + name;
        out += "PK\x03\x04" + facts + name + bytes;
    }
    return out + list + "PK\x05\x06" + number(0, 4) + number(2, 2) + number(2, 2) +
           number(list.size(), 4) + number(out.size(), 4) + number(0, 2);
}

}  // namespace

TEST_CASE("the tensors of a dictionary that torch saved are read") {
    const TorchFile file(kStat);
    REQUIRE(file.entries().size() == 3);
    const TorchTensor& counts = file.entries().at("logical_count");
    CHECK(counts.typeName == "IntStorage");
    CHECK(counts.shape == std::vector<std::int64_t>{3, 2, 4});
    REQUIRE(counts.bytes.size() == 3 * 2 * 4 * 4);
    std::vector<std::int64_t> values;
    for (std::size_t at = 0; at < counts.bytes.size(); at += 4)
        values.push_back(readInteger(counts.bytes.data() + at, counts.type));
    CHECK(values == std::vector<std::int64_t>{0, 0, 0, 0, 3, 2, 1, 0, 0, 0, 0, 0,
                                              2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0});
    CHECK(file.entries().at("rank").bytes.empty());
    CHECK(file.entries().at("average_utilization_rate_over_window").typeName.empty());
}

TEST_CASE("no truncation of an archive is taken for one") {
    const std::string whole = readFile(kStat);
    for (std::size_t length = 0; length < whole.size(); length += 7)
        CHECK_THAT(refusalOfFile(whole.substr(0, length)), Contains("f.pt: "));
}

TEST_CASE("a changed byte of an archive is an error or another value, never more") {
    const std::string whole = readFile(kStat);
    const TempDir dir;
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size(); at += 3) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 0xFF);
        writeFile(dir / "f.pt", changed);
        refused += thrownBy<Error>([&] { TorchFile(dir / "f.pt"); }).empty() ? 0 : 1;
    }
    CHECK(refused > 10);
}

TEST_CASE("an archive is refused by what is wrong with it") {
    const std::string whole = readFile(kStat);
    CHECK_THAT(refusalOfFile("x"), Contains("no zip archive"));
    CHECK_THAT(refusalOfFile(replaced(whole, "logical_count", "logical_coun\xFF").substr(0, 200)),
               Contains("no zip archive"));
    const std::size_t entry = whole.find("PK\x01\x02");
    std::string packed = whole;
    packed[entry + 10] = 8;
    CHECK_THAT(refusalOfFile(packed), Contains("is compressed, which torch.save does not do"));
    std::string locked = whole;
    locked[entry + 8] = static_cast<char>(locked[entry + 8] | 1);
    CHECK_THAT(refusalOfFile(locked), Contains("is encrypted"));
    std::string large = whole;
    for (const std::size_t size : {20, 24})
        large.replace(entry + size, 4, std::string("\xFF\xFF\xFF\x7F", 4));
    CHECK_THAT(refusalOfFile(large), Contains("has 2147483647 bytes, the file behind it"));
    // Once in the entry's own header, once in the list.
    std::string renamed = whole;
    for (std::size_t at = 0; (at = renamed.find("data.pkl", at)) != std::string::npos;)
        renamed.replace(at, 8, "data.pkm");
    CHECK_THAT(refusalOfFile(renamed), Contains("holds no data.pkl"));
    CHECK_THAT(refusalOfFile(replaced(whole, "little", "biggie")), Contains("other byte order"));
    CHECK_THAT(refusalOfFile(replaced(whole, "IntStorage", "IntStorags")),
               Contains("torch.IntStorags"));
    // Shape (3, 2, 4) to (9, 2, 4): K is the opcode of one byte.
    CHECK_THAT(refusalOfFile(replaced(whole, "K\x03K\x02K\x04\x87", "K\x09K\x02K\x04\x87")),
               Contains("does not fit its storage of 24 elements"));
    CHECK_THAT(refusalOfFile(replaced(whole, "K\x08K\x04K\x01\x87", "K\x09K\x04K\x01\x87")),
               Contains("is not in C order"));
    CHECK(refusalOfFile(archiveOfTensor(64)).empty());
    CHECK_THAT(refusalOfFile(archiveOfTensor(65)), Contains("tensor 't' is of 65 dimensions"));
}

TEST_CASE("a pickle that would run something is refused by the name of it") {
    CHECK_THAT(refusal("cposix\nsystem\n(K\x01tR."),
               Contains("the Python object posix.system, which no tensor needs; it was not run"));
    CHECK_THAT(refusal(std::string("\x80\x02") + "cbuiltins\neval\n."), Contains("builtins.eval"));
    CHECK_THAT(refusal("ctorch\nload\n."), Contains("torch.load"));
    CHECK_THAT(refusal("(iposix\nsystem\n."), Contains("has the opcode 105"));  // INST
    CHECK_THAT(refusal(std::string("\x8C\x02os\x8C\x06system\x93.")), Contains("opcode 147"));
    CHECK_THAT(refusal("ctorch\nIntStorage\n)\x81."), Contains("opcode 129"));  // NEWOBJ
    CHECK_THAT(refusal("}}b."), Contains("opcode 98"));                         // BUILD
    CHECK_THAT(refusal("ctorch\nIntStorage\n)R."), Contains("calls what is no description"));
    CHECK_THAT(refusal("ccollections\nOrderedDict\n}R."), Contains("calls what is no description"));
}

TEST_CASE("a pickle takes memory as its bytes do, however often it names a tuple") {
    // A tuple of 300,000 items to 100,000 tensors.
    std::string pickle =
        "(" + std::string(300'000, ')') + "tq\x01" + "ctorch._utils\n_rebuild_tensor_v2\nq\x02";
    for (int i = 0; i < 100'000; ++i) pickle += "h\x02h\x01R";
    pickle += "}.";
    const Pickle read = readPickle(std::as_bytes(std::span(pickle.data(), pickle.size())), "f.pt");
    std::size_t items = 0;
    for (const PickleValue& value : read.values) items += value.items.size();
    CHECK(items == 300'000 + 100'000);
}

TEST_CASE("a damaged pickle is an error") {
    CHECK(refusal("}.").empty());
    for (const char* bad :
         {"", ".", "R.", "t.", "K", "}s.", "}NNNu.", "Na.", "(.", "h\x01.", "q\x01."})
        CHECK_FALSE(refusal(bad).empty());
    CHECK_THAT(refusal(std::string("\x80\x06}.")), Contains("of a newer version"));
    CHECK_THAT(refusal(std::string("X\xFF\xFF\xFF\x7F")), Contains("ends inside a text"));
    CHECK_THAT(refusal(std::string(std::size_t{2} << 20U, 'N')),
               Contains("more than a dictionary of tensors takes"));
    // A tuple in a tuple in a tuple ..: no stack is used up by it.
    CHECK(refusal("N" + std::string(1'000'000, '\x85') + ".").empty());
}
