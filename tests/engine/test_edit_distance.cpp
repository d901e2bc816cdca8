// SPDX-License-Identifier: Apache-2.0
#include "engine/core/edit_distance.h"

#include <catch2/catch.hpp>

using moescope::editDistance;

TEST_CASE("edit distance counts insertions deletions and replacements") {
    CHECK(editDistance("", "") == 0);
    CHECK(editDistance("", "abc") == 3);
    CHECK(editDistance("abc", "") == 3);
    CHECK(editDistance("profile", "profile") == 0);
    CHECK(editDistance("kitten", "sitting") == 3);
    CHECK(editDistance("flaw", "lawn") == 2);
    CHECK(editDistance("ab", "ba") == 2);  // a swap is two edits
}
