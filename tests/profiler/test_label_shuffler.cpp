// SPDX-License-Identifier: Apache-2.0
// Names of groups move only as the design of the texts lets them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "profiler/analysis/label_shuffler.h"

using namespace moescope;

namespace {

using Names = std::vector<std::size_t>;

Names sorted(std::span<const std::size_t> names) {
    Names out(names.begin(), names.end());
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

TEST_CASE("the groups of a block swap names, each order as often, and for all its texts alike") {
    // Two groups in block 0, three in block 1, of which group 0 has two texts, one in block 2.
    const Names group{0, 1, 0, 1, 2, 0, 0}, block{0, 0, 1, 1, 1, 1, 2};
    LabelShuffler shuffler(group, block, Exchange::WithinBlocks, 3);
    std::map<Names, int> seen;
    constexpr int kRounds = 12000;
    for (int i = 0; i < kRounds; ++i) {
        const auto names = shuffler.next();
        REQUIRE(sorted(names.first(2)) == Names{0, 1});
        REQUIRE(names[2] == names[5]);
        REQUIRE(sorted(names.subspan(2, 3)) == Names{0, 1, 2});
        REQUIRE(names[6] == 0);
        ++seen[Names(names.begin(), names.end())];
    }
    CHECK(seen.size() == 12);                                                     // 2 x 6
    for (const auto& [names, times] : seen) CHECK(std::abs(times - 1000) < 150);  // 5 sigma
}

TEST_CASE("whole blocks have one name each and swap it with other blocks") {
    const Names group{0, 0, 0, 1, 1, 0}, block{0, 0, 0, 1, 1, 2};
    LabelShuffler shuffler(group, block, Exchange::WholeBlocks, 3);
    int moved = 0;
    for (int i = 0; i < 300; ++i) {
        const auto names = shuffler.next();
        REQUIRE((names[0] == names[1] && names[1] == names[2] && names[3] == names[4]));
        REQUIRE(sorted(Names{names[0], names[3], names[5]}) == Names{0, 0, 1});
        moved += names[3] == 1 ? 0 : 1;
    }
    CHECK(moved > 150);  // two of three orders
    CHECK(moved < 250);
}

TEST_CASE("without blocks all names move, and the groups keep their sizes") {
    const Names group{0, 1, 1, 1};
    LabelShuffler shuffler(group, {}, Exchange::Texts, 5);
    std::map<std::size_t, int> first;
    for (int i = 0; i < 400; ++i) {
        const auto names = shuffler.next();
        REQUIRE(sorted(names) == Names{0, 1, 1, 1});
        ++first[names[0]];
    }
    CHECK(std::abs(first[0] - 100) < 45);
}
