// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstdint>
#include <utility>

#include "engine/core/arena.h"
#include "engine/core/error.h"

using namespace moescope;

TEST_CASE("arena memory is aligned zero-filled and disjoint") {
    Arena arena(Arena::aligned(100) + Arena::aligned(1) + Arena::aligned(4096));
    CHECK(arena.size() == 128 + 64 + 4096);
    std::byte* a = arena.take(100);
    std::byte* b = arena.take(1);
    std::byte* c = arena.take(4096);
    CHECK(reinterpret_cast<std::uintptr_t>(a) % (2U << 20) == 0);
    CHECK(b == a + 128);
    CHECK(c == b + 64);
    for (int i = 0; i < 4096; ++i) CHECK(c[i] == std::byte{0});
    c[4095] = std::byte{1};
    CHECK(arena.used() == arena.size());
}

TEST_CASE("a moved arena keeps its memory") {
    Arena first(64);
    std::byte* p = first.take(64);
    *p = std::byte{7};
    Arena second = std::move(first);
    CHECK(*p == std::byte{7});
    CHECK(second.used() == 64);
    Arena empty(0);
    CHECK(empty.size() == 0);
}

TEST_CASE("an arena beyond the address space is an error") {
    CHECK_THROWS_AS(Arena(std::uint64_t{1} << 62), Error);
}
