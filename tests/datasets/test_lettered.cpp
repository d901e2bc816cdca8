// SPDX-License-Identifier: Apache-2.0
#include "datasets/lettered.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

using namespace moescope;

TEST_CASE("the order of choices is a permutation that a cluster's items share") {
    for (int count = 1; count <= 26; ++count) {
        std::vector<int> order = drawnOrder("suite", "base 7", count);
        CHECK(order == drawnOrder("suite", "base 7", count));
        std::sort(order.begin(), order.end());
        for (int i = 0; i < count; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
    }
    CHECK(drawnOrder("suite", "base 7", 12) != drawnOrder("suite", "base 8", 12));
    CHECK(drawnOrder("suite", "base 7", 12) != drawnOrder("other", "base 7", 12));
}

TEST_CASE("every choice gets every letter about as often over clusters") {
    constexpr int kClusters = 4000;
    std::array<std::array<int, 4>, 4> seen{};  // letter, choice
    for (int c = 0; c < kClusters; ++c) {
        const std::vector<int> order = drawnOrder("suite", std::to_string(c), 4);
        for (std::size_t letter = 0; letter < 4; ++letter)
            ++seen[letter][static_cast<std::size_t>(order[letter])];
    }
    // 1,000 of 4,000 are expected, standard deviation 27: 5 of them would come once in a million.
    for (const auto& row : seen)
        for (const int count : row) CHECK(std::abs(count - kClusters / 4) < 137);
}

TEST_CASE("lettered lines show the choice behind each letter") {
    CHECK(letteredLines({"cow", "hen", "frog"}, {2, 0, 1}) == "A. frog\nB. cow\nC. hen");
    CHECK(lettersUpTo(1) == "A");
    CHECK(lettersUpTo(2) == "A or B");
    CHECK(lettersUpTo(4) == "A, B, C or D");
}
