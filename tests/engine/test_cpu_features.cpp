// SPDX-License-Identifier: Apache-2.0
// What the kernel tells of the processor's caches.
#include "engine/core/cpu_features.h"

#include <catch2/catch.hpp>

using namespace moescope;

TEST_CASE("a cache's size is read from the kernel's kibibytes and unknown otherwise") {
    CHECK(cacheSizeOf("32768K") == 33554432);
    CHECK(cacheSizeOf("4294967295K") == std::uint64_t{4294967295} * 1024);
    for (const char* text :
         {"", "K", "32768", "32768M", "32768KB", "-1K", " 32768K", "4294967296K"})
        CHECK(cacheSizeOf(text) == 0);
}
