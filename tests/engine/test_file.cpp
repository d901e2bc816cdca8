// SPDX-License-Identifier: Apache-2.0
#include "engine/core/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "engine/core/mapped_file.h"
#include "engine/core/sha256.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

TEST_CASE("writeFile replaces a file whole and makes missing folders") {
    const TemporaryFolder folder;
    const auto path = folder / "a/b/c.txt";
    writeFile(path, "first");
    writeFile(path, "second");
    CHECK(readFile(path) == "second");
    CHECK(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}) == 1);
}

TEST_CASE("file errors name the file and the cause") {
    const TemporaryFolder folder;
    const std::string place = folder.path().string();
    CHECK(errorOf([&] { readFile(folder / "absent"); }) ==
          place + "/absent: cannot open: No such file or directory");
    CHECK(errorOf([&] { readFile(folder.path()); }) == place + ": is a folder, not a file");
    writeQuickly(folder / "big", "12345");
    CHECK(errorOf([&] { readFile(folder / "big", 4); }) ==
          place + "/big: 5 bytes, more than the limit of 4");
    CHECK(errorOf([&] {
              writeFile(folder / "big/x", "");
          }).starts_with(place + "/big: cannot create folder: "));
}

TEST_CASE("parseJson limits the depth and reports the byte") {
    CHECK(parseJson(R"({"a":[1,"}"]})", "x")["a"][0] == 1);
    CHECK(errorOf([] { parseJson("{\"a\":", "x"); }).starts_with("x: invalid JSON at byte "));
    CHECK(errorOf([] { parseJson(std::string(300, '['), "x"); }) ==
          "x: invalid JSON at byte 256: nested deeper than 256");
}

TEST_CASE("readFile reads a pipe to its end and no further than the limit") {
    const auto throughPipe = [](std::uint64_t limit) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        REQUIRE(::write(ends[1], "from a pipe", 11) == 11);
        ::close(ends[1]);
        const std::string path = "/proc/self/fd/" + std::to_string(ends[0]);
        std::string content;
        const std::string error = errorOf([&] { content = readFile(path, limit); });
        ::close(ends[0]);
        return error.empty() ? content : error;
    };
    CHECK(throughPipe(100) == "from a pipe");
    CHECK_THAT(throughPipe(5), Catch::EndsWith("11 bytes, more than the limit of 5"));
}

TEST_CASE("parseJson turns a number beyond double into an Error") {
    CHECK_THROWS_AS(parseJson("[1e999]", "numbers.json"), Error);
}

TEST_CASE("writeFile leaves pipes and devices alone") {
    const std::filesystem::path pipe =
        std::filesystem::temp_directory_path() / ("moescope-pipe-" + std::to_string(::getpid()));
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK_THROWS_WITH(writeFile(pipe, "text"), Catch::Contains("not a regular file"));
    CHECK(std::filesystem::is_fifo(pipe));
    std::filesystem::remove(pipe);
}

TEST_CASE("sameFile sees through links and spellings, of files that are not there too") {
    namespace fs = std::filesystem;
    const fs::path folder =
        fs::temp_directory_path() / ("moescope-same-" + std::to_string(::getpid()));
    fs::create_directories(folder / "sub");
    writeFile(folder / "a", "a");
    fs::create_hard_link(folder / "a", folder / "hard");
    fs::create_symlink(folder / "a", folder / "soft");
    CHECK(sameFile(folder / "a", folder / "sub/../a"));
    CHECK(sameFile(folder / "a", folder / "hard"));
    CHECK(sameFile(folder / "a", folder / "soft"));
    CHECK(sameFile(folder / "absent", folder / "sub/../absent"));
    CHECK_FALSE(sameFile(folder / "a", folder / "absent"));
    fs::remove_all(folder);
}

TEST_CASE("JSON texts hold no control character that a terminal obeys, and read back the same") {
    const std::string title = "a\x1B[31m\x7F\u0080b\u009b31m\u009f\u00a0\u00e9\xC2";
    const std::string text = dumpJson({{"t", title}});
    CHECK(text == "{\"t\":\"a\\u001b[31m\\u007f\\u0080b\\u009b31m\\u009f\u00a0\u00e9\uFFFD\"}");
    CHECK(parseJson(text, "")["t"] == "a\x1B[31m\x7F\u0080b\u009b31m\u009f\u00a0\u00e9\uFFFD");
    CHECK(escapeControls("") == "");
    CHECK(escapeControls("\u009b") == "\\u009b");
}

TEST_CASE("toValidUtf8 replaces stray bytes and overlong forms and surrogates") {
    CHECK(toValidUtf8("a\u00e9\U0001f600") == "a\u00e9\U0001f600");
    CHECK(toValidUtf8("a\x80z") == "a\uFFFDz");
    CHECK(toValidUtf8("\xC0\xAF") == "\uFFFD\uFFFD");
    CHECK(toValidUtf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");
    CHECK(toValidUtf8("\xF0\x9F") == "\uFFFD\uFFFD");
}

TEST_CASE("sha256Hex gives the digests of FIPS 180-4 examples") {
    CHECK(sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    Sha256 parts;
    for (int i = 0; i < 1000000; ++i) parts.update("a");
    CHECK(parts.hex() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("a mapped file shows the bytes and survives moves and releases") {
    const TemporaryFolder folder;
    const std::string content(20000, 'x');
    writeQuickly(folder / "f", content);
    MappedFile first(folder / "f");
    MappedFile file(std::move(first));
    REQUIRE(file.size() == content.size());
    CHECK(file.data()[19999] == std::byte{'x'});
    CHECK(file.contains(file.data() + 19999));
    CHECK_FALSE(file.contains(file.data() + 20000));
    file.advise(0, 20000, MappedFile::Access::Sequential);
    file.release(100, 15000);
    file.release(30000, 5);
    CHECK(file.data()[8192] == std::byte{'x'});
    writeQuickly(folder / "empty", "");
    CHECK(MappedFile(folder / "empty").size() == 0);
    CHECK(errorOf([&] { MappedFile{folder.path()}; }).ends_with(": is a folder, not a file"));
    CHECK(errorOf([&] {
              MappedFile{folder / "absent"};
          }).ends_with("absent: cannot open: No such file or directory"));
}
