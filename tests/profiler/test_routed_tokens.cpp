// SPDX-License-Identifier: Apache-2.0
// Experts of a run of tokens from rows that rewinds lay over each other.
#include <catch2/catch.hpp>
#include <limits>
#include <map>

#include "profiler/analysis/routed_tokens.h"

using namespace moescope;

namespace {

/// Every token chose `expert`.
RoutingTokensRow rowOf(std::int64_t first, std::int32_t tokens, std::int16_t expert) {
    return {0, 0, first, tokens, 1, std::vector<std::int16_t>(std::size_t(tokens), expert), {}};
}

}  // namespace

TEST_CASE("tokens are counted across rows, each by its own, and a gap is no routing") {
    const RoutingTokensRow a{0, 0, 2, 2, 2, {0, 1, 0, 2}, {}}, b{0, 0, 4, 1, 2, {3, -1}, {}},
        c = rowOf(6, 1, 5);
    RoutedTokens tokens;
    for (const RoutingTokensRow* row : {&a, &b, &c}) tokens.add(*row);
    std::vector<std::int64_t> counts;
    CHECK(tokens.count(3, 2, counts));
    CHECK(counts == std::vector<std::int64_t>{1, 0, 1, 1});  // -1: no expert
    for (const auto& [first, number] : std::map<int, int>{{1, 2}, {4, 3}, {6, 2}, {7, 1}, {0, 1}})
        CHECK_FALSE(tokens.count(first, number, counts));
    CHECK(tokens.count(100, 0, counts));
    CHECK_FALSE(RoutedTokens().count(0, 1, counts));
}

TEST_CASE("of rows over one position the later is taken, whatever lies around it") {
    // By position: a a b b c b b a a, with nothing of d left.
    const RoutingTokensRow a = rowOf(0, 9, 0), d = rowOf(3, 2, 3), b = rowOf(2, 5, 1),
                           c = rowOf(4, 1, 2), none = rowOf(4, 0, 4);
    RoutedTokens tokens;
    for (const RoutingTokensRow* row : {&a, &d, &b, &c, &none}) tokens.add(*row);
    const std::vector<std::size_t> expected{0, 0, 1, 1, 2, 1, 1, 0, 0};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        std::vector<std::int64_t> counts;
        REQUIRE(tokens.count(std::int64_t(i), 1, counts));
        CHECK(counts.size() == expected[i] + 1);
    }
    std::vector<std::int64_t> all;
    CHECK(tokens.count(0, 9, all));
    CHECK(all == std::vector<std::int64_t>{4, 4, 1});
}

TEST_CASE("a row at the end of what a position can be is no overflow") {
    constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    const RoutingTokensRow row = rowOf(last - 2, 5, 0);
    RoutedTokens tokens;
    tokens.add(row);
    std::vector<std::int64_t> counts;
    CHECK(tokens.count(last - 2, 2, counts));
    CHECK_FALSE(tokens.count(last - 2, 5, counts));
}
