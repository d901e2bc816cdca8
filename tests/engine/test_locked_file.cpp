// SPDX-License-Identifier: Apache-2.0
#include "engine/core/locked_file.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "engine/core/file.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

TEST_CASE("a file is open to one writer at a time and keeps what it holds") {
    const TemporaryFolder folder;
    const auto path = folder / "a.part";
    const int first = openLocked(path);
    REQUIRE(::write(first, "kept", 4) == 4);
    CHECK(errorOf([&] { openLocked(path); }) == path.string() + ": another process is writing it");
    CHECK(readFile(path) == "kept");
    std::filesystem::rename(path, folder / "a");
    const int second = openLocked(path);  // another file by now
    ::close(second);
    ::close(first);
    ::close(openLocked(folder / "a"));
    CHECK(readFile(folder / "a") == "kept");
    CHECK(errorOf([&] { openLocked(folder / "absent" / "a"); }).find("cannot write") !=
          std::string::npos);
}
