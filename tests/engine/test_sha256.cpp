// SPDX-License-Identifier: Apache-2.0
#include "engine/core/sha256.h"

#include <catch2/catch.hpp>

using namespace moescope;

TEST_CASE("a seed of a text is the first eight bytes of its digest") {
    CHECK(sha256Seed("abc") == 0xba7816bf8f01cfeaULL);  // FIPS 180-4's example
}
