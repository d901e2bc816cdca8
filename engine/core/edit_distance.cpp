// SPDX-License-Identifier: Apache-2.0
#include "engine/core/edit_distance.h"

#include <algorithm>
#include <numeric>

namespace moescope {

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

namespace {

std::size_t commonStart(std::string_view a, std::string_view b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                    a.begin());
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    std::size_t bestDistance = std::max<std::size_t>(word.size() / 3, 1) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t distance = editDistance(word, candidate);
        // "--limt" is one edit from "--list" as well as from "--limit".
        const bool tie = distance == bestDistance && !best.empty() &&
                         commonStart(word, candidate) > commonStart(word, best);
        if (distance < bestDistance || tie) {
            bestDistance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace moescope
