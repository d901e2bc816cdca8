// SPDX-License-Identifier: Apache-2.0
#include "datasets/lettered.h"

#include <cstdint>
#include <numeric>
#include <utility>

#include "engine/core/sha256.h"
#include "engine/core/split_mix.h"

namespace moescope {

namespace {

char letter(int index) {
    return static_cast<char>('A' + index);
}

}  // namespace

std::vector<int> drawnOrder(const std::string& suite, const std::string& cluster, int count) {
    std::vector<int> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    const std::uint64_t seed = sha256Seed(suite + "\n" + cluster);
    for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[splitMixAt(seed, i) % i]);
    return order;
}

std::string letteredLines(const std::vector<std::string>& choices, const std::vector<int>& order) {
    std::string lines;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i > 0) lines += '\n';
        lines += letter(static_cast<int>(i));
        lines += ". " + choices[static_cast<std::size_t>(order[i])];
    }
    return lines;
}

std::string lettersUpTo(int count) {
    std::string letters(1, letter(0));
    for (int i = 1; i < count; ++i) {
        letters += i + 1 == count ? " or " : ", ";
        letters += letter(i);
    }
    return letters;
}

}  // namespace moescope
