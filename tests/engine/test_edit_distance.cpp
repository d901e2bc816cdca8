// SPDX-License-Identifier: Apache-2.0
#include "engine/core/edit_distance.h"

#include <catch2/catch.hpp>

using moescope::editDistance;
using moescope::nearest;

TEST_CASE("edit distance counts insertions deletions and replacements") {
    CHECK(editDistance("", "") == 0);
    CHECK(editDistance("", "abc") == 3);
    CHECK(editDistance("abc", "") == 3);
    CHECK(editDistance("profile", "profile") == 0);
    CHECK(editDistance("kitten", "sitting") == 3);
    CHECK(editDistance("flaw", "lawn") == 2);
    CHECK(editDistance("ab", "ba") == 2);  // a swap is two edits
}

TEST_CASE("the nearest name is suggested, and a distant one is not") {
    CHECK(nearest("gpt-os-20b", {"gpt-oss-120b", "gpt-oss-20b"}) == "gpt-oss-20b");
    CHECK(nearest("--limt", {"--list", "--limit"}) == "--limit");  // one edit from both
    CHECK(nearest("nonsense", {"gpt-oss-120b", "gpt-oss-20b"}).empty());
}
