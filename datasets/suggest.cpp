// SPDX-License-Identifier: Apache-2.0
// Levenshtein distance over bytes; names are ASCII and short.
#include "datasets/suggest.h"

#include <algorithm>
#include <numeric>

namespace moescope {

namespace {

std::size_t editDistance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

}  // namespace

std::string didYouMean(std::string_view word, const std::vector<std::string>& known) {
    constexpr std::size_t kLongestWord = 64;  // the distance costs the product of both lengths
    const std::string* best = nullptr;
    std::size_t bestDistance = 0;
    for (const std::string& name : known) {
        if (word.size() > kLongestWord || name.size() > kLongestWord) continue;
        const std::size_t distance = editDistance(word, name);
        if (distance * 3 > std::max(word.size(), name.size())) continue;
        if (best == nullptr || distance < bestDistance) {
            best = &name;
            bestDistance = distance;
        }
    }
    if (best != nullptr) return "; did you mean '" + *best + "'?";
    if (known.empty()) return {};
    std::string list = "; known: ";
    constexpr std::size_t kMost = 20;
    for (std::size_t i = 0; i < std::min(known.size(), kMost); ++i)
        list += (i > 0 ? ", " : "") + known[i];
    return known.size() > kMost ? list + ", ..." : list;
}

}  // namespace moescope
